#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// Reading of HTTP/1.x start lines (RFC 9112 sections 3 and 4) as an observer must: more tolerant
// than any server, because what was sent was sent. Pure functions, any thread; every view of a
// result points into the argument.

enum class StartLineKind : uint8_t {
  kNone,          // not HTTP/1.x
  kRequest,       // METHOD target HTTP/1.x
  kResponse,      // HTTP/1.x NNN reason
  kHttp09,        // "GET /x": HTTP/0.9, recognised and not parsed
  kHttp2Preface,  // RFC 9113 section 3.4
  kTls,           // a TLS record of a handshake
};

struct StartLine {
  StartLineKind kind = StartLineKind::kNone;
  std::string_view method;
  std::string_view target;
  uint8_t version_minor = 1;  // 0 or 1: HTTP/1.2 to HTTP/1.9 read as 1.1 (RFC 9110 section 2.5)
  uint16_t status = 0;        // 100 to 999
  std::string_view reason;    // as sent, may be empty
  bool known_method = false;  // registered at IANA or in wide use
  bool irregular = false;     // read by tolerance: the RFC's grammar does not allow this line
};

// Longest method that is taken for one. The longest in use is UPDATEREDIRECTREF with 17.
constexpr size_t kMethodBytesMax = 32;

// Reads a whole line, without its line end. Tolerated: several spaces or tabs between the parts
// and at the end, spaces, control characters and raw UTF-8 in the target (the method is the first
// word, the version the last), unknown and lower-case methods, a status without a reason, with a
// reason that follows without a space. Not tolerated: another major version, a lower-case "http/".
StartLine read_start_line(std::string_view line);

// What a stream's first bytes can become.
enum class StartGuess : uint8_t {
  kNo,
  kMaybe,  // too few bytes, or an unknown method whose line is not complete yet
  kRequest,
  kResponse,
  kHttp2,
  kTls,
};

// Judges the first bytes of a stream or segment; leading empty lines have been skipped. As soon as
// the first line is complete it is decided by read_start_line (HTTP/0.9 is kNo); before that a
// known method and a space, or "HTTP/1.x NNN", are enough. Looks at no more than the first line,
// and at 8 KiB of it when the method is unknown.
StartGuess guess_start(std::string_view first_bytes);

// Whether a segment starts with a known method and a space, or with "HTTP/1.". Costs a few
// nanoseconds; what an ignored stream is asked for each of its segments.
bool starts_like_message(std::string_view first_bytes);

// The length of the known method that `word` ends with, preferring the longest; 0 when none. After
// a gap the last bytes of a body and the next method may stand in one word.
size_t known_method_suffix(std::string_view word);

bool is_known_method(std::string_view method);

// Whether `bytes` can become a known method and the space behind it.
bool begins_known_method(std::string_view bytes);

// tchar of RFC 9110 section 5.6.2.
bool is_token(std::string_view text);

// How many bytes of empty lines (CRLF or bare LF) stand before the start line; RFC 9112 section
// 2.2 lets a recipient skip them. A CR at the end without its LF is not counted yet.
size_t leading_empty_lines(std::string_view bytes);

}  // namespace tcp_sniffer
