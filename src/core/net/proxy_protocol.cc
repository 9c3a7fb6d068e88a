#include "core/net/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

using Status = ProxyHeaderStatus;

// ---------------------------------------------------------------- version 1, section 2.1

constexpr std::string_view kLineStart = "PROXY ";

// Decimal without leading zeros, up to 65535.
std::optional<uint16_t> read_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return {};
  uint32_t port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return {};
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return {};
  return static_cast<uint16_t>(port);
}

bool read_address(std::string_view text, bool v6, Endpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return false;
  text.copy(terminated.data(), text.size());
  if (v6) {
    if (inet_pton(AF_INET6, terminated.data(), endpoint.ip.data()) != 1) return false;
    endpoint.mapped_on_wire = is_v4_mapped(endpoint.ip);
    return true;
  }
  endpoint.ip = kV4MappedPrefix;
  return inet_pton(AF_INET, terminated.data(), endpoint.ip.data() + 12) == 1;
}

// `text` is what follows "TCP4 " or "TCP6 ": two addresses and two ports, one space between them.
bool read_endpoints(std::string_view text, bool v6, ProxiedEndpoints& endpoints) {
  std::array<std::string_view, 4> words;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool last = i + 1 == words.size();
    const size_t end = last ? text.size() : text.find(' ');
    if (end == std::string_view::npos) return false;
    words[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto source_port = read_port(words[2]);
  const auto destination_port = read_port(words[3]);
  if (!source_port || !destination_port || !read_address(words[0], v6, endpoints.source) ||
      !read_address(words[1], v6, endpoints.destination)) {
    return false;
  }
  endpoints.source.port = *source_port;
  endpoints.destination.port = *destination_port;
  return true;
}

// Whether `text` can begin with one of the words of a version 1 line.
bool may_name_a_family(std::string_view text) {
  constexpr std::array<std::string_view, 4> kWords = {"TCP4 ", "TCP6 ", "UNKNOWN ", "UNKNOWN\r"};
  return std::any_of(kWords.begin(), kWords.end(), [text](std::string_view word) {
    return word.substr(0, text.size()) == text.substr(0, word.size());
  });
}

ProxyHeader read_version_1(std::string_view bytes) {
  ProxyHeader header;
  const std::string_view after = bytes.substr(std::min(kLineStart.size(), bytes.size()));
  if (!may_name_a_family(after)) return header;
  const std::string_view looked_at = bytes.substr(0, kProxyLineSizeMax);
  const size_t line_feed = looked_at.find('\n');
  if (line_feed == std::string_view::npos) {
    if (looked_at.size() == kProxyLineSizeMax) return header;
    header.status = Status::kIncomplete;
    header.size = kProxyLineSizeMax;
    return header;
  }
  if (looked_at[line_feed - 1] != '\r') return header;
  const std::string_view line =
      looked_at.substr(kLineStart.size(), line_feed - 1 - kLineStart.size());
  if (line.starts_with("TCP")) {
    if (!read_endpoints(line.substr(5), line[3] == '6', header.endpoints)) return {};
    header.has_endpoints = true;
  }
  header.status = Status::kComplete;
  header.size = static_cast<uint32_t>(line_feed + 1);
  return header;
}

// ---------------------------------------------------------------- version 2, section 2.2

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kFixedSize = 16;

enum Family : uint8_t { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };

constexpr uint8_t kTlvSsl = 0x20;     // PP2_TYPE_SSL, section 2.2.6
constexpr uint8_t kClientSsl = 0x01;  // PP2_CLIENT_SSL

uint16_t big_endian_16(const char* from) {
  return static_cast<uint16_t>(static_cast<uint8_t>(from[0]) << 8 | static_cast<uint8_t>(from[1]));
}

constexpr size_t address_block_size(uint8_t family) {
  return family == kInet ? 12 : family == kInet6 ? 36 : family == kUnix ? 216 : 0;
}

void read_address_block(const char* from, bool v6, ProxiedEndpoints& endpoints) {
  for (Endpoint* endpoint : {&endpoints.source, &endpoints.destination}) {
    if (!v6) endpoint->ip = kV4MappedPrefix;
    const size_t size = v6 ? 16 : 4;
    std::memcpy(endpoint->ip.data() + 16 - size, from, size);
    endpoint->mapped_on_wire = v6 && is_v4_mapped(endpoint->ip);
    from += size;
  }
  endpoints.source.port = big_endian_16(from);
  endpoints.destination.port = big_endian_16(from + 2);
}

constexpr size_t kTlvHead = 3;

// The size of the first one, its head included. That head is complete.
size_t tlv_size(std::string_view tlvs) {
  return kTlvHead + big_endian_16(tlvs.data() + 1);
}

// False: they do not fill the header exactly.
bool read_tlvs(std::string_view tlvs, bool& tls) {
  while (!tlvs.empty()) {
    if (tlvs.size() < kTlvHead) return false;
    const size_t size = tlv_size(tlvs);
    if (size > tlvs.size()) return false;
    if (static_cast<uint8_t>(tlvs[0]) == kTlvSsl && size > kTlvHead) {
      tls = (static_cast<uint8_t>(tlvs[kTlvHead]) & kClientSsl) != 0;
    }
    tlvs.remove_prefix(size);
  }
  return true;
}

ProxyHeader read_version_2(std::string_view bytes) {
  ProxyHeader header;
  header.status = Status::kIncomplete;
  header.size = kFixedSize;
  if (bytes.size() > 12) {
    const auto version_and_command = static_cast<uint8_t>(bytes[12]);
    if (version_and_command != 0x20 && version_and_command != 0x21) return {};
  }
  if (bytes.size() < kFixedSize) return header;
  const bool is_local = bytes[12] == 0x20;
  const auto family = static_cast<uint8_t>(static_cast<uint8_t>(bytes[13]) >> 4);
  const auto transport = static_cast<uint8_t>(bytes[13] & 0x0f);
  const size_t length = big_endian_16(bytes.data() + 14);
  const size_t addresses = address_block_size(family);
  // With LOCAL everything after the length is passed over, the family too.
  if (!is_local && (family > kUnix || transport > 2 || length < addresses)) return {};
  header.size = static_cast<uint32_t>(kFixedSize + length);
  const size_t in_front_of_tlvs = kFixedSize + addresses;
  // Without TLVs the bytes that a wrong length claims are the client's: seen at the first of them.
  if (!is_local && family != kUnspecified && bytes.size() >= in_front_of_tlvs + kTlvHead &&
      length >= addresses + kTlvHead &&
      tlv_size(bytes.substr(in_front_of_tlvs)) > length - addresses) {
    return {};
  }
  if (bytes.size() < header.size) return header;
  header.status = Status::kComplete;
  if (is_local || family == kUnspecified) return header;
  const std::string_view tlvs = bytes.substr(in_front_of_tlvs, length - addresses);
  if (!read_tlvs(tlvs, header.endpoints.tls)) return {};
  if (family == kUnix) return header;
  read_address_block(bytes.data() + kFixedSize, family == kInet6, header.endpoints);
  header.has_endpoints = true;
  return header;
}

bool agree(std::string_view bytes, std::string_view start) {
  return bytes.substr(0, start.size()) == start.substr(0, bytes.size());
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view first_bytes) {
  if (first_bytes.empty()) return {Status::kIncomplete, 1, false, {}};
  if (agree(first_bytes, kLineStart)) return read_version_1(first_bytes);
  if (agree(first_bytes, kSignature)) return read_version_2(first_bytes);
  return {};
}

}  // namespace tcp_sniffer
