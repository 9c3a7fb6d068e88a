#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "core/base/number_text.h"
#include "core/line/json_escape.h"

namespace tcp_sniffer {

// Escaping byte by byte: the ends of blocks and the rare bytes that the vector kernels leave.

// What a byte becomes, seen as a character U+0000-00FF: up to 6 bytes of text; the last byte is
// their number. Eight bytes are stored and the output advances by the number: no branch.
struct EscapedByte {
  char text[7];
  uint8_t size;
};
static_assert(sizeof(EscapedByte) == 8);

constexpr EscapedByte unicode_escape(unsigned character) {
  return {{'\\', 'u', '0', '0', kHexDigits[character >> 4], kHexDigits[character & 15], 0}, 6};
}

inline constexpr std::array<EscapedByte, 256> kEscapedBytes = [] {
  std::array<EscapedByte, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto plain = static_cast<char>(byte);
    if (byte < 0x20 || (byte >= 0x7f && byte < 0xa0)) {
      table[byte] = unicode_escape(byte);
    } else if (byte < 0x80) {
      table[byte] = {{plain}, 1};
    } else {
      table[byte] = {{static_cast<char>(0xc0 | (byte >> 6)), static_cast<char>(0x80 | (byte & 63))},
                     2};
    }
  }
  constexpr char kShort[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\t', 't'},
                                {'\n', 'n'}, {'\f', 'f'},  {'\r', 'r'}};
  for (const auto& pair : kShort) table[static_cast<uint8_t>(pair[0])] = {{'\\', pair[1]}, 2};
  return table;
}();

inline char* escape_byte(uint8_t byte, char* out) {
  const EscapedByte& escaped = kEscapedBytes[byte];
  std::memcpy(out, &escaped, 8);
  return out + escaped.size;
}

// Escapes the characters of valid UTF-8 that begin before `stop`; `end` is where the text ends.
inline EscapeProgress escape_utf8_bytes(const char* in, const char* stop, const char* end,
                                        char* out) {
  while (in < stop) {
    const auto byte = static_cast<uint8_t>(*in);
    if (byte < 0x80) {
      out = escape_byte(byte, out);
      ++in;
    } else if (byte == 0xc2 && end - in >= 2 && static_cast<uint8_t>(in[1]) < 0xa0) {
      out = escape_byte(static_cast<uint8_t>(in[1]), out);  // U+0080-009F
      in += 2;
    } else if (byte == 0xe2 && end - in >= 3 && static_cast<uint8_t>(in[1]) == 0x80 &&
               (static_cast<uint8_t>(in[2]) & 0xfe) == 0xa8) {
      std::memcpy(out, in[2] & 1 ? "\\u2029" : "\\u2028", 6);
      out += 6;
      in += 3;
    } else {
      *out++ = *in++;
    }
  }
  return {in, out};
}

}  // namespace tcp_sniffer
