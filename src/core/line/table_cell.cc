#include "core/line/table_cell.h"

#include <cstring>

#include "core/line/json_string.h"

namespace tcp_sniffer {
namespace {

// What spreadsheets take for the beginning of a formula, in a text with the escapes of JSON: = + -
// @, their full-width forms, and what they pass over in front of them.
bool begins_formula(std::string_view escaped) {
  constexpr std::string_view kBeginnings[] = {"=",   "+",      "-",      "@",      "\\t",   "\\r",
                                              "\\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"};
  for (const std::string_view beginning : kBeginnings) {
    if (escaped.starts_with(beginning)) return true;
  }
  return false;
}

bool needs_quotes(std::string_view cell) {
  return cell.find_first_of("\",") != std::string_view::npos || cell.starts_with(' ') ||
         cell.ends_with(' ');
}

void append_quoted(std::string_view cell, std::string& out) {
  out += '"';
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

// Undoes the escapes of quotes.
void append_unescaped(std::string_view escaped, std::string& out) {
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\') {
      ++i;
      if (escaped[i] != '"') out += '\\';
    }
    out += escaped[i];
  }
}

}  // namespace

void TableCells::append_name(std::string_view name, std::string& row) const {
  if (csv_ && needs_quotes(name)) {
    append_quoted(name, row);
  } else {
    row += name;
  }
}

void TableCells::finish(size_t start, LineSink& sink) {
  const char first = *(sink.reserve(0) - (sink.size() - start));
  if (first == '"') {
    finish_text(start, sink);
  } else if (csv_ && (first == '{' || first == '[')) {
    finish_json(start, sink);
  }
}

void TableCells::finish_json(size_t start, LineSink& sink) {
  const size_t size = sink.size() - start;
  cell_.clear();
  append_quoted({sink.reserve(0) - size, size}, cell_);
  cut_line(sink, start);
  append_verbatim(cell_, sink);
}

void TableCells::finish_text(size_t start, LineSink& sink) {
  char* const cell = sink.reserve(0) - (sink.size() - start);
  const std::string_view text(cell + 1, sink.size() - start - 2);
  const bool formula = begins_formula(text);
  const bool plain = !formula && text.find('\\') == std::string_view::npos;
  if (plain && !(csv_ && needs_quotes(text))) {
    const size_t size = text.size();
    std::memmove(cell, cell + 1, size);
    return cut_line(sink, start + size);
  }
  text_.clear();
  if (formula) text_ += '\'';
  const bool keeps_first = !csv_ && !formula && text.starts_with("\\\"");
  if (keeps_first) text_ += "\\\"";
  append_unescaped(text.substr(keeps_first ? 2 : 0), text_);
  cell_.clear();
  append_name(text_, cell_);
  cut_line(sink, start);
  append_verbatim(cell_, sink);
}

}  // namespace tcp_sniffer
