#include "core/redaction/body_type.h"

#include <algorithm>
#include <array>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/text_encoding.h"
#include "core/redaction/names.h"

namespace tcp_sniffer {
namespace {

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), ascii_lower);
  return made;
}

// Supersets of ASCII in which no other character has a byte of ASCII.
bool is_ascii_superset(std::string_view charset) {
  static constexpr std::array<std::string_view, 6> kBegins = {
      "utf-8", "utf8", "us-ascii", "iso-8859-", "windows-125", "latin"};
  return charset.empty() || charset == "ascii" ||
         std::any_of(kBegins.begin(), kBegins.end(),
                     [charset](std::string_view begin) { return charset.starts_with(begin); });
}

void read_content_type(std::string_view value, BodyType& type) {
  type.is_named = true;
  const std::string media = lower(without_space(value.substr(0, value.find_first_of(";,"))));
  type.is_json |= media.ends_with("/json") || media.ends_with("+json");
  type.is_form |= media == "application/x-www-form-urlencoded";
  type.is_plain |= media == "text/plain";
  if (media.starts_with("multipart/")) {
    type.is_multipart = true;
    read_parameter(value, "boundary", type.boundary);
  }
  std::string charset;
  if (read_parameter(value, "charset", charset)) {
    type.is_other_text |= !is_ascii_superset(lower(without_space(charset)));
  }
}

void count_codings(std::string_view value, BodyType& type) {
  for (size_t at = 0; at < value.size();) {
    const size_t end = std::min(value.find(',', at), value.size());
    const std::string_view coding = without_space(value.substr(at, end - at));
    if (!coding.empty() && !equal_ignoring_case(coding, "identity")) type.codings++;
    at = end + 1;
  }
}

// Appends what is in quotes, or up to ';'.
void append_value(std::string_view rest, bool extended, std::string& value) {
  const size_t begin = std::min(rest.find_first_not_of(kSpace), rest.size());
  rest.remove_prefix(begin);
  std::string piece;
  if (rest.starts_with('"')) {
    for (size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
      if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
      piece += rest[i];
    }
  } else {
    piece = without_space(rest.substr(0, rest.find_first_of(";\r\n")));
  }
  if (extended) {
    const size_t quotes = piece.find('\'');
    const size_t second = quotes == kNotFound ? kNotFound : piece.find('\'', quotes + 1);
    if (second != kNotFound) piece.erase(0, second + 1);
    undo_percent_encoding(piece);
  }
  value += piece;
}

}  // namespace

BodyType read_body_type(std::span<const HeaderField> fields) {
  static const HeaderNames type_names({"content-type"});
  static const HeaderNames coding_names({"content-encoding"});
  BodyType type;
  for (const HeaderField& field : fields) {
    if (type_names.cover(field.name)) read_content_type(field.value, type);
    if (coding_names.cover(field.name)) count_codings(field.value, type);
  }
  return type;
}

bool read_parameter(std::string_view field, std::string_view name, std::string& value) {
  bool found = false;
  value.clear();
  for (size_t at = 0; at + name.size() < field.size(); ++at) {
    if (!equal_ignoring_case(field.substr(at, name.size()), name)) continue;
    if (at > 0 && std::string_view("; \t\r\n,").find(field[at - 1]) == kNotFound) continue;
    size_t next = at + name.size();
    bool extended = false;
    while (next < field.size() && (field[next] == '*' || is_digit(field[next]))) {
      extended |= field[next++] == '*';
    }
    next = field.find_first_not_of(kSpace, next);
    if (next == kNotFound || field[next] != '=') continue;
    append_value(field.substr(next + 1), extended, value);
    found = true;
    at = next;
  }
  return found;
}

bool is_readable(std::string_view text, bool cut_before, bool cut_after) {
  if (text.find('\0') != kNotFound) return false;
  for (int i = 0; cut_before && i < 3 && !text.empty(); ++i) {
    if (begins_character(text.front())) break;
    text.remove_prefix(1);
  }
  return is_utf8(cut_after ? without_cut_character(text) : text);
}

}  // namespace tcp_sniffer
