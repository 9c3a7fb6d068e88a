#include "core/line/pretty_body.h"

#include <algorithm>
#include <string>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/text_encoding.h"
#include "core/field/field_words.h"
#include "core/line/hex_dump.h"
#include "core/line/json_string.h"
#include "core/line/short_text.h"
#include "core/line/terminal_text.h"
#include "core/message/body_text.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kIndentMax = 40;  // columns; deeper values are not moved further

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kNameColour = "\x1b[36m";
constexpr std::string_view kTextColour = "\x1b[32m";
constexpr std::string_view kNumberColour = "\x1b[33m";
constexpr std::string_view kWordColour = "\x1b[35m";
constexpr std::string_view kRemarkColour = "\x1b[31m";

bool contains_ignoring_case(std::string_view text, std::string_view lower) {
  const auto found = std::search(text.begin(), text.end(), lower.begin(), lower.end(),
                                 [](char a, char b) { return ascii_lower(a) == b; });
  return found != text.end();
}

// The value of a parameter like `boundary=x` or `name="x"`, as it is sent.
std::string_view parameter(std::string_view field, std::string_view name) {
  for (size_t at = 0; at + name.size() < field.size(); ++at) {
    const bool begins = at == 0 || field[at - 1] == ';' || field[at - 1] == ' ';
    if (!begins || field[at + name.size()] != '=' ||
        !equal_ignoring_case(field.substr(at, name.size()), name)) {
      continue;
    }
    std::string_view value = field.substr(at + name.size() + 1);
    if (!value.starts_with('"')) return value.substr(0, value.find_first_of("; \r\n"));
    value.remove_prefix(1);
    return value.substr(0, value.find('"'));
  }
  return {};
}

std::string_view content_type_of(const Message& message) {
  const HeaderField* field = find_header(message.headers, "content-type");
  return field == nullptr ? std::string_view{} : field->value;
}

// Undoes the coding of forms (URL Standard, application/x-www-form-urlencoded).
std::string form_text(std::string_view coded) {
  std::string text;
  for (size_t i = 0; i < coded.size(); ++i) {
    const int high = i + 2 < coded.size() ? hex_value(coded[i + 1]) : -1;
    const int low = i + 2 < coded.size() ? hex_value(coded[i + 2]) : -1;
    if (coded[i] == '%' && high >= 0 && low >= 0) {
      text += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      text += coded[i] == '+' ? ' ' : coded[i];
    }
  }
  return text;
}

// Text that people can read: no control characters but those of lines.
bool is_shown_as_text(std::string_view text) {
  const bool has_controls = std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<uint8_t>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
  });
  return !has_controls && is_utf8(text);
}

