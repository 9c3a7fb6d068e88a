#pragma once

#include <cstddef>
#include <string_view>

namespace tcp_sniffer {

// Header names are ASCII and compare without regard to case (RFC 9110 section 5.1); bytes from
// 0x80 are left alone.

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

}  // namespace tcp_sniffer
