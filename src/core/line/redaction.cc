#include "core/line/redaction.h"

#include <algorithm>

#include "core/base/ascii_case.h"

namespace tcp_sniffer {
namespace {

// What may stand in front of a parameter's name: what some server or client takes for a separator.
constexpr std::string_view kSeparators = "?&;#/=,";

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

std::string_view behind_last(std::string_view text, std::string_view separators) {
  const size_t last = text.find_last_of(separators);
  return last == std::string_view::npos ? text : text.substr(last + 1);
}

char parameter_char(char c) {
  return c == '.' || c == '-' || c == ' ' || c == '+' ? '_' : ascii_lower(c);
}

bool is_around_a_name(char c) {
  return !is_visible(c) || c == '+';
}

// The part of a parameter's name that is compared: without an index, what follows a NUL, and blanks
// around.
std::string_view trimmed_parameter(std::string_view name) {
  while (!name.empty() && is_around_a_name(name.front())) name.remove_prefix(1);
  name = name.substr(0, name.find_first_of(std::string_view("[\0", 2)));
  while (!name.empty() && is_around_a_name(name.back())) name.remove_suffix(1);
  return name;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The number that `count` hexadecimal digits at `at` write, -1 when they are none.
int hex_number(std::string_view text, size_t at, size_t count) {
  if (text.size() < at + count) return -1;
  int number = 0;
  for (const char c : text.substr(at, count)) {
    const int digit = hex_digit(c);
    if (digit < 0) return -1;
    number = number * 16 + digit;
  }
  return number;
}

// Undoes one percent-encoding in place, %uXXXX too. False: there was none.
bool decode_once(std::string& text) {
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

bool is_scheme(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' ||
           c == '.';
  });
}

// Where the authority of a target begins (RFC 9112 section 3.2: absolute form, authority form);
// npos: it has none.
size_t authority_begin(std::string_view target) {
  if (target.starts_with("//")) return 2;
  if (target.starts_with('/') || target.starts_with('*')) return std::string_view::npos;
  const size_t scheme = target.find("://");
  return scheme != std::string_view::npos && is_scheme(target.substr(0, scheme)) ? scheme + 3 : 0;
}

// A host and perhaps a port, so that an '@' behind it belongs to the path.
bool is_host_and_port(std::string_view authority) {
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return true;
  const std::string_view port = authority.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Redaction::Redaction(const std::vector<std::string>& headers,
                     const std::vector<std::string>& query) {
  for (const std::string& name : headers) headers_.push_back(canonical_header(name));
  for (const std::string& name : query) {
    // A name with a separator would cover nothing: each part of it is one.
    for (size_t at = 0; at < name.size();) {
      const size_t end = std::min(name.find_first_of(kSeparators, at), name.size());
      std::string canonical;
      for (const char c : trimmed_parameter(std::string_view(name).substr(at, end - at))) {
        canonical += parameter_char(c);
      }
      if (!canonical.empty()) query_.push_back(std::move(canonical));
      at = end + 1;
    }
  }
}

bool Redaction::covers_header(std::string_view name) const {
  return std::any_of(headers_.begin(), headers_.end(),
                     [name](const std::string& header) { return same_header(header, name); });
}

bool Redaction::covers_field(std::string_view name, std::string_view value) const {
  if (headers_.empty()) return false;
  if (covers_header(name)) return true;
  for (size_t at = 0; (at = value.find_first_of("\r\n", at)) != std::string_view::npos;) {
    const std::string_view line = value.substr(++at);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    if (covers_header(line.substr(0, colon))) return true;
  }
  return false;
}

bool Redaction::covers_parameter(std::string_view name) const {
  const std::string_view trimmed = trimmed_parameter(name);
  return std::any_of(query_.begin(), query_.end(), [trimmed](const std::string& parameter) {
    return std::equal(trimmed.begin(), trimmed.end(), parameter.begin(), parameter.end(),
                      [](char a, char b) { return parameter_char(a) == b; });
  });
}

// Whether a covered name and '=' stand in what a component became by decoding.
bool Redaction::holds_parameter(std::string_view decoded) const {
  for (size_t equals = 0; (equals = decoded.find('=', equals)) != std::string_view::npos;
       ++equals) {
    if (covers_parameter(behind_last(decoded.substr(0, equals), kSeparators))) return true;
  }
  return false;
}

// Writes the target up to where parameters may begin; returns how far that is.
size_t Redaction::redact_userinfo(std::string_view target) {
  const size_t begin = authority_begin(target);
  if (begin == std::string_view::npos) return 0;
  std::string_view authority = target.substr(begin);
  authority = authority.substr(0, authority.find_first_of("/?#\\"));
  size_t at_sign = authority.rfind('@');
  if (at_sign == std::string_view::npos) {
    if (is_host_and_port(authority)) return 0;
    // A password with a '/' in it.
    at_sign = target.substr(begin).rfind('@');
    if (at_sign == std::string_view::npos) return 0;
  }
  target_.append(target.substr(0, begin)).append(kRedacted);
  return begin + at_sign;
}

// Writes the placeholder of the value that begins at `from`; returns where it ends.
size_t Redaction::redact_value(std::string_view target, size_t from) {
  target_.append(kRedacted);
  return std::min(target.find_first_of(in_path_ ? "?&" : "&", from), target.size());
}

std::string_view Redaction::redact_target(std::string_view target) {
  if (headers_.empty() && query_.empty()) return target;
  target_.clear();
  size_t at = redact_userinfo(target);
  bool found = at > 0;
  in_path_ = true;
  while (!query_.empty() && at < target.size()) {
    const size_t end = std::min(target.find_first_of(kSeparators, at), target.size());
    const std::string_view component = target.substr(at, end - at);
    decoded_.assign(component);
    for (int i = 0; i < kDecodingsMax && decode_once(decoded_); ++i) {
    }
    size_t next = end;
    if (holds_parameter(decoded_)) {
      found = true;
      next = redact_value(target, end);
    } else {
      target_.append(component);
      const bool is_name = end < target.size() && target[end] == '=';
      const bool has_blank = component.find_first_of(" \t") != std::string_view::npos;
      if (is_name && (covers_parameter(behind_last(decoded_, kSeparators)) ||
                      (has_blank && covers_parameter(behind_last(decoded_, " \t"))))) {
        found = true;
        target_ += '=';
        next = redact_value(target, end + 1);
      }
    }
    if (next < target.size()) {
      if (target[next] == '?' || target[next] == '#') in_path_ = false;
      target_ += target[next++];
    }
    at = next;
  }
  target_.append(target.substr(std::min(at, target.size())));
  return found ? std::string_view(target_) : target;
}

}  // namespace tcp_sniffer
