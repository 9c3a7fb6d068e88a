#include "core/http/engine.h"

#include <algorithm>
#include <new>
#include <utility>

namespace tcp_sniffer {

HttpEngine::HttpEngine(const HttpSettings& settings, BufferPool& pool, ShardCounters& counters,
                       MessageOutput& output, EventSink& events)
    : settings_(settings),
      pool_(pool),
      counters_(counters),
      emitter_(counters, output),
      events_(events),
      heads_(settings.header_bytes_max, settings.headers_max),
      trailers_(settings.header_bytes_max, settings.headers_max) {}

void HttpEngine::start_midstream(HttpConnection& http, Side side) {
  HttpStream& stream = http.streams[static_cast<size_t>(side)];
  stream.phase = HttpPhase::kSearch;
  stream.unplaced = true;
  stream.direct = true;
  stream.order_lost = true;
  stream.lossy = true;
}

bool HttpEngine::in_message(const HttpConnection& http, Side side) {
  const HttpStream& stream = http.streams[static_cast<size_t>(side)];
  const HttpPhase phase = stream.phase;
  const OpenMessage* open = stream.open;
  if (open != nullptr && open->expects_continue && open->answer == ExpectAnswer::kFinal) {
    return open->undecided.size > 0;
  }
  return phase == HttpPhase::kHead || phase == HttpPhase::kBodyLength ||
         phase == HttpPhase::kBodyChunked;
}

bool HttpEngine::ends_with_stream(const HttpConnection& http, Side side) {
  return http.streams[static_cast<size_t>(side)].phase == HttpPhase::kBodyUntilClose;
}

size_t HttpEngine::held_bytes(const HttpConnection& http) {
  size_t held = http.exchanges.capacity;
  for (const HttpStream& stream : http.streams) {
    const OpenMessage* open = stream.open;
    if (open == nullptr) continue;
    held += BufferPool::capacity_of(sizeof(OpenMessage)) + open->head.memory.capacity +
            open->body.memory.capacity + open->trailers.memory.capacity +
            open->gaps.memory.capacity;
  }
  return held;
}

uint32_t HttpEngine::consume(HttpContext& context, Side side, uint64_t offset,
                             std::span<const uint8_t> bytes, const SegmentMeta& meta, bool force) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t taken = 0;
  while (taken < text.size()) {
    const size_t used =
        run(context, side, {text.substr(taken), offset + taken, meta, force, offset});
    taken += used;
    if (replay_.size > 0) {
      // A candidate that began in an earlier segment failed: the bytes from the line that failed
      // it are searched again. Candidates within them are rewound in place, so this ends.
      GrowingText again = std::exchange(replay_, {});
      run(context, side, {again.text().substr(replay_from_), replay_offset_, meta, true, offset});
      again.release(pool_);
    } else if (taken < text.size()) {
      break;  // refused
    }
  }
  return static_cast<uint32_t>(taken);
}

// Takes bytes until all are used, some are refused, or bytes of earlier segments must be replayed.
size_t HttpEngine::run(HttpContext& context, Side side, const Input& input) {
  size_t taken = 0;
  while (taken < input.text.size()) {
    const size_t used = step(
        context, side,
        {input.text.substr(taken), input.offset + taken, input.meta, input.force, input.segment});
    if (used == kRefused) break;
    taken += used;
    if (replay_.size == 0) continue;
    if (replay_offset_ < input.offset) break;
    taken = static_cast<size_t>(replay_offset_ - input.offset);
    replay_.release(pool_);
  }
  return taken;
}

// What the current phase makes of the next bytes. May use none when it changes the phase.
size_t HttpEngine::step(HttpContext& context, Side side, const Input& input) {
  switch (stream(context, side).phase) {
    case HttpPhase::kStart:
      return start_message(context, side, input);
    case HttpPhase::kHead:
      return continue_head(context, side, input);
    case HttpPhase::kBodyLength:
    case HttpPhase::kBodyChunked:
    case HttpPhase::kBodyUntilClose:
      return continue_body(context, side, input);
    case HttpPhase::kSearch:
      return search(context, side, input);
    case HttpPhase::kIgnored:
      return ignored(context, side, input);
    case HttpPhase::kTunnel:
      counters_.add(ShardCounter::tunnel, input.text.size());
      return input.text.size();
  }
  return input.text.size();
}

