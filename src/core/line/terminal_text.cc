#include "core/line/terminal_text.h"

#include "core/base/text_encoding.h"

namespace tcp_sniffer {

bool harms_a_terminal(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||  // C0, DEL, C1
         code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
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
