#include "core/http_start_line.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/byte_search.h"

namespace tcp_sniffer {

namespace {

constexpr std::string_view kVersionStart = "HTTP/1.";
constexpr size_t kVersionBytes = 8;  // "HTTP/1.1"
constexpr std::string_view kHttp2Start = "PRI * HTTP/2.0";
constexpr size_t kUnknownLineBytesMax = 8192;

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kTokenTable = make_token_table();

bool is_token_char(char c) {
  return kTokenTable[static_cast<unsigned char>(c)];
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// IANA's registry of methods, and those that captures of real networks hold beside it: UPnP, cache
// control, Exchange's WebDAV, RPC and SSTP over HTTP, BITS, System Center, Icecast.
constexpr std::string_view kKnownMethods[] = {
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "OPTIONS",
    "DELETE",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "QUERY",
    "PURGE",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "M-SEARCH",
    "ACL",
    "BIND",
    "UNBIND",
    "REBIND",
    "CHECKIN",
    "CHECKOUT",
    "UNCHECKOUT",
    "LABEL",
    "LINK",
    "UNLINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "ORDERPATCH",
    "UPDATE",
    "BCOPY",
    "BDELETE",
    "BMOVE",
    "BPROPFIND",
    "BPROPPATCH",
    "POLL",
    "SOURCE",
    "TRACK",
    "DEBUG",
    "BAN",
    "REFRESH",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "BITS_POST",
    "CCM_POST",
    "BASELINE-CONTROL",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "SSTP_DUPLEX_POST",
};

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

// `HTTP/1.x NNN` and a reason behind one space. False for any other line; the careful reading
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
  start.kind = StartLineKind::kResponse;
  start.version_minor = minor_of(line[7]);
  start.status = static_cast<uint16_t>(hundreds * 100 + tens * 10 + ones);
  start.reason = line.substr(kReasonAt);
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

bool word_has_blank_or_control(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = kOnes * 0x80;
  const uint64_t low = (word - kOnes * 0x21) & ~word;
  const uint64_t del = word ^ (kOnes * 0x7f);
  return ((low | ((del - kOnes) & ~del)) & kHighBits) != 0;
}

bool has_blank_or_control(std::string_view text) {
  constexpr size_t kWord = sizeof(uint64_t);
  if (text.size() < kWord) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
  }
  size_t at = 0;
  for (; at + kWord < text.size(); at += kWord) {
    if (word_has_blank_or_control(load_word(text.data() + at))) return true;
  }
  return word_has_blank_or_control(load_word(text.data() + text.size() - kWord));
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
  if (has_blank_or_control(target)) return false;
  start.kind = StartLineKind::kRequest;
  start.method = line.substr(0, method_bytes);
  start.target = target;
  start.version_minor = minor_of(line.back());
  start.known_method = true;
  return true;
}

StartLine read_status_line(std::string_view line) {
  StartLine start;
  if (line.size() < kVersionBytes + 4 || !is_version(line.substr(0, kVersionBytes)) ||
      !is_blank(line[kVersionBytes])) {
    return start;
  }
  size_t at = kVersionBytes;
  while (at < line.size() && is_blank(line[at])) ++at;
  if (line.size() < at + 3 || line[at] < '1' || line[at] > '9' || !is_digit(line[at + 1]) ||
      !is_digit(line[at + 2])) {
    return start;
  }
  const std::string_view behind = line.substr(at + 3);
  if (!behind.empty() && is_digit(behind.front())) return start;
  start.kind = StartLineKind::kResponse;
  start.version_minor = minor_of(line[7]);
  start.status = static_cast<uint16_t>((line[at] - '0') * 100 + (line[at + 1] - '0') * 10 +
                                       line[at + 2] - '0');
  start.irregular = at != kVersionBytes + 1 || (!behind.empty() && behind.front() != ' ');
  start.reason = trim_blanks(behind);
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

// Of a first line that is not complete and starts with "HTTP/": kResponse once the status stands
// there, kMaybe while what is there can become a status line.
StartGuess guess_response(std::string_view bytes) {
  constexpr std::string_view kPattern = "HTTP/1.0 000";
  const size_t length = std::min(bytes.size(), kPattern.size());
  for (size_t i = 0; i < length; ++i) {
    if (kPattern[i] == '0' ? !is_digit(bytes[i]) : bytes[i] != kPattern[i]) {
      // Several blanks before the status: the whole line decides.
      return i > kVersionBytes && is_blank(bytes[i]) ? StartGuess::kMaybe : StartGuess::kNo;
    }
  }
  return length == kPattern.size() ? StartGuess::kResponse : StartGuess::kMaybe;
}

StartGuess guess_from_line(std::string_view line) {
  switch (read_start_line(line).kind) {
    case StartLineKind::kRequest:
      return StartGuess::kRequest;
    case StartLineKind::kResponse:
      return StartGuess::kResponse;
    case StartLineKind::kHttp2Preface:
      return StartGuess::kHttp2;
    case StartLineKind::kTls:
      return StartGuess::kTls;
    case StartLineKind::kHttp09:
    case StartLineKind::kNone:
      break;
  }
  return StartGuess::kNo;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_known_method(std::string_view method) {
  // The common ones first, without a loop over strings.
  switch (method.size()) {
    case 3:
      if (method == "GET" || method == "PUT") return true;
      break;
    case 4:
      if (method == "POST" || method == "HEAD") return true;
      break;
    default:
      break;
  }
  return std::find(std::begin(kKnownMethods), std::end(kKnownMethods), method) !=
         std::end(kKnownMethods);
}

bool begins_known_method(std::string_view bytes) {
  return std::any_of(std::begin(kKnownMethods), std::end(kKnownMethods),
                     [bytes](std::string_view method) { return method.starts_with(bytes); });
}

size_t known_method_suffix(std::string_view word) {
  size_t longest = 0;
  for (const std::string_view method : kKnownMethods) {
    if (method.size() > longest && word.ends_with(method)) longest = method.size();
  }
  return longest;
}

StartLine read_start_line(std::string_view line) {
  StartLine start;
  if (read_usual_request_line(line, start) || read_usual_status_line(line, start)) return start;
  if (line.starts_with(kVersionStart)) return read_status_line(line);
  if (is_tls_handshake(line)) {
    start.kind = StartLineKind::kTls;
    return start;
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

  if (rest.size() > kVersionBytes && is_version(rest.substr(rest.size() - kVersionBytes)) &&
      is_blank(rest[rest.size() - kVersionBytes - 1])) {
    const std::string_view between = rest.substr(0, rest.size() - kVersionBytes);
    start.kind = StartLineKind::kRequest;
    start.version_minor = minor_of(rest.back());
    start.target = trim_blanks(between);
    start.irregular = has_blank_or_control(start.target) || trimmed != 1 ||
                      line[method_bytes] != ' ' || between.size() != start.target.size() + 1 ||
                      between.back() != ' ';
    return start;
  }
  if (line.starts_with(kHttp2Start)) {
    start.kind = StartLineKind::kHttp2Preface;
  } else if (start.method == "GET" && !rest.empty() &&
             std::none_of(rest.begin(), rest.end(), is_blank) &&
             (rest.front() == '/' || rest.starts_with("http://"))) {
    start.kind = StartLineKind::kHttp09;
    start.target = rest;
  }
  return start;
}

StartGuess guess_start(std::string_view first_bytes) {
  if (first_bytes.empty()) return StartGuess::kMaybe;
  if (is_tls_handshake(first_bytes)) return StartGuess::kTls;
  if (is_prefix_of_tls(first_bytes)) return StartGuess::kMaybe;
  const size_t method_bytes = token_length(first_bytes);
  if (first_bytes.starts_with("HTTP/") ||
      (first_bytes.size() < 5 && std::string_view("HTTP/").starts_with(first_bytes))) {
    const size_t end = find_line_feed(first_bytes, 0);
    if (end != std::string_view::npos) return guess_from_line(first_bytes.substr(0, end));
    return guess_response(first_bytes);
  }
  if (method_bytes == 0 || method_bytes > kMethodBytesMax) return StartGuess::kNo;
  if (method_bytes == first_bytes.size()) return StartGuess::kMaybe;
  if (!is_blank(first_bytes[method_bytes])) return StartGuess::kNo;
  const bool known = is_known_method(first_bytes.substr(0, method_bytes));
  const std::string_view looked_at =
      known ? first_bytes : first_bytes.substr(0, kUnknownLineBytesMax);
  const size_t end = find_line_feed(looked_at, 0);
  if (end != std::string_view::npos) return guess_from_line(looked_at.substr(0, end));
  if (known) return StartGuess::kRequest;
  if (first_bytes.starts_with(kHttp2Start)) return StartGuess::kHttp2;
  return first_bytes.size() < kUnknownLineBytesMax ? StartGuess::kMaybe : StartGuess::kNo;
}

bool starts_like_message(std::string_view first_bytes) {
  if (first_bytes.starts_with(kVersionStart)) return true;
  const size_t method_bytes = token_length(first_bytes);
  return method_bytes >= 3 && method_bytes < first_bytes.size() &&
         first_bytes[method_bytes] == ' ' && is_known_method(first_bytes.substr(0, method_bytes));
}

size_t leading_empty_lines(std::string_view bytes) {
  size_t at = 0;
  for (;;) {
    if (at < bytes.size() && bytes[at] == '\n') {
      at += 1;
    } else if (at + 1 < bytes.size() && bytes[at] == '\r' && bytes[at + 1] == '\n') {
      at += 2;
    } else {
      return at;
    }
  }
}

}  // namespace tcp_sniffer
