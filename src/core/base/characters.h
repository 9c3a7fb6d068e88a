#pragma once

#include <string_view>

namespace tcp_sniffer {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Without spaces, tabs and ends of lines at both ends.
constexpr std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

}  // namespace tcp_sniffer
