#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/net/ip_text.h"

namespace tcp_sniffer {

// A short text in memory of its own, for people.
struct ShortText {
  char text[kIpAndPortTextMax];
  size_t size = 0;

  std::string_view view() const { return {text, size}; }
  void set_end(const char* end) { size = static_cast<size_t>(end - text); }
};

// Bytes below 1000, else with one decimal and a decimal unit: 5.3 kB. Cut, not rounded.
ShortText size_text(uint64_t bytes);
// Milliseconds with three decimals or, if short, with one; from one second on seconds.
ShortText latency_text(int64_t nanoseconds, bool is_short);
ShortText status_text(uint16_t status);

}  // namespace tcp_sniffer
