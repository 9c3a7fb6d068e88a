#include "core/http/direction.h"

#include <algorithm>
#include <new>
#include <utility>

namespace tcp_sniffer {

uint32_t HttpDirection::consume(uint64_t offset, std::span<const uint8_t> bytes,
                                const SegmentMeta& meta, bool force) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t taken = 0;
  while (taken < text.size()) {
    const size_t used = run({text.substr(taken), offset + taken, meta, force, offset});
    taken += used;
    if (engine_.replay_.size > 0) {
      // A candidate that began in an earlier segment failed: the bytes from the line that failed
      // it are searched again. Candidates within them are rewound in place, so this ends.
      GrowingText again = std::exchange(engine_.replay_, {});
      run({again.text().substr(engine_.replay_from_), engine_.replay_offset_, meta, true, offset});
      again.release(engine_.pool_);
    } else if (taken < text.size()) {
      break;  // refused
    }
  }
  return static_cast<uint32_t>(taken);
}

// Takes bytes until all are used, some are refused, or bytes of earlier segments must be replayed.
size_t HttpDirection::run(const Input& input) {
  size_t taken = 0;
  while (taken < input.text.size()) {
    const size_t used = step(
        {input.text.substr(taken), input.offset + taken, input.meta, input.force, input.segment});
    if (used == kRefused) break;
    taken += used;
    if (engine_.replay_.size == 0) continue;
    if (engine_.replay_offset_ < input.offset) break;
    taken = static_cast<size_t>(engine_.replay_offset_ - input.offset);
    engine_.replay_.release(engine_.pool_);
  }
  return taken;
}

// What the current phase makes of the next bytes. May use none when it changes the phase.
size_t HttpDirection::step(const Input& input) {
  switch (here_.phase) {
    case HttpPhase::kStart:
      return start_message(input);
    case HttpPhase::kHead:
      return continue_head(input);
    case HttpPhase::kBodyLength:
    case HttpPhase::kBodyChunked:
    case HttpPhase::kBodyUntilClose:
      return continue_body(input);
    case HttpPhase::kSearch:
      return search(input);
    case HttpPhase::kIgnored:
      return ignored(input);
    case HttpPhase::kTunnel:
      engine_.counters_.add(ShardCounter::tunnel, input.text.size());
      return input.text.size();
  }
  return input.text.size();
}

size_t HttpDirection::start_message(const Input& input) {
  if (peer().open != nullptr) [[unlikely]] {
    other().complete_http09();
    other().end_broken_request();
  }
  if (http_.order_waits() && waits_its_turn(input.force)) return kRefused;
  const char first = input.text[0];
  if (first >= 0 && first <= ' ' && !bare_answer_due()) {
    const size_t skipped = leading_blanks(input.text);
    for (const char c : input.text.substr(0, skipped)) {
      here_.skipped_lines |= c == '\n' || c == '\r';
      here_.skipped_blanks |= c == ' ' || c == '\t';
    }
    engine_.counters_.add(ShardCounter::parsed, skipped);
    if (skipped > 0) return skipped;
  }
  if ((first == 'H' || first == 'h' || first == 'I') && !is_next_answer() &&
      may_begin_response(input.text) &&
      response_room(input.text, input.offset, false, input.force) == 0) {
    return kRefused;
  }
  // A request that came with the end of the one before did not wait for a response.
  const bool follows = input.offset > input.segment && here_.started && !here_.lossy;
  HttpHead head;
  HeadProgress progress;
  switch (engine_.heads_.read(input.text, progress, head)) {
    case HeadStatus::kComplete:
      if (follows && head.start.known_method) {
        http_.surely_pipelines = http_.pipelines = true;
      }
      return head_in_segment(input, head);
    case HeadStatus::kInvalid:
      return odd_start(input);
    default:
      break;
  }
  switch (guess_start(input.text)) {
    case StartGuess::kRequest:
      if (follows) http_.surely_pipelines = true;
      [[fallthrough]];
    case StartGuess::kMaybe:
    case StartGuess::kResponse:
      return begin_head(input, false);
    default:
      return odd_start(input);
  }
}

// The oldest request that waits is complete, and order says that the response is its answer.
bool HttpDirection::is_next_answer() {
  ExchangeRing ring = exchanges();
  return !ring.empty() && ring.front().complete && !here_.order_lost && !ring.front().after_loss;
}

