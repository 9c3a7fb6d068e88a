#include "core/line/terminal_text.h"

#include <algorithm>

#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/line/json_string.h"

namespace tcp_sniffer {

bool harms_a_terminal(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||  // C0, DEL, C1
         code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

void append_for_terminal(std::string_view text, LineSink& sink) {
  size_t begin = 0;  // of what is shown as it is
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = first_character(text.substr(at));
    const bool shown = character.size > 0 && !harms_a_terminal(character.code);
    if (!shown) {
      append_verbatim(text.substr(begin, at - begin), sink);
      const bool is_byte = character.size == 0;
      const uint32_t code = is_byte ? static_cast<uint8_t>(text[at]) : character.code;
      append_verbatim(is_byte ? "\\x" : "\\u", sink);
      sink.commit(write_hex(sink.reserve(4), code, is_byte ? 2 : 4));
    }
    at += std::max<size_t>(character.size, 1);
    if (!shown) begin = at;
  }
  append_verbatim(text.substr(begin), sink);
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
