#include "io/base/printable.h"

#include <cstdint>
#include <cstdio>

#include "core/base/text_encoding.h"
#include "core/line/terminal_text.h"

namespace tcp_sniffer {
namespace {

void append_escape(std::string& out, uint32_t code, size_t size) {
  char text[16];
  if (code == '\n' || code == '\r' || code == '\t') {
    std::snprintf(text, sizeof text, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
  } else {
    std::snprintf(text, sizeof text, size > 1 ? "\\u{%x}" : "\\x%02x", code);
  }
  out += text;
}

}  // namespace

void append_printable(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    if (character.size == 0) {
      append_escape(out, static_cast<uint8_t>(text[0]), 1);
      text.remove_prefix(1);
      continue;
    }
    if (harms_a_terminal(character.code)) {
      append_escape(out, character.code, character.size);
    } else {
      out.append(text.substr(0, character.size));
    }
    text.remove_prefix(character.size);
  }
}

std::string printable(std::string_view text) {
  std::string out;
  append_printable(out, text);
  return out;
}

std::string quote_text(std::string_view text, size_t size_max) {
  const bool cut = text.size() > size_max;
  if (cut) text = without_cut_character(text.substr(0, size_max));
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += cut ? "...\"" : "\"";
  return out;
}

}  // namespace tcp_sniffer