// A response may not be read before the request it answers is complete: its line would come first
// (docs/messages.md: a request before its response). One that was found by searching is in nobody's
// order.
bool HttpDirection::must_wait(uint64_t start_offset, bool candidate) {
  ExchangeRing ring = exchanges();
  if (ring.empty()) {
    const bool begins =
        peer().phase == HttpPhase::kHead && wanted_messages() != MessageFinder::Wanted::kRequests;
    return !candidate && (begins || http_.held != HeldSide::kNone);
  }
  const auto is_open = [this](const Exchange& exchange) {
    return !exchange.complete && exchange.side != side_;
  };
  if (is_open(ring.front()) && (!candidate || answers_only_one())) return true;
  const bool in_order = !here_.order_lost && !ring.front().after_loss;
  return !in_order && is_open(ring.back()) && ring.back().sent_ack == start_offset;
}

// How much may be taken of a response of which `head` is there: everything, nothing while its
// request is incomplete, or so much that its status is known, which decides about a request that
// asked before it sent its body.
size_t HttpDirection::response_room(std::string_view head, uint64_t start_offset, bool candidate,
                                    bool force) {
  constexpr size_t kAll = ~size_t{0};
  if (!must_wait(start_offset, candidate)) return kAll;
  if (other().end_broken_request()) return kAll;
  OpenMessage* asker = peer().open;
  if (asker != nullptr && asker->expects_continue) {
    if (!note_answer(*asker, head, start_offset) && !force) return kStatusBytes - head.size();
    if (asker->ended) {
      other().interrupt(Incomplete::kClosed);
      return kAll;
    }
  }
  http_.answer_waits = !force;
  if (!force) return 0;
  other().give_out_request();
  return kAll;
}

// The bytes of a new head.
size_t HttpDirection::begin_head(const Input& input, bool after_gap) {
  OpenMessage* open = take_open_message();
  if (open == nullptr) {
    engine_.counters_.add(ShardCounter::lost_before_start_line);
    engine_.counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    start_search(false);
    return input.text.size();
  }
  open->first = input.meta;
  open->start_offset = input.offset;
  open->after_gap = after_gap;
  open->candidate = after_gap;
  if (after_gap) {
    open->progress.context = StartContext::kAfterLoss;
  } else {
    open->progress.context = start_context();
    open->bare_answer = bare_answer_due();
  }
  here_.phase = HttpPhase::kHead;
  return continue_head(input);
}

// Whether what was found by searching may still be the head of a message.
bool HttpDirection::may_be_candidate(const OpenMessage& open, HeadStatus status,
                                     const HttpHead& head) {
  if (status == HeadStatus::kIncomplete && open.progress.lines_judged == 0) {
    return guess_start(open.head.text(), StartContext::kAfterLoss) != StartGuess::kNo;
  }
  return head.size == 0 || !open.known_only || head.start.kind != StartLineKind::kRequest ||
         head.start.known_method;
}

