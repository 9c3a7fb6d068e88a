#include "core/line/terminal_text.h"

namespace tcp_sniffer {

bool harms_a_terminal(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||  // C0, DEL, C1
         code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

// The lead byte says the size; the smallest code of each size rules out overlong forms.
Utf8Character first_character(std::string_view text) {
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
  if (size == 0 || lead >= 0xf8 || text.size() < size) return {};
  uint32_t code = lead & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xc0) != 0x80) return {};
    code = code << 6 | (byte & 0x3f);
  }
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

TerminalHarm find_terminal_harm(std::string_view utf8) {
  // Their lead bytes: of U+061C, of U+200B to 206F, of U+FEFF.
  constexpr std::string_view kLeads = "\xd8\xe2\xef";
  for (size_t at = 0; (at = utf8.find_first_of(kLeads, at)) != std::string_view::npos; ++at) {
    const Utf8Character character = first_character(utf8.substr(at));
    if (character.size > 1 && harms_a_terminal(character.code)) {
      return {at, character.size, character.code};
    }
  }
  return {utf8.size(), 0, 0};
}

}  // namespace tcp_sniffer
