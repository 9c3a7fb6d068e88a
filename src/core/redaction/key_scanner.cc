#include "core/redaction/key_scanner.h"

#include <algorithm>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kBareEnds = " \t\r\n,:{}[]();<>\"'=&?#|";

size_t backslashes_before(std::string_view text, size_t at) {
  size_t count = 0;
  while (count < at && text[at - 1 - count] == '\\') ++count;
  return count;
}

// How many strings a quote with so many backslashes before it is in: JSON in a string of JSON has
// \", one level further it is \\\".
size_t level_of_quote(size_t backslashes) {
  size_t level = 0;
  for (; backslashes % 2 == 1; backslashes = (backslashes - 1) / 2) ++level;
  return level;
}

// The same of u0022.
size_t level_of_code(size_t backslashes) {
  size_t level = 0;
  for (; backslashes % 2 == 0; backslashes /= 2) {
    if (backslashes == 0) return kNotFound;
    ++level;
  }
  return level + 1 + level_of_quote((backslashes - 1) / 2);
}

struct Quote {
  size_t begin = kNotFound;  // with its backslashes
  size_t end = 0;
  size_t level = 0;
};

// The quote written as `quote`, or as its code, whose sign or 'u' stands at `at`; begin is npos
// when there is none.
Quote quote_at(std::string_view text, size_t at, char quote) {
  const size_t before = backslashes_before(text, at);
  if (text[at] == quote) return {at - before, at + 1, level_of_quote(before)};
  const std::string_view code = quote == '"' ? "0022" : "0027";
  if (text[at] != 'u' || before == 0 || text.substr(at + 1, 4) != code) return {};
  const size_t level = level_of_code(before);
  return level == kNotFound ? Quote{} : Quote{at - before, at + 5, level};
}

// The first quote from `from` on that ends a string of this level, or one around it.
Quote closing_quote(std::string_view text, size_t from, char quote, size_t level) {
  const char signs[] = {quote, 'u'};
  for (size_t at = from; (at = text.find_first_of({signs, 2}, at)) != kNotFound; ++at) {
    Quote found = quote_at(text, at, quote);
    if (found.begin == kNotFound || found.level > level) continue;
    // Backslashes that are part of the string's text are not the quote's.
    const size_t own = (size_t{1} << std::min<size_t>(found.level, 32)) - 1;
    if (text[at] == quote) found.begin = at - std::min(at - found.begin, own);
    found.begin = std::max(found.begin, from);
    return found;
  }
  return {text.size(), text.size(), 0};
}

size_t behind_space(std::string_view text, size_t at) {
  for (;;) {
    at = std::min(text.find_first_not_of(kSpace, at), text.size());
    // In a string a line break is written \n.
    size_t escape = at;
    while (escape < text.size() && text[escape] == '\\') ++escape;
    if (escape == at || escape == text.size()) return at;
    if (std::string_view("nrt").find(text[escape]) == kNotFound) return at;
    at = escape + 1;
  }
}

// After the bracket that closes the one at `from`; strings around end it, too.
size_t container_end(std::string_view text, size_t from, char quote, size_t level) {
  size_t depth = 0;
  const std::string_view signs = quote == '"' ? "{}[]\"u" : "{}[]\"'u";
  for (size_t at = from; (at = text.find_first_of(signs, at)) != kNotFound; ++at) {
    const char sign = text[at];
    if (sign == '{' || sign == '[') {
      ++depth;
    } else if (sign == '}' || sign == ']') {
      if (--depth == 0) return at + 1;
    } else {
      const Quote opening = quote_at(text, at, sign == '\'' ? '\'' : '"');
      if (opening.begin == kNotFound || opening.level > level) continue;
      if (opening.level < level) return opening.begin;
      at = closing_quote(text, opening.end, sign == '\'' ? '\'' : '"', level).end;
      if (at >= text.size()) break;
      --at;
    }
  }
  return text.size();
}

}  // namespace

KeyScanner::KeyScanner(const FieldNames& names) : names_(names) {
  size_t entries = 0;
  for (size_t path = 0; path < names.paths(); ++path) {
    first_.push_back(entries);
    entries += names.size(path);
  }
  met_until_.resize(entries);
}

