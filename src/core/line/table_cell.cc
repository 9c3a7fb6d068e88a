#include "core/line/table_cell.h"

#include <algorithm>
#include <cstring>

#include "core/line/json_string.h"

namespace tcp_sniffer {
namespace {

// What spreadsheets take for the beginning of a formula, in a text with the escapes of JSON: = + -
// @, their full-width forms, and what they pass over in front of them.
bool begins_formula(std::string_view escaped) {
  if (escaped.empty()) return false;
  switch (escaped[0]) {
    case '=':
    case '+':
    case '-':
    case '@':
      return true;
    case '\\':
      return escaped[1] == 't' || escaped[1] == 'r' || escaped[1] == 'n';
    case '\xef':
      return escaped.starts_with("\uff1d") || escaped.starts_with("\uff0b") ||
             escaped.starts_with("\uff0d") || escaped.starts_with("\uff20");
    default:
      return false;
  }
}

// In a cell without quotes inside.
bool needs_quotes(std::string_view cell) {
  return cell.find(',') != std::string_view::npos || cell.starts_with(' ') || cell.ends_with(' ');
}

// Replaces the escaped quotes of [in, end) by `quote`, which is not longer, in place. Returns the
// new end.
char* replace_escaped_quotes(char* in, char* const end, std::string_view quote) {
  char* out = in;
  while (in != end) {
    auto* escape = static_cast<char*>(std::memchr(in, '\\', static_cast<size_t>(end - in)));
    if (escape == nullptr) escape = end;
    std::memmove(out, in, static_cast<size_t>(escape - in));
    out += escape - in;
    in = escape;
    if (in == end) break;
    if (in[1] == '"') {
      std::memcpy(out, quote.data(), quote.size());
      out += quote.size();
    } else {
      std::memcpy(out, in, 2);
      out += 2;
    }
    in += 2;
  }
  return out;
}

bool has_escaped_quote(std::string_view escaped) {
  for (size_t at = escaped.find('\\'); at != std::string_view::npos;
       at = escaped.find('\\', at + 2)) {
    if (escaped[at + 1] == '"') return true;
  }
  return false;
}

}  // namespace

void TableCells::append_name(std::string_view name, std::string& row) const {
  const bool quotes = csv_ && needs_quotes(name);
  if (quotes) row += '"';
  row += name;
  if (quotes) row += '"';
}

bool TableCells::finish_plain(char* const cell, size_t size, LineSink& sink) const {
  if (begins_formula({cell, size})) return false;
  if (csv_ && needs_quotes({cell, size})) {
    std::memmove(cell + 1, cell, size);
    *cell = cell[size + 1] = '"';
    size += 2;
  }
  sink.commit(cell + size);
  return true;
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
  const std::string_view json(sink.reserve(0) - size, size);
  cell_ = '"';
  for (size_t at = 0; at < size;) {
    const size_t quote = std::min(json.find('"', at), size - 1);
    cell_ += json.substr(at, quote + 1 - at);
    if (json[quote] == '"') cell_ += '"';
    at = quote + 1;
  }
  cell_ += '"';
  cut_line(sink, start);
  append_verbatim(cell_, sink);
}

// The text stands between two quotes already.
void TableCells::finish_text(size_t start, LineSink& sink) {
  char* end = sink.reserve(1);
  char* const cell = end - (sink.size() - start);
  const std::string_view text(cell + 1, static_cast<size_t>(end - cell) - 2);
  const bool formula = begins_formula(text);
  const bool has_quote = has_escaped_quote(text);
  if (csv_ && (has_quote || needs_quotes(text))) {
    // An escaped quote and a doubled one are equally long.
    if (has_quote) replace_escaped_quotes(cell + 1, end - 1, "\"\"");
    if (formula) {
      std::memmove(cell + 2, cell + 1, static_cast<size_t>(end - cell) - 1);
      cell[1] = '\'';
      end++;
    }
    return sink.commit(end);
  }
  if (has_quote) {
    // One at the beginning stays escaped, unless something stands before it.
    const size_t kept = !formula && text.starts_with("\\\"") ? 2 : 0;
    end = replace_escaped_quotes(cell + 1 + kept, end - 1, "\"") + 1;
  }
  if (formula) {
    *cell = '\'';
    return sink.commit(end - 1);
  }
  std::memmove(cell, cell + 1, static_cast<size_t>(end - cell) - 2);
  sink.commit(end - 2);
}

}  // namespace tcp_sniffer