// Where a string of JSON ends, its quotes included.
size_t string_size(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

PrettyBodyWriter::Kind PrettyBodyWriter::kind_of(const Message& message, std::string_view text) {
  const std::string_view type = content_type_of(message);
  if (contains_ignoring_case(type, "multipart/") && !parameter(type, "boundary").empty()) {
    return Kind::kMultipart;
  }
  if (message.body_binary || !is_utf8(text) || text.find('\0') != std::string_view::npos) {
    return Kind::kBinary;
  }
  if (contains_ignoring_case(type, "json")) return Kind::kJson;
  if (contains_ignoring_case(type, "x-www-form-urlencoded")) return Kind::kForm;
  return Kind::kText;
}

void PrettyBodyWriter::write(const Message& message, std::string_view prefix, LineSink& sink) {
  if (message.body_size == 0 || (!message.body_kept && !message.body_withheld)) return;
  sink_ = &sink;
  prefix_ = prefix;
  lines_ = 0;
  is_cut_ = message.body_truncated || message.incomplete != Incomplete::kNo;
  begin_line();
  end_line();
  const std::string_view text = body_text(message);
  if (message.body_withheld) {
    begin_line();
    add("(left out, because it cannot be searched for what is to be hidden)");
    return end_line();
  }
  switch (kind_of(message, text)) {
    case Kind::kText:
      write_text(text);
      break;
    case Kind::kJson:
      write_json(text);
      break;
    case Kind::kForm:
      write_form(text);
      break;
    case Kind::kMultipart:
      write_multipart(message.body, parameter(content_type_of(message), "boundary"));
      break;
    case Kind::kBinary:
      write_dump(message.body);
      break;
  }
  if (!is_cut_) return;
  lines_ = 0;
  begin_line();
  add_colour(kRemarkColour);
  add("(not all of ");
  add(size_text(message.body_size).view());
  add(")");
  add_colour(kReset);
  end_line();
}

void PrettyBodyWriter::write_text(std::string_view text) {
  while (!text.empty()) {
    if (!begin_line()) return;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    add(line);
    end_line();
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

// Only spaces are changed, so that a text which is no JSON can still be read.
void PrettyBodyWriter::write_json(std::string_view text) {
  size_t depth = 0;
  const auto rest = [&](size_t at) {
    const size_t next = text.find_first_not_of(kSpace, at);
    return text.substr(std::min(next, text.size()));
  };
  const auto break_line = [&] {
    end_line();
    return begin_line(std::min(2 * depth, kIndentMax));
  };
  text = rest(0);
  if (text.empty() || !begin_line()) return;
  bool complete = false;  // a whole value at the top
  while (!text.empty()) {
    const char c = text.front();
    if (complete && !break_line()) return;
    complete = false;
    size_t size = 1;
    if (c == '{' || c == '[') {
      const std::string_view inside = rest(1);
      if (inside.starts_with(c == '{' ? '}' : ']')) {
        add(c == '{' ? "{}" : "[]");
        size = static_cast<size_t>(inside.data() + 1 - text.data());
        complete = depth == 0;
      } else {
        add(text.substr(0, 1));
        ++depth;
        if (!break_line()) return;
      }
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
      if (!break_line()) return;
      add(text.substr(0, 1));
      complete = depth == 0;
    } else if (c == ',') {
      add(",");
      if (!break_line()) return;
    } else if (c == ':') {
      add(": ");
    } else if (c == '"') {
      size = string_size(text);
      const bool is_name = rest(size).starts_with(':');
      add_colour(is_name ? kNameColour : kTextColour);
      add(text.substr(0, size));
      add_colour(kReset);
      complete = depth == 0;
    } else {
      size = std::min(text.find_first_of(" \t\r\n,:\"{}[]"), text.size());
      const bool is_number = c == '-' || is_digit(c);
      add_colour(is_number ? kNumberColour : kWordColour);
      add(text.substr(0, size));
      add_colour(kReset);
      complete = depth == 0;
    }
    text = rest(size);
  }
  end_line();
}

void PrettyBodyWriter::write_form(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view field = text.substr(0, end);
    if (!field.empty()) {
      if (!begin_line()) return;
      const size_t equals = std::min(field.find('='), field.size());
      add_field(form_text(field.substr(0, equals)),
                form_text(field.substr(std::min(field.size(), equals + 1))));
      end_line();
    }
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

// RFC 2046 section 5.1.
void PrettyBodyWriter::write_multipart(std::string_view body, std::string_view boundary) {
  const std::string delimiter = "--" + std::string(boundary);
  size_t at = body.find(delimiter);
  while (at != std::string_view::npos) {
    at += delimiter.size();
    if (body.substr(at).starts_with("--")) return;
    at = body.find('\n', at);
    if (at == std::string_view::npos) return;
    const size_t end = body.find(delimiter, at);
    std::string_view part = body.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    if (part.ends_with('\n')) part.remove_suffix(1);
    if (part.ends_with('\r')) part.remove_suffix(1);
    write_part(part);
    at = end;
  }
}

void PrettyBodyWriter::write_part(std::string_view part) {
  size_t head_end = part.find("\r\n\r\n");
  size_t body_at = head_end + 4;
  if (head_end == std::string_view::npos) {
    head_end = part.find("\n\n");
    body_at = head_end + 2;
  }
  if (head_end == std::string_view::npos) head_end = body_at = part.size();
  const std::string_view head = part.substr(0, head_end);
  const std::string_view body = part.substr(std::min(body_at, part.size()));
  const std::string_view file = parameter(head, "filename");
  if (!begin_line()) return;
  const bool is_value =
      file.empty() && is_shown_as_text(body) && body.find('\n') == std::string_view::npos;
  if (is_value) {
    add_field(parameter(head, "name"), body);
  } else {
    const std::string size = "(" + std::string(size_text(body.size()).view()) + ")";
    add_field(parameter(head, "name"), file.empty() ? size : std::string(file) + " " + size);
  }
  end_line();
}

void PrettyBodyWriter::write_dump(std::string_view body) {
  for (size_t at = 0; at < body.size(); at += kHexDumpBytes) {
    if (at == kDumpLinesMax * kHexDumpBytes) {
      is_cut_ = true;
      return;
    }
    if (!begin_line()) return;
    const std::string_view bytes = body.substr(at, kHexDumpBytes);
    std::string line;
    append_hex_line(at, 4, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, line);
    add(line);
    end_line();
  }
}

// ---------------------------------------------------------------- lines

bool PrettyBodyWriter::begin_line(size_t indent) {
  if (lines_ == kLinesMax) {
    is_cut_ = true;
    return false;
  }
  append_verbatim(prefix_, *sink_);
  const std::string blanks(indent, ' ');
  append_verbatim(blanks, *sink_);
  line_bytes_ = 0;
  return true;
}

void PrettyBodyWriter::end_line() {
  ++lines_;
  append_verbatim("\n", *sink_);
}

void PrettyBodyWriter::add(std::string_view text) {
  const size_t room = kLineBytesMax - line_bytes_;
  if (text.size() > room) {
    is_cut_ = true;
    text = text.substr(0, is_utf8(text) ? character_boundary(text, room) : room);
    line_bytes_ = kLineBytesMax;
  } else {
    line_bytes_ += text.size();
  }
  // A tab does no harm.
  for (size_t tab = 0; (tab = text.find('\t')) != std::string_view::npos;) {
    append_for_terminal(text.substr(0, tab), *sink_);
    append_verbatim("\t", *sink_);
    text.remove_prefix(tab + 1);
  }
  append_for_terminal(text, *sink_);
}

void PrettyBodyWriter::add_colour(std::string_view code) {
  if (colours_) append_verbatim(code, *sink_);
}

void PrettyBodyWriter::add_field(std::string_view name, std::string_view value) {
  add_colour(kNameColour);
  add(name);
  add_colour(kReset);
  add(": ");
  add(value);
}

}  // namespace tcp_sniffer