size_t HttpEngine::start_message(HttpContext& context, Side side, const Input& input) {
  HttpStream& here = stream(context, side);
  if (stream(context, other(side)).open != nullptr) [[unlikely]] {
    complete_http09(context, other(side));
    end_broken_request(context, other(side));
  }
  if (context.http.order_waits() && waits_its_turn(context, side, input.force)) return kRefused;
  const char first = input.text[0];
  if (first >= 0 && first <= ' ' && !bare_answer_due(context, side)) {
    const size_t skipped = leading_blanks(input.text);
    for (const char c : input.text.substr(0, skipped)) {
      here.skipped_lines |= c == '\n' || c == '\r';
      here.skipped_blanks |= c == ' ' || c == '\t';
    }
    counters_.add(ShardCounter::parsed, skipped);
    if (skipped > 0) return skipped;
  }
  if ((first == 'H' || first == 'h' || first == 'I') && !is_next_answer(context, side) &&
      may_begin_response(input.text) &&
      response_room(context, side, input.text, input.offset, false, input.force) == 0) {
    return kRefused;
  }
  // A request that came with the end of the one before did not wait for a response.
  const bool follows = input.offset > input.segment && here.started && !here.lossy;
  HttpHead head;
  HeadProgress progress;
  switch (heads_.read(input.text, progress, head)) {
    case HeadStatus::kComplete:
      if (follows && head.start.known_method) {
        context.http.surely_pipelines = context.http.pipelines = true;
      }
      return head_in_segment(context, side, input, head);
    case HeadStatus::kInvalid:
      return odd_start(context, side, input);
    default:
      break;
  }
  switch (guess_start(input.text)) {
    case StartGuess::kRequest:
      if (follows) context.http.surely_pipelines = true;
      [[fallthrough]];
    case StartGuess::kMaybe:
    case StartGuess::kResponse:
      return begin_head(context, side, input, false);
    default:
      return odd_start(context, side, input);
  }
}

// The oldest request that waits is complete, and order says that the response is its answer.
bool HttpEngine::is_next_answer(HttpContext& context, Side side) {
  ExchangeRing ring(context.http, pool_);
  return !ring.empty() && ring.front().complete && !stream(context, side).order_lost &&
         !ring.front().after_loss;
}

// A response may not be read before the request it answers is complete: its line would come first
// (CONTRACT: a request before its response). One that was found by searching is in nobody's order.
bool HttpEngine::must_wait(HttpContext& context, Side side, uint64_t start_offset, bool candidate) {
  ExchangeRing ring(context.http, pool_);
  const HttpStream& here = stream(context, side);
  if (ring.empty()) {
    const bool begins = stream(context, other(side)).phase == HttpPhase::kHead &&
                        wanted_of(context, side) != MessageFinder::Wanted::kRequests;
    return !candidate && (begins || context.http.held != HeldSide::kNone);
  }
  const auto is_open = [side](const Exchange& exchange) {
    return !exchange.complete && exchange.side != side;
  };
  if (!candidate && is_open(ring.front())) return true;
  const bool in_order = !here.order_lost && !ring.front().after_loss;
  return !in_order && is_open(ring.back()) && ring.back().sent_ack == start_offset;
}

// How much may be taken of a response of which `head` is there: everything, nothing while its
// request is incomplete, or so much that its status is known, which decides about a request that
// asked before it sent its body.
size_t HttpEngine::response_room(HttpContext& context, Side side, std::string_view head,
                                 uint64_t start_offset, bool candidate, bool force) {
  constexpr size_t kAll = ~size_t{0};
  if (!must_wait(context, side, start_offset, candidate)) return kAll;
  OpenMessage* asker = stream(context, other(side)).open;
  if (asker != nullptr && asker->expects_continue) {
    if (!note_answer(*asker, head, start_offset) && !force) return kStatusBytes - head.size();
    if (asker->ended) {
      interrupt(context, other(side), Incomplete::kClosed);
      return kAll;
    }
  }
  context.http.answer_waits = !force;
  if (!force) return 0;
  give_out_request(context, other(side));
  return kAll;
}

// The bytes of a new head.
size_t HttpEngine::begin_head(HttpContext& context, Side side, const Input& input, bool after_gap) {
  OpenMessage* open = take_open_message(context, side);
  if (open == nullptr) {
    counters_.add(ShardCounter::lost_before_start_line);
    counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    start_search(context, side, false);
    return input.text.size();
  }
  open->first = input.meta;
  open->start_offset = input.offset;
  open->after_gap = after_gap;
  open->candidate = after_gap;
  if (after_gap) {
    open->progress.context = StartContext::kAfterLoss;
  } else {
    open->progress.context = start_context(context, side);
    open->bare_answer = bare_answer_due(context, side);
  }
  stream(context, side).phase = HttpPhase::kHead;
  return continue_head(context, side, input);
}

