#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/net/segment.h"

// With TCP_SNIFFER_FUZZ_SHOW in the environment a target prints the segments of its input, so that
// a finding can become a scenario.
namespace tcp_sniffer::fuzz {

inline bool shows() {
  static const bool is_asked = std::getenv("TCP_SNIFFER_FUZZ_SHOW") != nullptr;
  return is_asked;
}

inline std::string flag_words(uint8_t flags) {
  static constexpr const char* kNames[] = {"FIN ", "SYN ", "RST ", "PSH ", "ACK ", "URG ", "", ""};
  std::string words;
  for (int bit = 0; bit < 8; bit++) {
    if ((flags >> bit & 1) != 0) words += kNames[bit];
  }
  return words;
}

inline std::string quoted(std::string_view payload) {
  std::string text = "\"";
  for (const char c : payload) {
    char code[8];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\') {
      std::snprintf(code, sizeof(code), "\\x%02x", byte);
      text += code;
    } else {
      text += c;
    }
  }
  return text + "\"";
}

inline void show(const Segment& segment, std::string_view payload) {
  if (!shows()) return;
  std::fprintf(stderr, "%9.3f ms  %u %s  seq %u ack %u %s%s%s\n",
               static_cast<double>(segment.clock_ns % 1'000'000'000'000) / 1e6,
               segment.key.low_port, segment.side == Side::kLow ? "c>" : "s>", segment.sequence,
               segment.acknowledgment, flag_words(segment.flags).c_str(), quoted(payload).c_str(),
               segment.payload_size < segment.payload_wire_size ? " cut" : "");
}

}  // namespace tcp_sniffer::fuzz
