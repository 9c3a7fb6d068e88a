// HttpDirection: a request that asked before it sent its body (Expect: 100-continue, RFC 9110
// section 10.1.1). After a final answer the client may keep the body and go on with its next
// request, and nothing announces that: what it sends next decides.

#include <utility>

#include "core/base/limits.h"
#include "core/http/direction.h"
#include "core/http/known_methods.h"

namespace tcp_sniffer {

namespace {

enum class Follows : uint8_t { kBody, kRequest, kUndecided };

// What the bytes after the head are, if so much of a body was announced (0 = not known).
Follows what_follows(std::string_view text, uint64_t announced) {
  const bool ends_here = announced != 0 && text.size() >= announced;
  text.remove_prefix(leading_blanks(text));
  const size_t line_feed = text.find('\n');
  if (line_feed != std::string_view::npos) {
    std::string_view line = text.substr(0, line_feed);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const StartLine start = read_start_line(line);
    const bool begins =
        start.kind == StartLineKind::kRequest && (start.known_method || !start.irregular);
    return begins ? Follows::kRequest : Follows::kBody;
  }
  const StartGuess guess = guess_start(text);
  if (guess == StartGuess::kRequest) {
    return text.size() < kUndecidedLineMax ? Follows::kUndecided : Follows::kRequest;
  }
  if (guess != StartGuess::kMaybe || text.size() >= kUndecidedLineMax) return Follows::kBody;
  // An unknown method, or a word: where the segment ends with the body, it is the body.
  return ends_here && !begins_known_method(text) ? Follows::kBody : Follows::kUndecided;
}

}  // namespace

// A response to the request stands at `start_offset` of the other stream and waits for the request
// to be complete; `head` is what is there of it. False: too little to know its status.
bool HttpDirection::note_answer(OpenMessage& asker, std::string_view head, uint64_t start_offset) {
  const bool known = head.size() >= kStatusBytes || head.find('\n') != std::string_view::npos;
  if (!known) return false;
  asker.answer_offset = start_offset;
  asker.answer = head.substr(0, kStatusBytes).ends_with("100") ? ExpectAnswer::kContinue
                                                               : ExpectAnswer::kFinal;
  return true;
}

// Whether the client had a final answer when it sent the segment. Of a server whose answer was not
// captured, it is enough that it had got something.
bool HttpDirection::was_answered(const SegmentMeta& meta) {
  const OpenMessage& open = *here_.open;
  if (open.answer == ExpectAnswer::kContinue) return false;
  if (open.answer == ExpectAnswer::kFinal) {
    return meta.acknowledged == 0 || meta.acknowledged > open.answer_offset;
  }
  return (peer().lossy || !peer().started) && open.first.acknowledged != 0 &&
         meta.acknowledged > open.first.acknowledged;
}

// The first bytes after the head. Returns those used.
size_t HttpDirection::take_expected(const Input& input) {
  OpenMessage& open = *here_.open;
  const size_t before = open.undecided.size;
  if (before == 0 && !was_answered(input.meta)) {
    open.expects_continue = false;
    return 0;
  }
  std::string_view text = input.text;
  const bool request_begins =
      starts_like_message(text) && what_follows(text, 0) == Follows::kRequest;
  Follows follows = what_follows(text, open.remaining);
  if (before > 0) {
    // A body that came whole ends here, and the next request comes with this segment.
    const bool is_whole = open.remaining == before && request_begins;
    if (!is_whole && open.undecided.append(engine_.pool_, text)) {
      follows = what_follows(open.undecided.text(), open.remaining);
      if (follows != Follows::kUndecided) open.undecided.size = before;
    } else {
      follows = Follows::kBody;
    }
  } else if (follows == Follows::kUndecided) {
    open.undecided_first = input.meta;
    if (!open.undecided.append(engine_.pool_, text)) follows = Follows::kBody;
  }
  switch (follows) {
    case Follows::kUndecided:
      return text.size();
    case Follows::kBody:
      take_undecided_as_body();
      return 0;
    case Follows::kRequest:
      finish_without_body();
      return 0;
  }
  return 0;
}

// The body comes nevertheless.
void HttpDirection::take_undecided_as_body() {
  OpenMessage& open = *here_.open;
  open.expects_continue = false;
  GrowingText bytes = std::exchange(open.undecided, {});
  const SegmentMeta first = open.undecided_first;
  const uint64_t offset = open.start_offset + open.head.size;
  run({bytes.text(), offset, first, true, offset});
  bytes.release(engine_.pool_);
}

// The request is complete without its body. What is undecided begins the next one; nothing more of
// the client is read before the answer that waits.
void HttpDirection::finish_without_body() {
  GrowingText kept = std::exchange(here_.open->undecided, {});
  const SegmentMeta first = here_.open->undecided_first;
  const uint64_t offset = here_.open->start_offset + here_.open->head.size;
  http_.answer_waits = here_.open->answer == ExpectAnswer::kFinal && !here_.open->given_out;
  finish();
  if (kept.size == 0) return;
  OpenMessage* open = take_open_message();
  if (open == nullptr) {
    engine_.counters_.add(ShardCounter::lost_before_start_line);
    engine_.counters_.add(ShardCounter::skipped_in_resync, kept.size);
    kept.release(engine_.pool_);
    start_search(false);
    return;
  }
  open->head = kept;
  open->first = open->last = first;
  open->start_offset = offset;
  here_.phase = HttpPhase::kHead;
}

// Nothing more will decide: the stream ends here or goes on after a gap. True: the request is
// finished.
bool HttpDirection::settle_expected(Incomplete cause) {
  OpenMessage& open = *here_.open;
  if (open.undecided.size > 0) {
    if (guess_start(open.undecided.text()) == StartGuess::kRequest) {
      finish_without_body();
      interrupt(cause);
      return true;
    }
    take_undecided_as_body();
    if (HttpEngine::in_message(http_, side_)) return false;
    interrupt(cause);
    return true;
  }
  const bool lost = cause == Incomplete::kGap || cause == Incomplete::kSnaplen;
  http_.answer_waits = open.answer == ExpectAnswer::kFinal && !open.given_out;
  if (lost || open.answer != ExpectAnswer::kFinal) return false;
  finish_without_body();
  return true;
}

// Whether this side's bytes stay where they are: the response that waited for the request before
// them comes first.
bool HttpDirection::waits_its_turn(bool force) {
  ExchangeRing ring = exchanges();
  const HeldSide held = side_ == Side::kLow ? HeldSide::kLow : HeldSide::kHigh;
  if (http_.answer_waits && !ring.empty() && ring.front().side == side_) {
    if (!ring.front().complete) return false;
    if (!force) {
      http_.held = held;
      return true;
    }
  }
  http_.answer_waits = false;
  if (http_.held == held) http_.held = HeldSide::kNone;
  return false;
}

}  // namespace tcp_sniffer
