#include "core/redaction/patterns.h"

#include <re2/re2.h>

#include <algorithm>

#include "core/redaction/names.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kMatchEnds = " \t\r\n\"'<>&,;?#";

re2::RE2::Options options() {
  re2::RE2::Options made;
  made.set_log_errors(false);
  made.set_max_mem(Patterns::kMemoryMax);
  return made;
}

// The next match that is not empty.
bool find(const re2::RE2& pattern, std::string_view text, size_t from, size_t& begin, size_t& end) {
  const re2::StringPiece whole(text.data(), text.size());
  re2::StringPiece match;
  while (from <= text.size() &&
         pattern.Match(whole, from, text.size(), re2::RE2::UNANCHORED, &match, 1)) {
    begin = static_cast<size_t>(match.data() - text.data());
    end = begin + match.size();
    if (!match.empty()) return true;
    from = end + 1;
  }
  return false;
}

}  // namespace

Patterns::Patterns(const std::vector<std::string>& expressions) {
  for (const std::string& expression : expressions) {
    patterns_.push_back(std::make_unique<re2::RE2>(expression, options()));
  }
}

Patterns::~Patterns() = default;

std::string Patterns::fault_of(const std::string& expression) {
  const re2::RE2 pattern(expression, options());
  return pattern.ok() ? std::string() : pattern.error();
}

void Patterns::scan(std::string_view text, bool is_cut, Spans& spans) const {
  if (patterns_.empty()) return;
  if (is_cut) {
    const size_t begin = text.find_last_of(kMatchEnds) + 1;  // npos + 1 is 0
    if (begin < text.size()) spans.add({begin, text.size(), ValueCoding::kNone, true, false});
  }
  for (const auto& pattern : patterns_) {
    size_t begin = 0;
    size_t end = 0;
    while (!spans.too_many() && find(*pattern, text, end, begin, end)) spans.add(begin, end);
  }
}

bool Patterns::match(std::string_view text) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [text](const auto& pattern) {
    size_t begin = 0;
    size_t end = 0;
    return find(*pattern, text, 0, begin, end);
  });
}

void Patterns::scan_escaped(std::string_view text, Spans& spans) {
  if (text.find('\\') == std::string_view::npos) return;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    for (; end < text.size() && text[end] != '"'; ++end) {
      if (text[end] == '\\') ++end;
    }
    end = std::min(end, text.size());
    const std::string_view piece = text.substr(at, end - at);
    if (piece.find('\\') != std::string_view::npos) {
      unescaped_.assign(piece);
      undo_json_escapes(unescaped_);
      if (match(unescaped_)) spans.add(at, end, ValueCoding::kJson);
    }
    at = end + 1;
  }
}

}  // namespace tcp_sniffer
