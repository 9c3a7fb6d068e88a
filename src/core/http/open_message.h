#pragma once

#include <array>
#include <cstdint>

#include "core/base/buffer_pool.h"
#include "core/base/growing_text.h"
#include "core/http/body_memory.h"
#include "core/http/chunked_decoder.h"
#include "core/http/framing.h"
#include "core/http/head.h"
#include "core/http/message_search.h"
#include "core/http/open_parts.h"
#include "core/http/request_text.h"
#include "core/message/message.h"
#include "core/metrics/request_series.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

// What the server answered to a request that asked before it sent its body (Expect: 100-continue).
enum class ExpectAnswer : uint8_t {
  kNone,      // nothing yet, or too little to know
  kContinue,  // 100: the body comes
  kFinal,     // anything else: the body may stay away (RFC 9110 section 10.1.1)
};

// A message in the making that does not fit one segment, or the search for the next one.
// Taken from the pool when needed and given back with everything it holds.
struct OpenMessage {
  GrowingText head;      // start line and headers as sent
  BodyMemory body;       // kept part, de-chunked
  GrowingText trailers;  // raw trailer section
  GrowingText gaps;      // BodyGap objects
  GrowingText cuts;  // uint32_t: where segments begin in the first line, while it may be surplus

  HeadProgress progress;
  ChunkedDecoder chunked;
  MessageSearch* search = nullptr;  // while the next message is searched
  OpenParts* parts = nullptr;       // of a body that is given out while it arrives

  SegmentMeta first;          // brought the first byte
  SegmentMeta last;           // brought the latest byte
  uint64_t start_offset = 0;  // of the first byte in the stream
  uint64_t remaining = 0;     // body bytes still to come (kBodyLength)
  uint64_t body_size = 0;     // so far, missing ones included
  uint64_t missing = 0;
  uint64_t exchange = kNoExchange;
  int64_t request_last_ns = 0;  // of the response's request
  bool has_request_time : 1 = false;
  bool after_gap : 1 = false;
  bool candidate : 1 = false;     // found by searching: counts only when its head is valid
  bool strict : 1 = false;        // … and strictly valid: it did not start right after the loss
  bool known_only : 1 = false;    // … and, of a request, with a known method
  bool headers_cut : 1 = false;   // more fields than maxHeaders, or more bytes than maxHeaderBytes
  bool long_head : 1 = false;     // kHead: beyond maxHeaderBytes, only what frames a body is kept
  bool long_line : 1 = false;     // … of the line being read, `undecided` has the beginning
  bool framing_line : 1 = false;  // … the last field frames the body
  bool body_truncated : 1 = false;
  bool behind_cut_known : 1 = true;  // until bytes after the kept part of the body were missing
  bool body_given_up : 1 = false;    // memory ended: no more of the body is kept
  bool body_unwanted : 1 = false;    // nobody asked for the body, or a part of it, when it came
  bool body_binary : 1 = false;      // the kept part is not UTF-8, and nobody wants it
  bool body_may_be_absent : 1 = false;
  bool may_answer_head : 1 = false;  // … because a HEAD waits, and nothing of a body has come
  bool bare_answer : 1 = false;      // kHead: its request has no version, so it may be a body alone
  bool http09 : 1 = false;           // that is what it was
  bool broken_body : 1 = false;      // declared chunked, and is not: ends where a message begins
  bool given_out : 1 = false;        // a request whose line had to come before it was complete
  // Of a request with Expect: 100-continue, until it is known whether its body comes.
  bool expects_continue : 1 = false;
  bool ended : 1 = false;  // … and the client sends nothing more
  ExpectAnswer answer : 2 = ExpectAnswer::kNone;
  MessageDirection direction : 1 = MessageDirection::kRequest;
  uint8_t behind_cut_size : 2 = 0;  // bytes that followed the kept part of the body …
  std::array<char, 3> behind_cut{};
  Incomplete cause : 4 = Incomplete::kNo;
  Incomplete unanswerable : 4 = Incomplete::kNo;  // of a request: Message::unanswerable
  Anomalies anomalies;                            // those that the head does not show

  // HttpSettings::meter: of a request, or of a final response whose request is known.
  uint32_t row = RequestSeries::kNoRow;

  union {
    uint64_t answer_offset = 0;  // expects_continue: of the response that waits, in its stream
    int64_t request_first_ns;    // of a final response with a row: its request's
  };
  // expects_continue
  GrowingText undecided;  // bytes after the head: a body or the next request; long_head: a line
  SegmentMeta undecided_first;  // brought the first of them

  // What the response's line says of its request.
  RequestText request_text;
  uint64_t request_body_size = 0;

  // Bytes of the body that were kept, those that were given out included.
  uint64_t kept_size() const { return body.size() + freed_size(); }
  uint64_t freed_size() const { return parts == nullptr ? 0 : parts->freed_size; }
};
static_assert(sizeof(OpenMessage) <= 512);  // one of the pool's sizes

}  // namespace tcp_sniffer
