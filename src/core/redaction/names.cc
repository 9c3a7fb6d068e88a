#include "core/redaction/names.h"

#include <algorithm>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

bool is_visible(char c) {
  return c > ' ' && c < 0x7f;  // bytes beyond ASCII are negative or above
}

char header_char(char c) {
  return c == '_' ? '-' : ascii_lower(c);
}

std::string canonical_header(std::string_view name) {
  std::string canonical;
  for (const char c : name) {
    if (is_visible(c)) canonical += header_char(c);
  }
  return canonical;
}

bool same_header(std::string_view canonical, std::string_view name) {
  size_t at = 0;
  for (const char c : name) {
    if (!is_visible(c)) continue;
    if (at == canonical.size() || canonical[at] != header_char(c)) return false;
    ++at;
  }
  return at == canonical.size();
}

constexpr std::string_view kElementEnds(".[]\0", 4);

char element_char(char c) {
  return c == '-' || c == ' ' || c == '+' ? '_' : ascii_lower(c);
}

char whole_char(char c) {
  return c == '.' ? '_' : element_char(c);
}

std::string_view trimmed(std::string_view text, bool (*is_around)(char)) {
  while (!text.empty() && is_around(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_around(text.back())) text.remove_suffix(1);
  return text;
}

bool is_padding(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '+';
}

bool is_padding_or_wide(char c) {
  return is_padding(c) || !is_visible(c);
}

// Without blanks around, and without wide characters, which may be blanks, unless there are no
// others.
std::string_view without_blanks(std::string_view text) {
  const std::string_view visible = trimmed(text, is_padding_or_wide);
  return visible.empty() ? trimmed(text, is_padding) : visible;
}

// Takes the next element off the front of `name`, empty ones left out; empty: there is none.
std::string_view take_element(std::string_view& name) {
  while (!name.empty() && name.front() != '\0') {
    const size_t end = std::min(name.find_first_of(kElementEnds), name.size());
    const std::string_view element = without_blanks(name.substr(0, end));
    const bool more = end < name.size() && name[end] != '\0';
    name.remove_prefix(more ? end + 1 : name.size());
    if (!element.empty()) return element;
  }
  return {};
}

bool same_text(std::string_view canonical, std::string_view text, char (*canonical_char)(char)) {
  return std::equal(canonical.begin(), canonical.end(), text.begin(), text.end(),
                    [canonical_char](char a, char b) { return a == canonical_char(b); });
}

// The name up to an index or what follows a NUL.
std::string_view whole_name(std::string_view name) {
  return without_blanks(name.substr(0, name.find_first_of(std::string_view("[\0", 2))));
}

// The number that `count` hexadecimal digits at `at` write, -1 when they are none.
int hex_number(std::string_view text, size_t at, size_t count) {
  if (text.size() < at + count) return -1;
  int number = 0;
  for (const char c : text.substr(at, count)) {
    const int digit = hex_value(c);
    if (digit < 0) return -1;
    number = number * 16 + digit;
  }
  return number;
}

void append_utf8(int code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

}  // namespace

HeaderNames::HeaderNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) names_.push_back(canonical_header(name));
}

bool HeaderNames::cover(std::string_view name) const {
  return std::any_of(names_.begin(), names_.end(),
                     [name](const std::string& header) { return same_header(header, name); });
}

bool HeaderNames::cover_field(std::string_view name, std::string_view value) const {
  if (names_.empty()) return false;
  if (cover(name)) return true;
  for (size_t at = 0; (at = value.find_first_of("\r\n", at)) != std::string_view::npos;) {
    const std::string_view line = value.substr(++at);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    if (cover(line.substr(0, colon))) return true;
  }
  return false;
}

FieldNames::FieldNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    // A name with a separator would cover nothing: each part of it is one.
    for (size_t at = 0; at < name.size();) {
      const size_t end = std::min(name.find_first_of(kSeparators, at), name.size());
      std::string_view rest = std::string_view(name).substr(at, end - at);
      at = end + 1;
      Path path;
      for (std::string_view element; !(element = take_element(rest)).empty();) {
        std::string& canonical = path.elements.emplace_back();
        for (const char c : element) canonical += element_char(c);
        path.whole += (path.whole.empty() ? "" : "_") + canonical;
      }
      if (!path.elements.empty()) paths_.push_back(std::move(path));
    }
  }
}

bool FieldNames::cover(std::string_view name) const {
  for (size_t path = 0; path < paths_.size(); ++path) {
    if (meet(path, 0, name) == size(path)) return true;
  }
  return false;
}

size_t FieldNames::meet(size_t path, size_t met, std::string_view name) const {
  const std::vector<std::string>& elements = paths_[path].elements;
  if (same_text(paths_[path].whole, whole_name(name), whole_char)) return elements.size();
  for (std::string_view element; !(element = take_element(name)).empty();) {
    met += same_text(elements[met], element, element_char) ? 1 : 0;
    if (met == elements.size()) break;
  }
  return met;
}

bool undo_percent_encoding(std::string& text) {
  size_t out = 0;
  bool found = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const bool wide = i + 1 < text.size() && ascii_lower(text[i + 1]) == 'u';
      const int code = wide ? hex_number(text, i + 2, 4) : hex_number(text, i + 1, 2);
      if (code >= 0) {
        c = code < 0x100 ? static_cast<char>(code) : '\x7f';
        i += wide ? 5 : 2;
        found = true;
      }
    }
    text[out++] = c;
  }
  text.resize(out);
  return found;
}

bool undo_json_escapes(std::string& text) {
  if (text.find('\\') == std::string::npos) return false;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    const int code = kind == 'u' ? hex_number(text, i + 1, 4) : -1;
    if (code >= 0) {
      append_utf8(code, out);
      i += 4;
    } else {
      const size_t control = std::string_view("bfnrt").find(kind);
      out += control == std::string_view::npos ? kind : "\b\f\n\r\t"[control];
    }
  }
  text = std::move(out);
  return true;
}

}  // namespace tcp_sniffer
