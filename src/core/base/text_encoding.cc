#include "core/base/text_encoding.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace tcp_sniffer {
namespace {

// How many bytes a character that begins with this byte has; 1 for bytes that begin none.
size_t character_size(char byte) {
  const auto lead = static_cast<uint8_t>(byte);
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  return 1;
}

// RFC 3629 section 4: after some lead bytes not every continuation byte is allowed.
bool may_be_second(char lead, char second) {
  const auto byte = static_cast<uint8_t>(second);
  switch (static_cast<uint8_t>(lead)) {
    case 0xe0:
      return byte >= 0xa0;
    case 0xed:
      return byte < 0xa0;
    case 0xf0:
      return byte >= 0x90;
    case 0xf4:
      return byte < 0x90;
    default:
      return true;
  }
}

}  // namespace

bool is_ascii(std::string_view text) {
  uint8_t bits = 0;
  for (const char byte : text) bits |= static_cast<uint8_t>(byte);
  return bits < 0x80;
}

// A long text is looked at in two parts, because simdjson reads to the end whatever it has found,
// and bytes that are no text show it soon.
bool is_utf8(std::string_view text) {
  constexpr size_t kFirstPart = 512;
  if (text.size() > 8 * kFirstPart) {
    // Before a character, so that both parts are UTF-8 if the text is.
    const size_t size = character_boundary(text.substr(0, kFirstPart + 1), kFirstPart);
    if (!simdjson::validate_utf8(text.data(), size)) return false;
    text.remove_prefix(size);
  }
  return simdjson::validate_utf8(text.data(), text.size());
}

Utf8Character first_character(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t size = character_size(text[0]);
  if (size == 1 || text.size() < size || !may_be_second(text[0], text[1])) return {};
  uint32_t code = lead & (0xffu >> (size + 1));
  for (const char byte : text.substr(1, size - 1)) {
    if (begins_character(byte)) return {};
    code = code << 6 | (static_cast<uint8_t>(byte) & 0x3f);
  }
  return {code, size};
}

std::string_view without_cut_character(std::string_view text) {
  size_t lead = text.size();
  while (lead > 0 && text.size() - lead < 4) {
    --lead;
    if (!begins_character(text[lead])) continue;
    const size_t there = text.size() - lead;
    const bool cut = character_size(text[lead]) > there &&
                     (there == 1 || may_be_second(text[lead], text[lead + 1]));
    return cut ? text.substr(0, lead) : text;
  }
  return text;
}

bool cut_character_is_none(std::string_view text, std::string_view behind) {
  const size_t cut = text.size() - without_cut_character(text).size();
  if (cut == 0 || behind.empty()) return false;
  std::array<char, 4> bytes{};
  const std::string_view before = text.substr(text.size() - cut);
  const size_t size = std::min(character_size(before.front()), cut + behind.size());
  before.copy(bytes.data(), cut);
  behind.copy(bytes.data() + cut, size - cut);
  const std::string_view character(bytes.data(), size);
  return size == character_size(before.front()) ? !is_utf8(character)
                                                : without_cut_character(character) == character;
}

size_t character_boundary(std::string_view text, size_t size) {
  if (size >= text.size()) return text.size();
  while (size > 0 && !begins_character(text[size])) --size;
  return size;
}

}  // namespace tcp_sniffer
