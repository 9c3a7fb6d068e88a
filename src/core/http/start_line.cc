#include "core/http/start_line.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/ascii_case.h"
#include "core/base/byte_search.h"
#include "core/base/characters.h"
#include "core/http/known_methods.h"

namespace tcp_sniffer {

namespace {

constexpr std::string_view kVersionStart = "HTTP/1.";
constexpr std::string_view kHttp2Start = "PRI * HTTP/2.0";

bool is_visible_ascii(char c) {
  return c > ' ' && c < 0x7f;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool is_version(std::string_view word) {
  return word.size() == kVersionBytes && word.starts_with(kVersionStart) && is_digit(word[7]);
}

uint8_t minor_of(char digit) {
  return digit == '0' ? 0 : 1;
}

// The bytes of a token at the start of `bytes`, at most one more than a method may have.
size_t token_length(std::string_view bytes) {
  const size_t limit = std::min(bytes.size(), kMethodBytesMax + 1);
  size_t length = 0;
  while (length < limit && is_token_char(bytes[length])) ++length;
  return length;
}

uint64_t load_word(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Eight bytes as a word that compares to load_word.
template <size_t N>
uint64_t word_of(const char (&text)[N]) {
  static_assert(N == sizeof(uint64_t) + 1);
  return load_word(text);
}

bool is_version_at(const char* bytes) {
  // The digit's upper half is checked with the word, its lower half by itself.
  const uint64_t upper_half = word_of("\xff\xff\xff\xff\xff\xff\xff\xf0");
  return (load_word(bytes) & upper_half) == word_of("HTTP/1.0") && bytes[7] <= '9';
}

// `HTTP/1.x NNN` and a reason after one space. False for any other line; the careful reading
// below decides about that.
bool read_usual_status_line(std::string_view line, StartLine& start) {
  constexpr size_t kReasonAt = kVersionBytes + 5;
  if (line.size() <= kReasonAt || !is_version_at(line.data())) return false;
  const char* digits = line.data() + kVersionBytes + 1;
  const auto hundreds = static_cast<uint8_t>(digits[0] - '0');
  const auto tens = static_cast<uint8_t>(digits[1] - '0');
  const auto ones = static_cast<uint8_t>(digits[2] - '0');
  if (digits[-1] != ' ' || digits[3] != ' ' || hundreds > 9 || hundreds == 0 || tens > 9 ||
      ones > 9 || line[kReasonAt] <= ' ' || line.back() <= ' ') {
    return false;
  }
  const std::string_view reason = line.substr(kReasonAt);
  // Two visible bytes, as in OK, leave no place for a CR.
  if (reason.size() > 2 && std::memchr(reason.data(), '\r', reason.size()) != nullptr) return false;
  start.kind = StartLineKind::kResponse;
  start.version_minor = minor_of(line[7]);
  start.status = static_cast<uint16_t>(hundreds * 100 + tens * 10 + ones);
  start.reason = reason;
  return true;
}

// The length of one of the methods that nearly every request has, when `line` begins with it and a
// space; else 0. `line` has at least eight bytes.
size_t usual_method_length(const char* line) {
  const uint64_t word = load_word(line);
  constexpr auto starts = [](uint64_t bytes, const char(&method)[9], const char(&mask)[9]) {
    return (bytes & word_of(mask)) == word_of(method);
  };
  if (starts(word, "GET \0\0\0\0", "\xff\xff\xff\xff\0\0\0\0")) return 3;
  if (starts(word, "POST \0\0\0", "\xff\xff\xff\xff\xff\0\0\0")) return 4;
  if (starts(word, "PUT \0\0\0\0", "\xff\xff\xff\xff\0\0\0\0")) return 3;
  if (starts(word, "HEAD \0\0\0", "\xff\xff\xff\xff\xff\0\0\0")) return 4;
  if (starts(word, "DELETE \0", "\xff\xff\xff\xff\xff\xff\xff\0")) return 6;
  if (starts(word, "OPTIONS ", "\xff\xff\xff\xff\xff\xff\xff\xff")) return 7;
  return 0;
}

// Whether a byte is not one of the visible ones of ASCII.
bool word_is_odd(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = kOnes * 0x80;
  const uint64_t low = word - kOnes * 0x21;
  const uint64_t del = (word ^ (kOnes * 0x7f)) - kOnes;
  return ((low | del | word) & kHighBits) != 0;
}

bool is_plain_target(std::string_view text) {
  constexpr size_t kWord = sizeof(uint64_t);
  if (text.size() < kWord) return std::all_of(text.begin(), text.end(), is_visible_ascii);
  size_t at = 0;
  for (; at + kWord < text.size(); at += kWord) {
    if (word_is_odd(load_word(text.data() + at))) return false;
  }
  return !word_is_odd(load_word(text.data() + text.size() - kWord));
}

bool has_blank_or_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

// A usual method, a target without blanks and control characters, and the version, with one space
// between them. False for any other line; the careful reading below decides about that.
bool read_usual_request_line(std::string_view line, StartLine& start) {
  if (line.size() < kVersionBytes + 6) return false;
  const size_t method_bytes = usual_method_length(line.data());
  const size_t target_end = line.size() - kVersionBytes - 1;
  const size_t target_begin = method_bytes + 1;
  if (method_bytes == 0 || target_begin >= target_end || line[target_end] != ' ' ||
      !is_version_at(line.data() + target_end + 1)) {
    return false;
  }
  const std::string_view target = line.substr(target_begin, target_end - target_begin);
  if (!is_plain_target(target)) return false;
  start.kind = StartLineKind::kRequest;
  start.method = line.substr(0, method_bytes);
  start.target = target;
  start.version_minor = minor_of(line.back());
  start.known_method = true;
  return true;
}

bool starts_with_http(std::string_view text) {
  constexpr std::string_view kName = "HTTP";
  return text.size() >= kName.size() && equal_ignoring_case(text.substr(0, kName.size()), kName);
}

bool starts_with_icy(std::string_view text) {
  constexpr std::string_view kName = "ICY";
  return text.starts_with(kName) && (text.size() == kName.size() || is_blank(text[kName.size()]));
}

// As Chromium and Firefox do: from HTTP/1.1 on it is 1.1, all else is 1.0.
uint8_t odd_minor(std::string_view version) {
  constexpr size_t kMajor = 5;
  if (version.size() < kMajor + 3 || version[4] != '/' || !is_digit(version[kMajor]) ||
      version[kMajor + 1] != '.' || !is_digit(version[kMajor + 2])) {
    return 0;
  }
  const char major = version[kMajor];
  return major > '1' || (major == '1' && version[kMajor + 2] >= '1') ? 1 : 0;
}

// The status at the start of `text`, a number of at most four digits, and what follows it. Without
// one all of it is the reason.
void read_status(std::string_view text, StartLine& start) {
  constexpr size_t kDigitsMax = 4;
  size_t digits = 0;
  uint16_t value = 0;
  while (digits < text.size() && is_digit(text[digits]) && digits <= kDigitsMax) {
    if (digits < kDigitsMax) value = static_cast<uint16_t>(value * 10 + (text[digits] - '0'));
    ++digits;
  }
  const std::string_view behind = text.substr(digits);
  const bool ends = behind.empty() || is_blank(behind.front());
  if (digits > kDigitsMax || value == 0 || (digits != 3 && !ends)) {
    start.anomalies.add(Anomaly::kStatus);
    start.reason = trim_blanks(text);
    return;
  }
  start.status = value;
  start.anomalies.add_if(digits != 3 || value < 100, Anomaly::kStatus);
  start.anomalies.add_if(!behind.empty() && behind.front() != ' ', Anomaly::kStartLineBlanks);
  start.reason = trim_blanks(behind);
}

// A line that begins with HTTP/1. and a digit: with a blank and a status of three digits after it
// everywhere; where a response is due with anything.
StartLine read_status_line(std::string_view line, StartContext context) {
  StartLine start;
  const size_t name_end = std::min(line.find_first_of(" \t"), line.size());
  const std::string_view version = line.substr(0, name_end);
  std::string_view rest = line.substr(name_end);
  while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
  const size_t blanks = line.size() - name_end - rest.size();
  start.kind = StartLineKind::kResponse;
  if (is_version(version)) {
    start.version_minor = minor_of(version.back());
  } else {
    start.version_minor = odd_minor(version);
    start.anomalies.add(Anomaly::kVersion);
  }
  start.anomalies.add_if(blanks > 1 || (blanks == 1 && line[name_end] != ' '),
                         Anomaly::kStartLineBlanks);
  read_status(rest, start);
  start.irregular = start.anomalies.any();
  if (context != StartContext::kResponseDue &&
      (start.anomalies.has(Anomaly::kVersion) || start.anomalies.has(Anomaly::kStatus))) {
    return {};
  }
  return start;
}

bool is_tls_handshake(std::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == 0x16 && bytes[1] == 0x03 &&
         static_cast<unsigned char>(bytes[2]) <= 4;
}

bool is_prefix_of_tls(std::string_view bytes) {
  return !bytes.empty() && bytes.size() < 3 && bytes[0] == 0x16 &&
         (bytes.size() == 1 || bytes[1] == 0x03);
}

// Of a first line that is not complete and starts like "HTTP/1.": kResponse once the status stands
// there, kMaybe while what is there can become a status line.
StartGuess guess_response(std::string_view bytes) {
  const size_t compared = std::min(bytes.size(), kVersionStart.size());
  if (bytes.substr(0, compared) != kVersionStart.substr(0, compared)) return StartGuess::kNo;
  if (bytes.size() < kVersionBytes) return StartGuess::kMaybe;
  if (!is_digit(bytes[kVersionBytes - 1])) return StartGuess::kNo;
  size_t at = kVersionBytes;
  if (at < bytes.size() && !is_blank(bytes[at])) return StartGuess::kNo;
  while (at < bytes.size() && is_blank(bytes[at])) ++at;
  const std::string_view status = bytes.substr(at, 3);
  if (!std::all_of(status.begin(), status.end(), is_digit)) return StartGuess::kNo;
  return status.size() == 3 ? StartGuess::kResponse : StartGuess::kMaybe;
}

// The line of a request whose version is odd, or missing. Only known methods: what else begins with
// a word is most often another protocol.
void read_odd_request_line(std::string_view rest, StartLine& start) {
  const size_t blank = rest.find_last_of(" \t");
  const std::string_view last = rest.substr(blank == std::string_view::npos ? 0 : blank + 1);
  const bool has_version =
      starts_with_http(last) && (last.size() == 4 || last[4] == '/' || last[4] == '.');
  const std::string_view target =
      has_version ? trim_blanks(rest.substr(0, rest.size() - last.size())) : rest;
  const bool is_path =
      target.starts_with('/') || target.starts_with("http://") || target.starts_with("https://");
  if (has_version) {
    const bool usual_size = last.size() == kVersionBytes && last[4] == '/';
    if (!is_path && !usual_size && target != "*" && start.method != "CONNECT") return;
    if (target.empty() && !is_version(last)) return;
    start.kind = StartLineKind::kRequest;
    start.version_minor = is_version(last) ? minor_of(last.back()) : odd_minor(last);
    start.anomalies.add_if(!is_version(last), Anomaly::kVersion);
    start.anomalies.add_if(!is_plain_target(target) || target.empty(), Anomaly::kTarget);
  } else if (is_path && !has_blank_or_control(target)) {
    start.kind = StartLineKind::kVersionless;
    start.version_minor = 0;
    start.anomalies.add_if(!is_plain_target(target), Anomaly::kTarget);
  }
  start.irregular = true;
  start.target = target;
}

// As some devices write it: get /path http/1.1.
bool is_known_in_any_case(std::string_view method) {
  std::array<char, kMethodBytesMax> upper{};
  std::transform(method.begin(), method.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return is_known_method({upper.data(), method.size()});
}

bool ends_with_a_version(std::string_view rest) {
  if (rest.size() <= kVersionBytes || !rest.starts_with('/')) return false;
  const std::string_view last = rest.substr(rest.size() - kVersionBytes);
  return is_blank(rest[rest.size() - kVersionBytes - 1]) && starts_with_http(last) &&
         last[4] == '/' && is_digit(last[5]) && last[6] == '.' && is_digit(last[7]);
}

StartLine read_odd_start_line(std::string_view line, StartContext context) {
  StartLine start;
  while (line.ends_with('\r')) line.remove_suffix(1);
  if (is_tls_handshake(line)) {
    start.kind = StartLineKind::kTls;
    return start;
  }
  if (line.find('\r') != std::string_view::npos) {
    start.kind = StartLineKind::kBareCr;
    return start;
  }
  const bool response_due = context == StartContext::kResponseDue;
  if (line.starts_with(kVersionStart) ||
      (response_due && (starts_with_http(line) || starts_with_icy(line)))) {
    return read_status_line(line, context);
  }
  const size_t method_bytes = token_length(line);
  if (method_bytes == 0 || method_bytes > kMethodBytesMax || method_bytes >= line.size() ||
      !is_blank(line[method_bytes])) {
    return start;
  }
  std::string_view rest = line.substr(method_bytes);
  const size_t before = rest.size();
  rest = trim_blanks(rest);
  const size_t trimmed = before - rest.size();
  start.method = line.substr(0, method_bytes);
  start.known_method = is_known_method(start.method);
  const bool odd_blanks = trimmed != 1 || line[method_bytes] != ' ';

  if (rest.size() > kVersionBytes && is_version(rest.substr(rest.size() - kVersionBytes)) &&
      is_blank(rest[rest.size() - kVersionBytes - 1])) {
    const std::string_view between = rest.substr(0, rest.size() - kVersionBytes);
    start.kind = StartLineKind::kRequest;
    start.version_minor = minor_of(rest.back());
    start.target = trim_blanks(between);
    start.anomalies.add_if(!is_plain_target(start.target), Anomaly::kTarget);
    start.anomalies.add_if(
        odd_blanks || between.size() != start.target.size() + 1 || between.back() != ' ',
        Anomaly::kStartLineBlanks);
    start.irregular =
        start.anomalies.has(Anomaly::kStartLineBlanks) || has_blank_or_control(start.target);
    return start;
  }
  if (line.starts_with(kHttp2Start)) {
    start.kind = StartLineKind::kHttp2Preface;
  } else if (context != StartContext::kAfterLoss &&
             (start.known_method
                  ? !rest.empty()
                  : ends_with_a_version(rest) && is_known_in_any_case(start.method))) {
    start.anomalies.add_if(odd_blanks, Anomaly::kStartLineBlanks);
    read_odd_request_line(rest, start);
  }
  return start;
}

StartGuess guess_from_line(std::string_view line, StartContext context) {
  switch (read_start_line(line, context).kind) {
    case StartLineKind::kRequest:
    case StartLineKind::kVersionless:
      return StartGuess::kRequest;
    case StartLineKind::kResponse:
      return StartGuess::kResponse;
    case StartLineKind::kHttp2Preface:
      return StartGuess::kHttp2;
    case StartLineKind::kTls:
      return StartGuess::kTls;
    case StartLineKind::kBareCr:
      return guess_from_line(line.substr(0, line.find('\r')), context);
    case StartLineKind::kNone:
      break;
  }
  return StartGuess::kNo;
}

}  // namespace

StartLine read_start_line(std::string_view line, StartContext context) {
  StartLine start;
  if (read_usual_request_line(line, start) || read_usual_status_line(line, start)) return start;
  return read_odd_start_line(line, context);
}

StartLine read_cut_start_line(std::string_view bytes) {
  StartLine start;
  if (bytes.starts_with(kVersionStart)) return read_status_line(bytes, StartContext::kUnknown);
  const size_t method_bytes = token_length(bytes);
  if (!is_known_method(bytes.substr(0, method_bytes))) return start;
  std::string_view target = trim_blanks(bytes.substr(method_bytes));
  const size_t blank = target.find_last_of(" \t");
  if (blank != std::string_view::npos) {
    // What can be the beginning of the version is no part of the target.
    const std::string_view last = target.substr(blank + 1);
    if (is_version(last)) start.version_minor = minor_of(last.back());
    if (is_version(last) || kVersionStart.starts_with(last)) {
      target = trim_blanks(target.substr(0, blank));
    }
  }
  const std::string_view scheme = std::string_view("http").substr(0, target.size());
  if (target.empty() || (target.front() != '/' && target != "*" && !target.starts_with(scheme) &&
                         bytes.substr(0, method_bytes) != "CONNECT")) {
    return start;
  }
  start.kind = StartLineKind::kRequest;
  start.method = bytes.substr(0, method_bytes);
  start.known_method = true;
  start.target = target;
  return start;
}

StartGuess guess_start(std::string_view first_bytes, StartContext context) {
  if (first_bytes.empty()) return StartGuess::kMaybe;
  if (is_tls_handshake(first_bytes)) return StartGuess::kTls;
  if (is_prefix_of_tls(first_bytes)) return StartGuess::kMaybe;
  const size_t end = find_line_feed(first_bytes, 0);
  if (end != std::string_view::npos) return guess_from_line(first_bytes.substr(0, end), context);
  if (context == StartContext::kResponseDue && may_begin_response(first_bytes)) {
    return starts_with_http(first_bytes) ? StartGuess::kResponse : StartGuess::kMaybe;
  }
  if (guess_response(first_bytes) != StartGuess::kNo) return guess_response(first_bytes);
  const size_t method_bytes = token_length(first_bytes);
  if (method_bytes == 0 || method_bytes > kMethodBytesMax) return StartGuess::kNo;
  if (method_bytes == first_bytes.size()) return StartGuess::kMaybe;
  if (!is_blank(first_bytes[method_bytes])) return StartGuess::kNo;
  if (is_known_method(first_bytes.substr(0, method_bytes))) return StartGuess::kRequest;
  return first_bytes.starts_with(kHttp2Start) ? StartGuess::kHttp2 : StartGuess::kMaybe;
}

bool may_begin_response(std::string_view first_bytes) {
  if (first_bytes.starts_with("HTTP")) [[likely]]
    return true;
  const std::string_view name = std::string_view("HTTP").substr(0, first_bytes.size());
  if (equal_ignoring_case(first_bytes.substr(0, name.size()), name)) return true;
  const std::string_view icy = std::string_view("ICY").substr(0, first_bytes.size());
  return first_bytes.starts_with(icy) &&
         (first_bytes.size() <= icy.size() || is_blank(first_bytes[icy.size()]));
}

bool starts_like_message(std::string_view first_bytes) {
  if (first_bytes.starts_with(kVersionStart)) return true;
  const size_t method_bytes = token_length(first_bytes);
  return method_bytes >= 3 && method_bytes < first_bytes.size() &&
         first_bytes[method_bytes] == ' ' && is_known_method(first_bytes.substr(0, method_bytes));
}

size_t leading_blanks(std::string_view bytes) {
  return std::min(bytes.find_first_not_of("\r\n \t"), bytes.size());
}

}  // namespace tcp_sniffer
