#include "core/redaction/targets.h"

#include <algorithm>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

// What separates words of a text, besides what separates parameters.
constexpr std::string_view kTextSeparators = "?&;#/=, \t\r\n\"'<>";
constexpr std::string_view kBodySeparators = "?&;#/=, \t\r\n\"'<>{}()|\\";
constexpr std::string_view kWordEnds = " \t\r\n\"'<>";
// What stands before the slashes of an authority.
constexpr std::string_view kBeforeAuthority = ": \t\r\n\"'<>=(,;[{|";

std::string_view behind_last(std::string_view text, std::string_view separators) {
  const size_t last = text.find_last_of(separators);
  return last == kNotFound ? text : text.substr(last + 1);
}

bool is_scheme(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

// Where the authority of a target begins (RFC 9112 section 3.2: absolute form, authority form);
// npos: it has none.
size_t authority_begin(std::string_view target) {
  if (target.starts_with("//")) return 2;
  if (target.starts_with('/') || target.starts_with('*')) return kNotFound;
  const size_t scheme = target.find("://");
  return scheme != kNotFound && is_scheme(target.substr(0, scheme)) ? scheme + 3 : 0;
}

// A host and perhaps a port, so that an '@' after it belongs to the path.
bool is_host_and_port(std::string_view authority) {
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == kNotFound ? 0 : bracket);
  if (colon == kNotFound) return true;
  const std::string_view port = authority.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), is_digit);
}

// What must be hidden of the authority that `rest` begins with, up to the '@' after user and
// password; 0: nothing. `last_at_sign` is the last '@' of `rest`, or npos.
//
// Where `rest` ends in the authority, the '@' may be cut off: that is so with `is_cut`, and where
// what stands for a port is none.
size_t secret_size(std::string_view rest, size_t last_at_sign, bool is_cut) {
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  const size_t at_sign = authority.rfind('@');
  if (at_sign != kNotFound) return at_sign;
  const bool has_password = !is_host_and_port(authority);
  if (has_password && last_at_sign != kNotFound) return last_at_sign;  // it has a '/' in it
  return (is_cut || has_password) && authority.size() == rest.size() ? rest.size() : 0;
}

// Hides the users of each authority in a text, from `from` on. An authority may have no scheme.
void scan_authorities(std::string_view text, size_t from, bool is_cut, Spans& spans) {
  size_t word_end = 0;
  size_t last_at_sign = kNotFound;  // of the word
  for (size_t at = text.find("//", from); at != kNotFound; at = text.find("//", at)) {
    if (at > 0 && kBeforeAuthority.find(text[at - 1]) == kNotFound) {
      ++at;
      continue;
    }
    at += 2;
    if (at >= word_end) {
      word_end = std::min(text.find_first_of(kWordEnds, at), text.size());
      last_at_sign = text.substr(at, word_end - at).rfind('@');
      if (last_at_sign != kNotFound) last_at_sign += at;
    }
    const bool has_at_sign = last_at_sign != kNotFound && last_at_sign >= at;
    const size_t size =
        secret_size(text.substr(at, word_end - at), has_at_sign ? last_at_sign - at : kNotFound,
                    is_cut && word_end == text.size());
    if (size > 0) spans.add(at, at + size);
    at += size;
  }
}

// Whether what follows the '>' or the quote at `at` ends what it encloses (RFC 8288 section 3).
bool ends_enclosed(std::string_view text, size_t at) {
  const size_t next = text.find_first_not_of(" \t\r\n", at + 1);
  return next == kNotFound || text[next] == ';' || text[next] == ',';
}

}  // namespace

void TargetScanner::scan_target(std::string_view target, bool is_cut, Spans& spans) {
  kind_ = Kind::kTarget;
  is_cut_ = is_cut;
  in_angle_ = in_quotes_ = false;
  const size_t authority = authority_begin(target);
  size_t at = 0;
  if (authority != kNotFound) {
    const std::string_view rest = target.substr(authority);
    const size_t size = secret_size(rest, rest.rfind('@'), is_cut);
    if (size > 0) {
      spans.add({authority, authority + size, ValueCoding::kNone, size == rest.size(), false});
      at = authority + size;
    }
  }
  scan_authorities(target, at, is_cut, spans);
  scan_parameters(target, at, spans);
}

void TargetScanner::scan_text(std::string_view text, bool is_cut, Spans& spans) {
  kind_ = Kind::kText;
  is_cut_ = is_cut;
  in_angle_ = in_quotes_ = false;
  scan_authorities(text, 0, is_cut, spans);
  if (text.find_first_of("=%") != kNotFound) scan_parameters(text, 0, spans);
}

