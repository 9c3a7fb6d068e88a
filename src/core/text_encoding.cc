#include "core/text_encoding.h"

#include <simdjson.h>

#include <cstdint>

namespace tcp_sniffer {
namespace {

bool is_continuation(char byte) {
  return (static_cast<uint8_t>(byte) & 0xc0) == 0x80;
}

// How many bytes a character that begins with this byte has; 1 for bytes that begin none.
size_t character_size(char byte) {
  const auto lead = static_cast<uint8_t>(byte);
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  return 1;
}

}  // namespace

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string_view without_cut_character(std::string_view text) {
  size_t lead = text.size();
  while (lead > 0 && text.size() - lead < 4) {
    --lead;
    if (is_continuation(text[lead])) continue;
    return character_size(text[lead]) > text.size() - lead ? text.substr(0, lead) : text;
  }
  return text;
}

size_t character_boundary(std::string_view text, size_t size) {
  if (size >= text.size()) return text.size();
  while (size > 0 && is_continuation(text[size])) --size;
  return size;
}

}  // namespace tcp_sniffer
