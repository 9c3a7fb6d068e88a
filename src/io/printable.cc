#include "io/printable.h"

#include <cstdint>
#include <cstdio>

namespace tcp_sniffer {
namespace {

struct Character {
  uint32_t code = 0;
  size_t size = 0;  // 0: no well-formed character begins here
};

// RFC 3629 section 4: the lead byte says the size; the smallest code of each size rules out
// overlong forms.
Character decode_utf8(std::string_view text) {
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

bool harms_a_terminal(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||  // C0, DEL, C1
         code == 0x200e || code == 0x200f ||               // direction marks
         (code >= 0x2028 && code <= 0x202e) ||             // separators, embeddings, overrides
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

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
    const Character character = decode_utf8(text);
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
  size_t size = text.size();
  if (size > size_max) {
    size = size_max;
    // Back to the start of the character that the cut would split.
    while (size > 0 && size + 4 > size_max && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) {
      --size;
    }
  }
  std::string out = "\"";
  for (const char c : printable(text.substr(0, size))) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += size < text.size() ? "...\"" : "\"";
  return out;
}

}  // namespace tcp_sniffer