void TargetScanner::scan_form(std::string_view form, bool is_cut, Spans& spans) {
  kind_ = Kind::kForm;
  is_cut_ = is_cut;
  in_angle_ = in_quotes_ = false;
  scan_parameters(form, 0, spans);
}

void TargetScanner::scan_body(std::string_view text, Spans& spans) {
  if (text.find_first_of("=%") == kNotFound) return;
  kind_ = Kind::kBody;
  is_cut_ = false;
  in_angle_ = in_quotes_ = false;
  scan_parameters(text, 0, spans);
}

void TargetScanner::scan_parameters(std::string_view text, size_t at, Spans& spans) {
  in_path_ = kind_ == Kind::kTarget || kind_ == Kind::kText;
  const std::string_view separators = kind_ == Kind::kText   ? kTextSeparators
                                      : kind_ == Kind::kBody ? kBodySeparators
                                                             : FieldNames::kSeparators;
  while (at < text.size() && !spans.too_many()) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    const std::string_view component = text.substr(at, end - at);
    decoded_.assign(component);
    for (int i = 0; i < kDecodingsMax && undo_percent_encoding(decoded_); ++i) {
    }
    size_t next = end;
    if (decoded_.size() != component.size() && holds_secret(decoded_)) {
      next = value_end(text, end);
      spans.add({at, next, ValueCoding::kPercent, true, false});
    } else if (is_secret_decoded(component)) {
      spans.add(at, end, ValueCoding::kPercent);
    } else if (end < text.size() && text[end] == '=') {
      const bool has_blank = component.find_first_of(" \t") != kNotFound;
      if (names_.cover(behind_last(decoded_, FieldNames::kSeparators)) ||
          (has_blank && names_.cover(behind_last(decoded_, " \t")))) {
        next = value_end(text, end + 1);
        const bool is_cut = is_cut_ && next == text.size();
        spans.add({end + 1, next, ValueCoding::kPercent, is_cut, false});
      }
    }
    if (next < text.size()) pass(text[next]);
    at = next + 1;
  }
}

// Where the value that begins at `from` ends.
size_t TargetScanner::value_end(std::string_view text, size_t from) {
  size_t end = std::min(text.find_first_of(in_path_ ? "?&" : "&", from), text.size());
  if (kind_ == Kind::kBody) {
    end = std::min(text.find_first_of("& \t\r\n\"'<>", from), text.size());
    while (end > from && end < text.size() && text[end - 1] == '\\') --end;  // of the quote
    return end;
  }
  if (!in_angle_ && !in_quotes_) return end;
  const char closing = in_angle_ ? '>' : '"';
  size_t close = text.find(closing, from);
  while (close < end && !ends_enclosed(text, close)) close = text.find(closing, close + 1);
  return std::min(end, close);
}

// A parameter or a user in what a component became by decoding.
bool TargetScanner::holds_secret(std::string_view decoded) const {
  for (size_t equals = 0; (equals = decoded.find('=', equals)) != kNotFound; ++equals) {
    if (names_.cover(behind_last(decoded.substr(0, equals), FieldNames::kSeparators))) return true;
  }
  if (keys_ != nullptr && keys_->find(decoded)) return true;
  if (kind_ == Kind::kForm || kind_ == Kind::kBody) return false;
  const auto has_user = [&](std::string_view rest) {
    return secret_size(rest, rest.rfind('@'), is_cut_) > 0;
  };
  if (decoded.starts_with("//") && has_user(decoded.substr(2))) return true;
  const size_t authority = decoded.find("://");
  return authority != kNotFound && has_user(decoded.substr(authority + 3));
}

// What a pattern matches only when it is decoded.
bool TargetScanner::is_secret_decoded(std::string_view component) {
  if (patterns_ == nullptr || patterns_->empty()) return false;
  if (component.find_first_of("%+") == kNotFound) return false;
  plain_.assign(decoded_);
  std::replace(plain_.begin(), plain_.end(), '+', ' ');
  return patterns_->match(plain_);
}

void TargetScanner::pass(char separator) {
  if (separator == '?' || separator == '#') in_path_ = false;
  if (separator == '"') in_quotes_ = !in_quotes_;
  if (separator == '<' || separator == '>') in_angle_ = separator == '<';
}

}  // namespace tcp_sniffer
