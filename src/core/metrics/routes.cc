#include "core/metrics/routes.h"

#include <algorithm>

#include "core/base/characters.h"

namespace tcp_sniffer {

namespace {

constexpr std::string_view kRest = "/**";

bool begins_word(char c) {
  return is_letter(c) || c == '_';
}

bool continues_word(char c) {
  return begins_word(c) || is_digit(c);
}

struct Place {
  size_t at = std::string_view::npos;
  size_t size = 0;
};

// The size of the placeholder that the text begins with; 0: it begins with none.
size_t placeholder_size(std::string_view text) {
  if (text[0] == '*') return 1;
  if (text[0] == '{') {
    const size_t end = text.find_first_of("{}", 1);
    return end != std::string_view::npos && end > 1 && text[end] == '}' ? end + 1 : 0;
  }
  if (text[0] != ':' || text.size() < 2 || !begins_word(text[1])) return 0;
  const auto* end = std::find_if_not(text.begin() + 1, text.end(), continues_word);
  return static_cast<size_t>(end - text.begin());
}

// The first one of a segment from `from` on.
Place find_placeholder(std::string_view segment, size_t from) {
  for (size_t at = from; at < segment.size(); at++) {
    if (const size_t size = placeholder_size(segment.substr(at)); size > 0) return {at, size};
  }
  return {};
}

// What stands before the first slash, which is removed with it. False: there is no slash more.
bool next_segment(std::string_view& rest, std::string_view& segment) {
  const size_t slash = rest.find('/');
  segment = rest.substr(0, slash);
  if (slash == std::string_view::npos) return false;
  rest.remove_prefix(slash + 1);
  return true;
}

// Of the origin form and the absolute form (RFC 9112 section 3.2).
std::string_view path_of(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (target.starts_with('/')) return target;
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return {};
  const size_t path = target.find('/', scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace

Routes::Routes(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) patterns_.push_back(parse(pattern));
}

std::string Routes::fault_of(std::string_view pattern) {
  if (!pattern.starts_with('/')) return "it does not begin with a slash";
  if (pattern.size() > kPatternBytesMax) {
    return "it has more than " + std::to_string(kPatternBytesMax) + " bytes";
  }
  std::string_view rest = pattern;
  if (rest.ends_with(kRest)) rest.remove_suffix(kRest.size());
  std::string_view segment;
  for (bool more = true; more;) {
    more = next_segment(rest, segment);
    const Place first = find_placeholder(segment, 0);
    if (first.size > 0 && find_placeholder(segment, first.at + first.size).size > 0) {
      return "a segment has two placeholders";
    }
  }
  return {};
}

Routes::Pattern Routes::parse(std::string_view text) {
  Pattern pattern;
  pattern.text = text;
  pattern.has_rest = text.ends_with(kRest);
  if (pattern.has_rest) text.remove_suffix(kRest.size());
  if (text.empty()) return pattern;
  text.remove_prefix(1);  // the slash
  std::string_view segment;
  for (bool more = true; more;) {
    more = next_segment(text, segment);
    const Place open = find_placeholder(segment, 0);
    Segment made;
    made.is_open = open.size > 0;
    made.before = segment.substr(0, open.at);
    if (made.is_open) made.after = segment.substr(open.at + open.size);
    pattern.segments.push_back(std::move(made));
  }
  return pattern;
}

uint16_t Routes::route_of(std::string_view target) const {
  if (patterns_.empty()) return kNone;
  const std::string_view path = path_of(target);
  if (path.empty()) return kNone;
  for (size_t i = 0; i < patterns_.size(); i++) {
    if (patterns_[i].matches(path)) return static_cast<uint16_t>(i + 1);
  }
  return kNone;
}

bool Routes::Segment::matches(std::string_view part) const {
  if (!is_open) return part == before;
  return part.size() > before.size() + after.size() && part.starts_with(before) &&
         part.ends_with(after);
}

bool Routes::Pattern::matches(std::string_view path) const {
  std::string_view rest = path.substr(1);  // the slash
  for (size_t i = 0; i < segments.size(); i++) {
    std::string_view part;
    const bool more = next_segment(rest, part);
    if (!segments[i].matches(part)) return false;
    const bool is_last = i + 1 == segments.size();
    if (is_last) return !more || has_rest;
    if (!more) return false;
  }
  return has_rest;
}

}  // namespace tcp_sniffer