size_t HttpEngine::continue_head(HttpContext& context, Side side, const Input& input) {
  OpenMessage& open = *stream(context, side).open;
  if (context.http.order_waits() && waits_its_turn(context, side, input.force)) return kRefused;
  const size_t before = open.head.size;
  size_t room = size_t{settings_.header_bytes_max} + 1 - before;
  // The request may have begun after the first bytes of its response were seen.
  const std::string_view known = before > 0 ? open.head.text() : input.text;
  if (may_begin_response(known)) {
    room = std::min(
        room, response_room(context, side, known, open.start_offset, open.candidate, input.force));
    if (room == 0) return kRefused;
  }
  const size_t taken = std::min(input.text.size(), room);
  HeadStatus status = HeadStatus::kTooLarge;
  HttpHead head;
  if (before == 0 && open.strict) {
    // Judged where it lies: text may be full of candidates, and each has the rest of it behind it.
    HeadProgress progress = open.progress;
    if (heads_.read_candidate(input.text.substr(0, taken), progress, head) ==
        HeadStatus::kInvalid) {
      return pass_candidate(context, side, progress.lines_judged);
    }
    if (head.size > 0) room = head.size;
  }
  const std::string_view text = input.text.substr(0, std::min(taken, room));
  const bool in_start_line = before > 0 && !open.progress.start_judged && !open.strict;
  if (in_start_line) note_cut(open);
  if (open.head.append(pool_, text)) {
    open.last = input.meta;
    status = open.strict ? heads_.read_candidate(open.head.text(), open.progress, head)
                         : heads_.read(open.head.text(), open.progress, head);
  } else if (!text.empty()) {
    head_beyond_limit(context, side, "memoryLimit", pool_.limit_bytes());
    counters_.add(ShardCounter::skipped_in_resync, text.size());
    return text.size();
  }
  if (open.bare_answer && !may_begin_response(open.head.text())) {
    begin_bare_answer(context, side);
    return text.size();
  }
  if (in_start_line && open.cuts.size > 0 && open.progress.start_judged &&
      status != HeadStatus::kInvalid && stream(context, side).started) {
    const size_t surplus = surplus_before_message(open, wanted_of(context, side));
    if (surplus > 0) {
      fail_head(context, side, surplus);
      return text.size();
    }
  }
  switch (status) {
    case HeadStatus::kIncomplete:
      return text.size();
    case HeadStatus::kTooLarge:
      if (head.size == 0 || open.strict) {
        head_beyond_limit(context, side, "maxHeaderBytes", settings_.header_bytes_max);
        return text.size();
      }
      // Too many fields, but its end is known: the stream goes on behind it.
      limit_reached(context, side, "maxHeaders", settings_.headers_max);
      open.cause = Incomplete::kLimit;
      open.headers_cut = true;
      break;
    case HeadStatus::kInvalid:
      fail_head(context, side, open.progress.lines_judged);
      return text.size();
    case HeadStatus::kComplete:
      break;
  }
  // Bytes behind the head came with this segment.
  const size_t used = head.size > before ? head.size - before : 0;
  open.head.size = head.size;
  head_in_open_message(context, side, head);
  return used;
}

void HttpEngine::head_beyond_limit(HttpContext& context, Side side, const char* which,
                                   uint64_t value) {
  limit_reached(context, side, which, value);
  interrupt_head(context, side, Incomplete::kLimit);
  start_search(context, side, false);
}

// What the first bytes of a stream that is not HTTP say it is.
StreamNature HttpEngine::nature_of(std::string_view text) {
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
size_t HttpEngine::not_a_message(HttpContext& context, Side side, const Input& input) {
  HttpStream& here = stream(context, side);
  if (here.started) {
    say_parse_error(context, side);
    start_search(context, side, false);
    return 0;
  }
  ignore_stream(context, side, nature_of(input.text), input.text);
  counters_.add(ShardCounter::ignored_stream, input.text.size());
  return input.text.size();
}

OpenMessage* HttpEngine::take_open_message(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  if (here.open != nullptr) return here.open;
  Buffer memory = pool_.allocate(sizeof(OpenMessage));
  if (!memory) return nullptr;
  here.open = new (memory.data) OpenMessage;
  return here.open;
}

void HttpEngine::release_open_message(HttpStream& here) {
  OpenMessage* open = here.open;
  if (open == nullptr) return;
  open->head.release(pool_);
  open->body.release(pool_);
  open->trailers.release(pool_);
  open->gaps.release(pool_);
  open->cuts.release(pool_);
  open->undecided.release(pool_);
  pool_.release(open->request_text);
  open->~OpenMessage();
  Buffer memory{reinterpret_cast<uint8_t*>(open), BufferPool::capacity_of(sizeof(OpenMessage))};
  pool_.release(memory);
  here.open = nullptr;
}

void HttpEngine::limit_reached(HttpContext& context, Side side, const char* which, uint64_t value) {
  counters_.add(ShardCounter::limits_reached);
  EventRecord record;
  record.kind = EventKind::kLimit;
  record.detail = which;
  record.bytes = value;
  put_event(context, side, record);
}

void HttpEngine::put_event(HttpContext& context, Side side, EventRecord& record) {
  record.side = side;
  record.key = context.identity.key;
  record.connection_id = context.identity.id;
  record.time_ns = context.clock_ns;
  if (!events_.put(record)) counters_.add(ShardCounter::events_dropped);
}

}  // namespace tcp_sniffer