size_t HttpDirection::continue_head(const Input& input) {
  OpenMessage& open = *here_.open;
  if (http_.order_waits() && waits_its_turn(input.force)) return kRefused;
  if (open.long_head) [[unlikely]]
    return continue_long_head(input);
  const size_t before = open.head.size;
  size_t room = size_t{engine_.settings_.header_bytes_max} + 1 - before;
  // The request may have begun after the first bytes of its response were seen.
  const std::string_view known = before > 0 ? open.head.text() : input.text;
  if (may_begin_response(known)) {
    room = std::min(room, response_room(known, open.start_offset, open.candidate, input.force));
    if (room == 0) return kRefused;
  }
  const size_t taken = std::min(input.text.size(), room);
  HeadStatus status = HeadStatus::kTooLarge;
  HttpHead head;
  if (before == 0 && open.strict) {
    // Judged where it lies: text may be full of candidates, and each has the rest of it after it.
    HeadProgress progress = open.progress;
    if (engine_.heads_.read_candidate(input.text.substr(0, taken), progress, head) ==
        HeadStatus::kInvalid) {
      return pass_candidate(progress.lines_judged);
    }
    if (head.size > 0) room = head.size;
  }
  const std::string_view text = input.text.substr(0, std::min(taken, room));
  const bool in_start_line = before > 0 && !open.progress.start_judged && !open.strict;
  if (in_start_line) note_cut(open);
  if (open.head.append(engine_.pool_, text)) {
    open.last = input.meta;
    status = open.strict ? engine_.heads_.read_candidate(open.head.text(), open.progress, head)
                         : engine_.heads_.read(open.head.text(), open.progress, head);
  } else if (!text.empty()) {
    head_beyond_limit("memoryLimit", engine_.pool_.limit_bytes());
    engine_.counters_.add(ShardCounter::skipped_in_resync, text.size());
    return text.size();
  }
  if (open.strict && !may_be_candidate(open, status, head)) status = HeadStatus::kInvalid;
  if (open.bare_answer && !may_begin_response(open.head.text())) {
    begin_bare_answer();
    return text.size();
  }
  if (in_start_line && open.cuts.size > 0 && open.progress.start_judged &&
      status != HeadStatus::kInvalid && here_.started) {
    const size_t surplus = surplus_before_message(open, wanted_messages());
    if (surplus > 0) {
      fail_head(surplus);
      return text.size();
    }
  }
  switch (status) {
    case HeadStatus::kIncomplete:
      return text.size();
    case HeadStatus::kTooLarge:
      if (head.size == 0) {
        const size_t used = begin_long_head(before);
        if (used != kRefused) {
          limit_reached("maxHeaderBytes", engine_.settings_.header_bytes_max);
          return used;
        }
        head_beyond_limit("maxHeaderBytes", engine_.settings_.header_bytes_max);
        return text.size();
      }
      // Too many fields, but its end is known: the stream goes on after it.
      limit_reached("maxHeaders", engine_.settings_.headers_max);
      open.cause = Incomplete::kLimit;
      open.headers_cut = true;
      break;
    case HeadStatus::kInvalid:
      fail_head(open.progress.lines_judged);
      return text.size();
    case HeadStatus::kComplete:
      break;
  }
  // Bytes after the head came with this segment.
  const size_t used = head.size > before ? head.size - before : 0;
  open.head.size = head.size;
  head_in_open_message(head);
  return used;
}

void HttpDirection::head_beyond_limit(const char* which, uint64_t value) {
  limit_reached(which, value);
  interrupt_head(Incomplete::kLimit);
  start_search(false);
}

// What the first bytes of a stream that is not HTTP say it is.
StreamNature HttpDirection::nature_of(std::string_view text) {
  switch (read_start_line(text.substr(0, text.find_first_of("\r\n"))).kind) {
    case StartLineKind::kTls:
      return StreamNature::kTls;
    case StartLineKind::kHttp2Preface:
      return StreamNature::kHttp2;
    default:
      return StreamNature::kUnknown;
  }
}

// The bytes at a message's place begin no message.
size_t HttpDirection::not_a_message(const Input& input) {
  if (here_.started) {
    report_parse_error();
    start_search(false);
    return 0;
  }
  ignore_stream(nature_of(input.text), input.text);
  engine_.counters_.add(ShardCounter::ignored_stream, input.text.size());
  return input.text.size();
}

OpenMessage* HttpDirection::take_open_message() {
  if (here_.open != nullptr) return here_.open;
  Buffer memory = engine_.pool_.allocate(sizeof(OpenMessage));
  if (!memory) return nullptr;
  here_.open = new (memory.data) OpenMessage;
  return here_.open;
}

void HttpDirection::release_open_message() {
  OpenMessage* open = here_.open;
  if (open == nullptr) return;
  engine_.bodies_ahead_.remove(*open);
  open->head.release(engine_.pool_);
  open->body.release(engine_.pool_);
  open->trailers.release(engine_.pool_);
  open->gaps.release(engine_.pool_);
  open->cuts.release(engine_.pool_);
  open->undecided.release(engine_.pool_);
  open->request_text.release(engine_.pool_);
  release_search(*open);
  release_parts(*open);
  open->~OpenMessage();
  Buffer memory{reinterpret_cast<uint8_t*>(open), BufferPool::capacity_of(sizeof(OpenMessage))};
  engine_.pool_.release(memory);
  here_.open = nullptr;
}

void HttpDirection::limit_reached(const char* which, uint64_t value) {
  engine_.counters_.add(ShardCounter::limits_reached);
  EventRecord record;
  record.kind = EventKind::kLimit;
  record.detail = which;
  record.bytes = value;
  put_event(record);
}

void HttpDirection::put_event(EventRecord& record) {
  record.side = side_;
  record.key = context_.identity.key;
  record.connection_id = context_.identity.id;
  record.time_ns = context_.clock_ns;
  if (!engine_.events_.put(record)) engine_.counters_.add(ShardCounter::events_dropped);
}

}  // namespace tcp_sniffer
