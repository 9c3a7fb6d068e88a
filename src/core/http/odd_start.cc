// HttpEngine: starts of messages that are read only where the context says HTTP.

#include <utility>

#include "core/http/engine.h"

namespace tcp_sniffer {

// A response is due while a request waits for its answer, or where responses went before and the
// requests are not captured.
StartContext HttpEngine::start_context(HttpContext& context, Side side) {
  ExchangeRing ring(context.http, pool_);
  const bool due = ring.empty()
                       ? stream(context, side).started && context.http.next_exchange == 0 &&
                             wanted_of(context, side) == MessageFinder::Wanted::kResponses
                       : ring.front().side != side;
  return due ? StartContext::kResponseDue : StartContext::kUnknown;
}

// The oldest request that waits has no version: a server that knows nothing younger than HTTP/0.9
// answers it with a body alone.
bool HttpEngine::bare_answer_due(HttpContext& context, Side side) {
  ExchangeRing ring(context.http, pool_);
  return !ring.empty() && ring.front().side != side && ring.front().complete &&
         ring.front().method == RequestMethodKind::kVersionless && !stream(context, side).started;
}

// The bytes at a message's place begin none that is read everywhere.
size_t HttpEngine::odd_start(HttpContext& context, Side side, const Input& input) {
  const StartContext known = start_context(context, side);
  if (known == StartContext::kUnknown) {
    // Its request may follow: captures reorder.
    HttpStream& here = stream(context, side);
    const bool waits = !here.started && context.http.next_exchange == 0 && !input.force &&
                       may_begin_response(input.text) && must_hold_back(context, here);
    return waits ? kRefused : not_a_message(context, side, input);
  }
  HttpHead head;
  HeadProgress progress;
  progress.context = known;
  const HeadStatus status = heads_.read(input.text, progress, head);
  if (status == HeadStatus::kComplete) return head_in_segment(context, side, input, head);
  const StartGuess guess = guess_start(input.text, known);
  const bool begins = status != HeadStatus::kInvalid &&
                      (guess == StartGuess::kResponse || guess == StartGuess::kMaybe);
  if (begins || bare_answer_due(context, side)) {
    return begin_head(context, side, input, false);
  }
  if (nature_of(input.text) != StreamNature::kUnknown) return not_a_message(context, side, input);
  // A request was sent, so that this is rubbish in front of its answer.
  say_parse_error(context, side);
  start_search(context, side, false);
  return 0;
}

// What was taken for the beginning of a head is the body that answers a request of HTTP/0.9.
void HttpEngine::begin_bare_answer(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  GrowingText bytes = std::exchange(open.head, {});
  here.phase = HttpPhase::kBodyUntilClose;
  here.started = true;
  open.direction = MessageDirection::kResponse;
  open.bare_answer = false;
  open.http09 = true;
  open.anomalies.add(Anomaly::kHttp09);
  if (Exchange* exchange = find_exchange(context, side, open.start_offset, open.first, 200)) {
    open.exchange = exchange->number;
    open.has_request_time = exchange->complete;
    open.request_last_ns = exchange->last_byte_ns;
    take_request_text(open, *exchange);
    ExchangeRing(context.http, pool_).pop_front();
  }
  counters_.add(ShardCounter::parsed, bytes.size);
  take_body(open, bytes.text(), open.last);
  bytes.release(pool_);
}

// The other side answers, or no more bytes come: one line without a version is a whole request of
// HTTP/0.9. False: `side` has no such line.
bool HttpEngine::complete_http09(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  if (here.phase != HttpPhase::kHead || !here.open->progress.versionless) return false;
  OpenMessage& open = *here.open;
  HttpHead head;
  open.progress.ended = true;
  if (heads_.read(open.head.text(), open.progress, head) != HeadStatus::kComplete) {
    open.progress.ended = false;
    return false;
  }
  head_in_open_message(context, side, head);
  return true;
}

// No more bytes come to a head: HTTP/0.9 knows no other end.
void HttpEngine::settle_head(HttpContext& context, Side side) {
  const HttpStream& here = stream(context, side);
  if (here.phase != HttpPhase::kHead) return;
  if (here.open->bare_answer && !here.open->progress.start_judged) {
    begin_bare_answer(context, side);
  } else {
    complete_http09(context, side);
  }
}

// What was skipped in front of the message that begins. Empty lines in front of a request are
// allowed (RFC 9112 section 2.2).
Anomalies HttpEngine::take_skipped(HttpStream& here, MessageDirection direction) {
  Anomalies anomalies;
  anomalies.add_if(
      here.skipped_blanks || (here.skipped_lines && direction == MessageDirection::kResponse),
      Anomaly::kLeadingBlanks);
  here.skipped_lines = here.skipped_blanks = false;
  return anomalies;
}

}  // namespace tcp_sniffer
