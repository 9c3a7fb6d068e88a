// HttpDirection: bytes that are lost, and the end of a message, a stream and a connection.

#include "core/base/limits.h"
#include "core/http/direction.h"

namespace tcp_sniffer {

// Bytes that will never come. Inside a body whose end is known they are bridged; elsewhere the
// message ends here and the next one is searched.
void HttpDirection::gap(uint64_t offset, uint64_t length, GapCause cause) {
  if (http_.order_waits()) waits_its_turn(true);
  const Incomplete word = cause == GapCause::kSnaplen ? Incomplete::kSnaplen : Incomplete::kGap;
  uint64_t bridgeable = 0;
  switch (here_.phase) {
    case HttpPhase::kTunnel:
    case HttpPhase::kIgnored:
      return;
    case HttpPhase::kBodyLength:
      // After a final answer the next request may stand where the body was announced.
      if (!here_.open->expects_continue ||
          (here_.open->answer != ExpectAnswer::kFinal && here_.open->undecided.size == 0)) {
        bridgeable = here_.open->remaining;
      }
      break;
    case HttpPhase::kBodyChunked:
      bridgeable = here_.open->chunked.remaining_in_chunk();
      break;
    case HttpPhase::kBodyUntilClose:
      bridgeable = ~uint64_t{0};
      break;
    default:
      break;
  }
  if (length > bridgeable || bridgeable == 0) {
    if (!http_.streams[0].lossy && !http_.streams[1].lossy) {
      http_.waits = !http_.pipelines && http_.next_exchange >= kWaitsSeen;
    }
    uint64_t unknown = length;
    bool message_begins = here_.phase == HttpPhase::kStart;
    if (here_.phase == HttpPhase::kBodyLength && bridgeable > 0) {
      unknown -= bridgeable;
      message_begins = true;
      bridge(bridgeable);
    } else if (here_.phase == HttpPhase::kHead) {
      unknown += here_.open->head.size;
    } else if (here_.phase == HttpPhase::kSearch) {
      ExchangeRing ring = exchanges();
      message_begins =
          here_.direct && !ring.empty() && ring.back().alone && ring.back().sent_ack == offset;
    }
    const uint32_t requests = http_.next_exchange;
    interrupt(word);
    start_search(true);
    const bool is_request = http_.next_exchange != requests;
    // The rest of a segment is the rest of the request that it begins with.
    if (is_request && cause == GapCause::kSnaplen) return;
    note_gap(unknown, message_begins);
    if (is_request) note_cut_request(unknown);
    return;
  }
  OpenMessage& open = *here_.open;
  if (open.cause == Incomplete::kNo) open.cause = word;
  open.body_may_be_absent = open.may_answer_head = false;
  open.expects_continue = false;
  bridge(length);
  if (here_.phase == HttpPhase::kBodyLength && open.remaining == 0) finish();
}

// `length` bytes of the body are missing.
void HttpDirection::bridge(uint64_t length) {
  OpenMessage& open = *here_.open;
  open.behind_cut_known &= open.kept_size() < engine_.settings_.body_max;
  if (open.search != nullptr) open.search->finder = MessageFinder();
  const BodyGap gap{open.body_size, length};
  open.gaps.append(engine_.pool_, {reinterpret_cast<const char*>(&gap), sizeof(gap)});
  open.body_size += length;
  open.missing += length;
  if (here_.phase == HttpPhase::kBodyLength) open.remaining -= length;
  if (here_.phase == HttpPhase::kBodyChunked) open.chunked.skip_in_chunk(length);
}

// Ends the message in the making, whatever state it is in, with the reason why.
void HttpDirection::interrupt(Incomplete cause) {
  switch (here_.phase) {
    case HttpPhase::kHead:
      interrupt_head(cause);
      return;
    case HttpPhase::kBodyLength:
    case HttpPhase::kBodyChunked:
    case HttpPhase::kBodyUntilClose: {
      if (here_.open->expects_continue && settle_expected(cause)) return;
      OpenMessage& open = *here_.open;
      if (open.cause == Incomplete::kNo) open.cause = cause;
      if (here_.phase == HttpPhase::kBodyLength) {
        open.missing += open.remaining;
        open.body_size += open.remaining;
      }
      finish();
      return;
    }
    default:
      release_open_message();
      return;
  }
}

// The head will not become complete. Without a whole start line there is no message.
void HttpDirection::interrupt_head(Incomplete cause) {
  OpenMessage& open = *here_.open;
  HttpHead head;
  open.progress.cut = cause == Incomplete::kSnaplen;
  const bool readable =
      !open.strict && engine_.heads_.read_partial(open.head.text(), open.progress, head);
  if (!readable) {
    engine_.counters_.add(ShardCounter::lost_before_start_line);
    engine_.counters_.add(ShardCounter::skipped_in_resync, open.head.size);
    after_message();
    return;
  }
  engine_.counters_.add(ShardCounter::parsed, open.head.size);
  here_.started = true;
  open.direction = head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                              : MessageDirection::kResponse;
  open.cause = open.long_head ? Incomplete::kLimit : cause;
  if (open.direction == MessageDirection::kResponse &&
      must_wait(open.start_offset, open.candidate)) {
    other().give_out_request();
  }
  if (open.direction == MessageDirection::kRequest) {
    open_exchange(head, open);
    complete_exchange(open);
  } else {
    take_exchange(find_exchange(open.start_offset, open.first, head.start.status), true);
  }
  emit_open_message(true);
  after_message();
}

void HttpDirection::end_of_stream(bool reset) {
  here_.ended = true;
  if (http_.order_waits()) waits_its_turn(true);
  if (here_.open != nullptr) end_message(reset);
}

// The stream ends within a message.
void HttpDirection::end_message(bool reset) {
  settle_head();
  const bool in_body =
      here_.phase == HttpPhase::kBodyLength || here_.phase == HttpPhase::kBodyChunked;
  // A response that ends with its head, while a HEAD may be what it answers, answers that.
  const bool has_no_body = in_body && here_.open->may_answer_head;
  if ((here_.phase == HttpPhase::kBodyUntilClose || has_no_body) && !reset) {
    finish();
    return;
  }
  if (in_body && here_.open->expects_continue && here_.open->undecided.size == 0 &&
      here_.open->answer != ExpectAnswer::kFinal) {
    here_.open->ended = true;  // the answer decides; it may be captured later
    return;
  }
  interrupt(Incomplete::kClosed);
}

bool HttpDirection::is_request_open() const {
  return here_.phase == HttpPhase::kHead ? !may_begin_response(here_.open->head.text())
                                         : here_.open->direction == MessageDirection::kRequest;
}

void HttpDirection::close(Incomplete cause) {
  settle_head();
  interrupt(cause);
}

}  // namespace tcp_sniffer
