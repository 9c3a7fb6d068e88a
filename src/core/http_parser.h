#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/buffer_pool.h"
#include "core/chunked_decoder.h"
#include "core/growing_text.h"
#include "core/http_framing.h"
#include "core/http_head.h"
#include "core/http_message.h"
#include "core/message_finder.h"
#include "core/reorder_buffer.h"

namespace tcp_sniffer {

// What the server said to a request that asked before it sent its body (Expect: 100-continue).
enum class ExpectAnswer : uint8_t {
  kNone,      // nothing yet, or too little to know
  kContinue,  // 100: the body comes
  kFinal,     // anything else: the body may stay away (RFC 9110 section 10.1.1)
};

// A message in the making that does not fit one segment, or a partial line kept while searching.
// Taken from the pool when needed and given back with everything it holds.
struct HttpParser {
  GrowingText head;      // start line and headers as sent; while searching: the kept line
  GrowingText body;      // kept part, de-chunked
  GrowingText trailers;  // raw trailer section
  GrowingText gaps;      // BodyGap objects
  GrowingText cuts;  // uint32_t: where segments begin in the first line, while it may be surplus

  Anomalies anomalies;  // those that the head does not show

  HeadProgress progress;
  ChunkedDecoder chunked;
  MessageFinder finder;

  SegmentMeta first;          // brought the first byte
  SegmentMeta last;           // brought the latest byte
  uint64_t start_offset = 0;  // of the first byte in the stream
  uint64_t remaining = 0;     // body bytes still to come (kBodyLength)
  uint64_t body_size = 0;     // so far, missing ones included
  uint64_t missing = 0;
  uint64_t exchange = kNoExchange;
  int64_t request_last_ns = 0;  // of the response's request
  bool has_request_time = false;
  MessageDirection direction = MessageDirection::kRequest;
  Incomplete cause = Incomplete::kNo;
  bool after_gap = false;
  bool candidate = false;    // found by searching: counts only when its head is valid
  bool strict = false;       // … and strictly valid: it did not start right behind the loss
  bool headers_cut = false;  // more fields than maxHeaders
  bool body_truncated = false;
  uint8_t behind_cut_size = 0;  // bytes that followed the kept part of the body …
  std::array<char, 3> behind_cut{};
  bool behind_cut_known = true;  // … until some were missing
  bool body_given_up = false;    // memory ended: no more of the body is kept
  bool body_binary = false;      // the kept part is not UTF-8, and nobody wants it
  bool body_may_be_absent = false;
  bool bare_answer = false;  // kHead: its request has no version, so it may be a body alone
  bool http09 = false;       // that is what it was
  bool broken_body = false;  // declared chunked, and is not: ends where a message begins
  bool given_out = false;    // a request whose line had to come before it was complete

  // Of a request with Expect: 100-continue, until it is known whether its body comes.
  bool expects_continue = false;
  bool ended = false;  // … and the client sends nothing more
  ExpectAnswer answer = ExpectAnswer::kNone;
  uint64_t answer_offset = 0;   // of the response that waits, in the other stream
  GrowingText undecided;        // bytes behind the head: a body or the next request
  SegmentMeta undecided_first;  // brought the first of them

  // format pretty: what the response's line says of its request
  Buffer request_text;
  uint8_t request_method_size = 0;
  uint16_t request_target_size = 0;
  uint16_t request_host_size = 0;
  uint64_t request_body_size = 0;
};

}  // namespace tcp_sniffer
