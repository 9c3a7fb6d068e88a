#include "core/net/ip_text.h"

#include <array>
#include <cstring>

#include "core/base/number_text.h"

namespace tcp_sniffer {
namespace {

struct OctetText {
  char text[4];  // one to three digits and a point
  uint32_t digits;
};

constexpr std::array<OctetText, 256> kOctets = [] {
  std::array<OctetText, 256> octets{};
  for (size_t value = 0; value < 256; ++value) {
    char* out = octets[value].text;
    if (value >= 100) *out++ = static_cast<char>('0' + value / 100);
    if (value >= 10) *out++ = static_cast<char>('0' + value / 10 % 10);
    *out++ = static_cast<char>('0' + value % 10);
    *out = '.';
    octets[value].digits = static_cast<uint32_t>(out - octets[value].text);
  }
  return octets;
}();

// Writes four bytes: the digits, and the point that belongs to the next octet.
char* write_octet(char* out, uint8_t value) {
  std::memcpy(out, kOctets[value].text, 4);
  return out + kOctets[value].digits;
}

char* write_group(char* out, uint32_t group) {
  if (group >= 0x1000) *out++ = kHexDigits[group >> 12];
  if (group >= 0x100) *out++ = kHexDigits[(group >> 8) & 15];
  if (group >= 0x10) *out++ = kHexDigits[(group >> 4) & 15];
  *out++ = kHexDigits[group & 15];
  return out;
}

struct ZeroRun {
  size_t begin = 8;
  size_t size = 0;
};

// The first of the longest runs of zero groups (RFC 5952 section 4.2.3); size 0 when no run has
// two groups (section 4.2.2).
ZeroRun longest_zero_run(const uint32_t (&groups)[8]) {
  ZeroRun longest;
  for (size_t i = 0; i < 8;) {
    size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i >= 2 && end - i > longest.size) longest = {i, end - i};
    i = end + 1;
  }
  return longest;
}

char* write_ip6(char* out, const IpAddress& ip) {
  uint32_t groups[8];
  for (size_t i = 0; i < 8; ++i) {
    groups[i] = (static_cast<uint32_t>(ip[2 * i]) << 8) | ip[2 * i + 1];
  }
  const ZeroRun run = longest_zero_run(groups);
  for (size_t i = 0; i < 8;) {
    if (run.size != 0 && i == run.begin) {
      *out++ = ':';
      *out++ = ':';
      i += run.size;
      continue;
    }
    if (i != 0 && !(run.size != 0 && i == run.begin + run.size)) *out++ = ':';
    out = write_group(out, groups[i]);
    ++i;
  }
  return out;
}

}  // namespace

char* write_ip(char* out, const IpAddress& ip, bool mapped_on_wire) {
  if (!is_v4_mapped(ip)) return write_ip6(out, ip);
  if (mapped_on_wire) {
    std::memcpy(out, "::ffff:", 7);
    out += 7;
  }
  out = write_octet(out, ip[12]) + 1;
  out = write_octet(out, ip[13]) + 1;
  out = write_octet(out, ip[14]) + 1;
  return write_octet(out, ip[15]);
}

char* write_ip_and_port(char* out, const Endpoint& endpoint) {
  const bool brackets = !is_v4_mapped(endpoint.ip) || endpoint.mapped_on_wire;
  if (brackets) *out++ = '[';
  out = write_ip(out, endpoint.ip, endpoint.mapped_on_wire);
  if (brackets) *out++ = ']';
  *out++ = ':';
  return write_unsigned(out, endpoint.port);
}

}  // namespace tcp_sniffer
