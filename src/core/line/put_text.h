#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "core/line/connection_text.h"

namespace tcp_sniffer {

// The pieces of a line that need no escaping. Each function returns the end.

// Literal keys and numbers between two pieces of text never need more than this.
constexpr size_t kFixedPartMax = 512;

inline char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

template <size_t N>
char* put(char* out, const char (&literal)[N]) {
  std::memcpy(out, literal, N - 1);
  return out + N - 1;
}

// One of the program's own words, and the quote after it.
inline char* put_word(char* out, std::string_view word) {
  std::memcpy(out, word.data(), word.size());
  return put(out + word.size(), "\"");
}

// Copies whole pieces: stores, and reads, up to 31 bytes more than the text has.
inline char* put_connection(char* out, const ConnectionText& text) {
  constexpr size_t kPiece = 32;
  static_assert(ConnectionText::kEndpointsSizeMax % kPiece == 0);
  for (size_t at = 0; at < text.size; at += kPiece) {
    std::memcpy(out + at, text.endpoints.data() + at, kPiece);
  }
  return out + text.size;
}

}  // namespace tcp_sniffer
