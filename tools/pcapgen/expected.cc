#include "expected.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace tcp_sniffer::pcapgen {
namespace {

// Length of the UTF-8 sequence at the front of `text`, 0 when it is none (RFC 3629 section 4).
std::size_t utf8_sequence(std::string_view text, std::uint32_t& code) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    code = first;
    return 1;
  }
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  code = first & (0x7fU >> length);
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0U) != 0x80) return 0;
    code = code << 6U | (byte(at) & 0x3fU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  std::uint32_t code = 0;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text, code);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = utf8_sequence(text, code);
    if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", code);
      out += escaped;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

using Header = std::pair<std::string, std::vector<std::string_view>>;

std::vector<Header> read_headers(std::string_view block) {
  std::vector<Header> headers;
  while (block.size() > 2) {
    const std::string_view line = block.substr(0, block.find("\r\n"));
    const std::size_t colon = line.find(": ");
    std::string name(line.substr(0, colon));
    for (char& letter : name) {
      letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    std::size_t at = 0;
    while (at < headers.size() && headers[at].first != name) ++at;
    if (at == headers.size()) headers.push_back({name, {}});
    headers[at].second.push_back(line.substr(colon + 2));
    block.remove_prefix(line.size() + 2);
  }
  return headers;
}

void append_headers(std::string_view block, std::string& out) {
  out += ",\"headers\":{";
  bool first = true;
  for (const auto& [name, values] : read_headers(block)) {
    if (!first) out += ',';
    first = false;
    append_string(name, out);
    out += ':';
    if (values.size() > 1) out += '[';
    for (std::size_t at = 0; at < values.size(); ++at) {
      if (at != 0) out += ',';
      append_string(values[at], out);
    }
    if (values.size() > 1) out += ']';
  }
  out += '}';
}

}  // namespace

bool write_ledger(const std::string& path, const Options& options, const Ledger& ledger,
                  std::string& error) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    error = path + ": " + std::strerror(errno);
    return false;
  }
  const std::pair<const char*, std::uint64_t> figures[] = {
      {"seed", options.seed},
      {"packets", ledger.packets},
      {"captureBytes", ledger.capture_bytes},
      {"frameBytes", ledger.frame_bytes},
      {"connections", ledger.connections},
      {"messages", ledger.messages},
      {"requests", ledger.requests},
      {"responses", ledger.responses},
      {"bodyBytes", ledger.body_bytes},
      {"payloadBytes", ledger.payload_bytes},
      {"streamBytes", ledger.stream_bytes},
      {"packetsLost", ledger.packets_lost},
      {"bytesLost", ledger.bytes_lost},
      {"messagesDamaged", ledger.messages_damaged},
      {"reordered", ledger.reordered},
      {"duplicates", ledger.duplicates},
      {"retransmissions", ledger.retransmissions},
      {"fragmentedDatagrams", ledger.fragmented_datagrams},
      {"fragments", ledger.fragments},
      {"synFloodPackets", ledger.syn_flood_packets},
      {"portScanPackets", ledger.port_scan_packets},
      {"noiseFrames", ledger.noise_frames},
      {"garbageConnections", ledger.garbage_connections},
      {"garbageBytes", ledger.garbage_bytes},
  };
  std::fprintf(file, "{\n  \"workload\": \"%s\"", workload_name(options.workload));
  for (const auto& [name, value] : figures) {
    std::fprintf(file, ",\n  \"%s\": %llu", name, static_cast<unsigned long long>(value));
  }
  std::fputs("\n}\n", file);
  const bool written = std::ferror(file) == 0;
  if (std::fclose(file) == 0 && written) return true;
  error = path + ": could not be written";
  return false;
}

bool LineFile::open(const std::string& path) {
  file_ = std::fopen(path.c_str(), "w");
  return file_ != nullptr;
}

void LineFile::write(const Batch& batch, const Message& message) {
  const std::string_view header =
      std::string_view(batch.text()).substr(message.header_at, message.header_bytes);
  const std::string_view start = header.substr(0, header.find("\r\n"));
  const std::size_t space = start.find(' ');
  const std::string_view second = start.substr(space + 1, start.find(' ', space + 1) - space - 1);
  if (message.request) {
    line_ = "{\"direction\":\"request\",\"method\":\"";
    line_ += start.substr(0, space);
    line_ += "\",\"path\":";
    append_string(second, line_);
  } else {
    line_ = "{\"direction\":\"response\",\"statusCode\":";
    line_ += second;
  }
  append_headers(header.substr(start.size() + 2), line_);
  line_ += ",\"bodySize\":" + std::to_string(message.body.size());
  if (is_utf8(message.body)) {
    line_ += ",\"body\":";
    append_string(message.body, line_);
  } else {
    line_ += ",\"bodyEncoding\":\"binary\"";
  }
  if (message.lost_bytes != 0) line_ += ",\"lostBytes\":" + std::to_string(message.lost_bytes);
  line_ += "}\n";
  std::fwrite(line_.data(), 1, line_.size(), file_);
}

bool LineFile::close() {
  if (file_ == nullptr) return true;
  const bool written = std::ferror(file_) == 0;
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  return written && closed;
}

}  // namespace tcp_sniffer::pcapgen
