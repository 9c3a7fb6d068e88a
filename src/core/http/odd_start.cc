// HttpDirection: starts of messages that are read only where the context says HTTP.

#include <utility>

#include "core/http/direction.h"

namespace tcp_sniffer {

// A response is due while a request waits for its answer, or where responses went before and the
// requests are not captured.
StartContext HttpDirection::start_context() {
  ExchangeRing ring = exchanges();
  const bool due = ring.empty() ? here_.started && http_.next_exchange == 0 &&
                                      wanted_messages() == MessageFinder::Wanted::kResponses
                                : ring.front().side != side_;
  return due ? StartContext::kResponseDue : StartContext::kUnknown;
}

// The oldest request that waits has no version: a server that knows nothing younger than HTTP/0.9
// answers it with a body alone.
bool HttpDirection::bare_answer_due() {
  ExchangeRing ring = exchanges();
  return !ring.empty() && ring.front().side != side_ && ring.front().complete &&
         ring.front().method == RequestMethodKind::kVersionless && !here_.started;
}

// The bytes at a message's place begin none that is read everywhere.
size_t HttpDirection::odd_start(const Input& input) {
  const StartContext known = start_context();
  if (known == StartContext::kUnknown) {
    // Its request may follow: captures reorder.
    const bool waits = !here_.started && http_.next_exchange == 0 && !input.force &&
                       may_begin_response(input.text) && must_hold_back();
    return waits ? kRefused : not_a_message(input);
  }
  HttpHead head;
  HeadProgress progress;
  progress.context = known;
  const HeadStatus status = engine_.heads_.read(input.text, progress, head);
  if (status == HeadStatus::kComplete) return head_in_segment(input, head);
  const StartGuess guess = guess_start(input.text, known);
  const bool begins = status != HeadStatus::kInvalid &&
                      (guess == StartGuess::kResponse || guess == StartGuess::kMaybe);
  if (begins || bare_answer_due()) {
    return begin_head(input, false);
  }
  if (nature_of(input.text) != StreamNature::kUnknown) return not_a_message(input);
  // A request was sent, so that this is rubbish in front of its answer.
  report_parse_error();
  start_search(false);
  return 0;
}

// What was taken for the beginning of a head is the body that answers a request of HTTP/0.9.
void HttpDirection::begin_bare_answer() {
  OpenMessage& open = *here_.open;
  GrowingText bytes = std::exchange(open.head, {});
  here_.phase = HttpPhase::kBodyUntilClose;
  here_.started = true;
  open.direction = MessageDirection::kResponse;
  open.bare_answer = false;
  open.http09 = true;
  open.anomalies.add(Anomaly::kHttp09);
  take_exchange(find_exchange(open.start_offset, open.first, 200), true);
  engine_.counters_.add(ShardCounter::parsed, bytes.size);
  take_body(open, bytes.text(), open.last);
  bytes.release(engine_.pool_);
}

// The other side answers, or no more bytes come: one line without a version is a whole request of
// HTTP/0.9. False: there is no such line.
bool HttpDirection::complete_http09() {
  if (here_.phase != HttpPhase::kHead || !here_.open->progress.versionless) return false;
  OpenMessage& open = *here_.open;
  HttpHead head;
  open.progress.ended = true;
  if (engine_.heads_.read(open.head.text(), open.progress, head) != HeadStatus::kComplete) {
    open.progress.ended = false;
    return false;
  }
  head_in_open_message(head);
  return true;
}

// No more bytes come to a head: HTTP/0.9 knows no other end.
void HttpDirection::settle_head() {
  if (here_.phase != HttpPhase::kHead) return;
  if (here_.open->bare_answer && !here_.open->progress.start_judged) {
    begin_bare_answer();
  } else {
    complete_http09();
  }
}

// What was skipped in front of the message that begins. Empty lines in front of a request are
// allowed (RFC 9112 section 2.2).
Anomalies HttpDirection::take_skipped(MessageDirection direction) {
  Anomalies anomalies;
  anomalies.add_if(
      here_.skipped_blanks || (here_.skipped_lines && direction == MessageDirection::kResponse),
      Anomaly::kLeadingBlanks);
  here_.skipped_lines = here_.skipped_blanks = false;
  return anomalies;
}

}  // namespace tcp_sniffer
