#pragma once

#include <cstdint>

#include "core/http/head.h"

namespace tcp_sniffer {

// How a message's body is delimited: RFC 9112 section 6.3, as an observer reads it, which can
// refuse nothing. Pure functions over a head, any thread. Where the RFC says "reject", the reading
// that loses the least is taken and named in `anomalies`:
//
//   Transfer-Encoding and Content-Length   Transfer-Encoding, except in HTTP/1.0, whose recipients
//                                          know only Content-Length
//   several Content-Length, "5, 5"         one value
//   several that differ                    the first (as libhtp does)
//   no number, a sign, above 2^63 - 1      a request has no body, a response lasts until the close
//   last coding is not chunked, request    Content-Length when there is one, else no body
//   last coding is not chunked, response   until the close (RFC 9112 section 6.3 item 4)
//   Transfer-Encoding: identity            as if absent (RFC 2616 section 4.4 had it)
//   chunked in HTTP/1.0                    chunked (RFC 9112 section 6.1)

enum class BodyKind : uint8_t { kNone, kLength, kChunked, kUntilClose };

enum class RequestMethodKind : uint8_t {
  kUnknown,
  kHead,
  kConnect,
  kVersionless,  // the request has no version: its answer may be a body alone (HTTP/0.9)
  kOther,
};

RequestMethodKind method_kind(const HttpHead& head);

struct Framing {
  BodyKind kind = BodyKind::kNone;
  uint64_t length = 0;              // of kLength, at most 2^63 - 1; never 0 with kLength
  bool tunnel = false;              // 101, or 2xx to CONNECT: what follows is another protocol
  bool interim = false;             // 1xx other than 101
  Anomalies anomalies;              // of framing alone
  bool expect_continue = false;     // Expect: 100-continue
  bool body_may_be_absent = false;  // a response whose request is not known: it may be to HEAD
};

// Whether a line of a head is a field that says how a body is framed.
bool frames_body(std::string_view line);

Framing request_framing(const HttpHead& head);
Framing response_framing(const HttpHead& head, RequestMethodKind request);

}  // namespace tcp_sniffer
