#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace tcp_sniffer {

// Where a search in a text ends that found nothing.
inline constexpr size_t kNotFound = std::string_view::npos;

// What stands between the words of JSON (RFC 8259 section 2), of header values whose lines were
// folded, and of conditions.
inline constexpr std::string_view kSpace = " \t\r\n";

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Of ASCII.
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

namespace characters_details {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 128; ++c) table[c] = is_letter(char(c)) || is_digit(char(c));
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
inline constexpr std::array<bool, 256> kTokenTable = make_token_table();

}  // namespace characters_details

// tchar of RFC 9110 section 5.6.2.
constexpr bool is_token_char(char c) {
  return characters_details::kTokenTable[static_cast<unsigned char>(c)];
}

// A token of the same section: not empty.
constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

// The value of a hexadecimal digit; -1: it is none.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Without spaces, tabs and ends of lines at both ends.
constexpr std::string_view without_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace tcp_sniffer
