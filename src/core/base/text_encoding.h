#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// Whether no byte of the text has its highest bit set.
bool is_ascii(std::string_view text);

// False: in UTF-8 the byte goes on with a character that began before it (RFC 3629 section 3).
constexpr bool begins_character(char byte) {
  return (static_cast<uint8_t>(byte) & 0xc0) != 0x80;
}

// Is the text well-formed UTF-8 (RFC 3629)?
bool is_utf8(std::string_view text);

struct Utf8Character {
  uint32_t code = 0;
  size_t size = 0;  // 0: no well-formed character begins here
};

// The first character of `text`, which is not empty. RFC 3629 section 4.
Utf8Character first_character(std::string_view text);

// The text without a last character that was cut off: the beginning of a well-formed one. Text that
// ends otherwise comes back whole. At most 3 bytes go.
std::string_view without_cut_character(std::string_view text);

// Whether the bytes after a cut, of which three are enough, show that what without_cut_character
// would leave out of `text` is no character, so that the text is not UTF-8.
bool cut_character_is_none(std::string_view text, std::string_view behind);

// The largest n <= size such that text[0, n) ends on a character boundary, for text that is
// valid UTF-8; at most 3 less than size.
size_t character_boundary(std::string_view text, size_t size);

}  // namespace tcp_sniffer