void KeyScanner::scan(std::string_view text, Spans& spans) {
  if (names_.empty()) return;
  std::fill(met_until_.begin(), met_until_.end(), 0);
  const size_t first = text.find_first_not_of(kSpace);
  is_json_ = first != kNotFound && (text[first] == '{' || text[first] == '[' || text[first] == '"');
  for (size_t colon = 0; (colon = text.find(':', colon)) != kNotFound && !spans.too_many();) {
    const Key key = key_before(text, colon);
    if (key.name.empty() || !covers(text, colon, key)) {
      ++colon;
      continue;
    }
    const Spans::Span value = value_at(text, colon + 1, key);
    if (value.begin < text.size()) spans.add(value);
    colon = std::max(value.end, colon + 1);
  }
}

bool KeyScanner::find(std::string_view text) {
  Spans spans;
  scan(text, spans);
  return !spans.empty();
}

KeyScanner::Key KeyScanner::key_before(std::string_view text, size_t colon) {
  size_t end = colon;
  while (end > 0 && kSpace.find(text[end - 1]) != kNotFound) --end;
  const size_t least = end > kKeyMax ? end - kKeyMax : 0;
  if (end == 0) return {};
  for (const char quote : {'"', '\''}) {
    Quote closing = quote_at(text, end - 1, quote);
    if (closing.begin == kNotFound && end >= 6) closing = quote_at(text, end - 5, quote);
    if (closing.begin == kNotFound || closing.end != end) continue;
    for (size_t at = closing.begin; at-- > least;) {
      if (text[at] != quote && text[at] != 'u') continue;
      const Quote opening = quote_at(text, at, quote);
      if (opening.begin == kNotFound || opening.level > closing.level) continue;
      return {text.substr(opening.end, closing.begin - opening.end), quote, closing.level};
    }
    return {};
  }
  size_t begin = end;
  while (begin > least && kBareEnds.find(text[begin - 1]) == kNotFound) --begin;
  return {text.substr(begin, end - begin), 0, 0};
}

// Takes note of what the key begins, too.
bool KeyScanner::covers(std::string_view text, size_t colon, const Key& key) {
  name_.assign(key.name);
  for (int i = 0; i < 4 && undo_json_escapes(name_); ++i) {
  }
  size_t until = 0;
  for (size_t path = 0; path < names_.paths(); ++path) {
    size_t around = names_.size(path) - 1;
    while (around > 0 && met_until(path, around) <= colon) --around;
    const size_t met = names_.meet(path, around, name_);
    if (met == names_.size(path)) return true;
    if (met == around) continue;
    if (until == 0) {
      const Spans::Span value = value_at(text, colon + 1, key);
      until = std::max(value.end, colon + 1);
    }
    for (size_t number = around + 1; number <= met; ++number) met_until(path, number) = until;
  }
  return false;
}

Spans::Span KeyScanner::value_at(std::string_view text, size_t from, const Key& key) const {
  const size_t begin = behind_space(text, from);
  if (begin == text.size()) return {begin, begin};
  size_t sign = begin;
  while (sign + 1 < text.size() && text[sign] == '\\') ++sign;
  for (const char quote : {'"', '\''}) {
    const Quote opening = quote_at(text, sign, quote);
    if (opening.begin == kNotFound) continue;
    const Quote closing = closing_quote(text, opening.end, quote, opening.level);
    return {opening.end, closing.begin, ValueCoding::kJson, closing.end == closing.begin, false};
  }
  const bool quoted = key.quote != 0 && key.level == 0;
  if (text[begin] == '{' || text[begin] == '[') {
    const size_t end = container_end(text, begin, key.quote, key.level);
    return {begin, end, ValueCoding::kNone, end == text.size(), quoted};
  }
  const bool literal =
      key.quote != 0 && std::string_view("+-.0123456789tfnNI").find(text[begin]) != kNotFound;
  // A text that is no literal may hold anything, to the end of its line.
  const std::string_view ends = literal    ? ",}] \t\r\n\"'<;\\"
                                : is_json_ ? std::string_view("\r\n\"")
                                           : std::string_view("\r\n");
  const size_t end = std::min(text.find_first_of(ends, begin), text.size());
  return {begin, end, ValueCoding::kNone, end == text.size(), quoted && literal};
}

}  // namespace tcp_sniffer
