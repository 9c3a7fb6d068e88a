#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/message/anomalies.h"

namespace tcp_sniffer {

// Reading of HTTP/1.x start lines (RFC 9112 sections 3 and 4) as an observer must: more tolerant
// than any server, because what was sent was sent. Pure functions, any thread; every view of a
// result points into the argument.

enum class StartLineKind : uint8_t {
  kNone,          // not HTTP/1.x
  kRequest,       // METHOD target HTTP/1.x
  kResponse,      // HTTP/1.x NNN reason
  kVersionless,   // METHOD target: HTTP/0.9, or a request without its version; what follows decides
  kBareCr,        // a CR that no LF follows stands in the line: it may be the line's end
  kHttp2Preface,  // RFC 9113 section 3.4
  kTls,           // a TLS record of a handshake
};

struct StartLine {
  StartLineKind kind = StartLineKind::kNone;
  std::string_view method;
  std::string_view target;    // may be empty
  uint8_t version_minor = 1;  // 0 or 1: HTTP/1.2 to HTTP/1.9 read as 1.1 (RFC 9110 section 2.5)
  uint16_t status = 0;        // 0 = none is there; usually 100 to 999
  std::string_view reason;    // as sent, may be empty; without a status all after the version
  bool known_method = false;  // registered at IANA or in wide use
  bool irregular = false;     // the RFC's grammar does not allow this line, nor do most programs
  Anomalies anomalies;
};

constexpr bool is_http1(StartLineKind kind) {
  return kind == StartLineKind::kRequest || kind == StartLineKind::kResponse;
}

constexpr size_t kVersionBytes = 8;  // "HTTP/1.1"

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Longest method that is taken for one. The longest in use is UPDATEREDIRECTREF with 17.
constexpr size_t kMethodBytesMax = 32;

// What is known of a stream before its next message.
enum class StartContext : uint8_t {
  kUnknown,      // it may be anything
  kAfterLoss,    // it may be the middle of anything
  kResponseDue,  // an HTTP request waits for its answer, or responses went before
};

// Reads a whole line, without its line end. Beyond the grammar of RFC 9112 it takes
//
//   anywhere              several spaces or tabs between the parts and at the end; spaces, control
//                         characters and raw UTF-8 in the target (the method is the first word, the
//                         version the last), or no target; unknown methods; a status without a
//                         reason, or with one that follows without a space
//   not after a loss      with a known method any version that begins with HTTP, in any case, or
//                         none; known methods in any case before a path and a version
//   a response is due     any line that begins with HTTP, in any case, or with ICY (SHOUTcast)
//
// An odd version is read as browsers do: 1.1 and above as 1.1, anything else as 1.0.
StartLine read_start_line(std::string_view line, StartContext context = StartContext::kUnknown);

// Reads what is there of a line whose end the capture cut off or lost: a known method and the
// beginning of a target, or a version and a status. kNone for less.
StartLine read_cut_start_line(std::string_view bytes);

// What a stream's first bytes can become.
enum class StartGuess : uint8_t {
  kNo,
  kMaybe,  // too few bytes, or an unknown method whose line is not complete yet
  kRequest,
  kResponse,
  kHttp2,
  kTls,
};

// Judges the first bytes of a stream or segment; leading blanks and empty lines have been skipped.
// As soon as the first line is complete it is decided by read_start_line; before that a known
// method and a space, or "HTTP/1.x NNN", are enough, and kNo means that no bytes after these can
// make a start line of them. Looks at no more than the first line.
StartGuess guess_start(std::string_view first_bytes, StartContext context = StartContext::kUnknown);

// Whether these bytes can begin a status line, given that a response is due.
bool may_begin_response(std::string_view first_bytes);

// Whether a segment starts with a known method and a space, or with "HTTP/1.". Costs a few
// nanoseconds; what an ignored stream is asked for each of its segments.
bool starts_like_message(std::string_view first_bytes);

// How many bytes of empty lines and blanks stand before the start line. RFC 9112 section 2.2 lets a
// recipient skip the empty lines before a request.
size_t leading_blanks(std::string_view bytes);

}  // namespace tcp_sniffer
