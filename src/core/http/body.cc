// HttpDirection: from a complete head to the finished message.

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/text_encoding.h"
#include "core/http/direction.h"

namespace tcp_sniffer {

namespace {

MessageDirection direction_of(const HttpHead& head) {
  return head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                    : MessageDirection::kResponse;
}

// A status line, or as much of one as the segment holds.
bool looks_like_response(std::string_view bytes) {
  if (!bytes.starts_with("HTTP/1.")) return false;
  const StartGuess guess = guess_start(bytes);
  return guess == StartGuess::kResponse || guess == StartGuess::kMaybe;
}

}  // namespace

// A head that lies whole in the segment. When the body does too, the message is given out from
// where it lies; else it becomes an open message. Returns the bytes used.
size_t HttpDirection::head_in_segment(const Input& input, const HttpHead& head) {
  const std::string_view behind = input.text.substr(head.size);
  const MessageDirection direction = direction_of(head);
  Message message;
  Framing framing;
  Exchange* exchange = nullptr;
  if (direction == MessageDirection::kRequest) {
    framing = request_framing(head);
  } else {
    exchange = find_exchange(input.offset, input.meta, head.start.status);
    framing = response_framing(
        head, exchange != nullptr ? exchange->method : RequestMethodKind::kUnknown);
    if (framing.body_may_be_absent && looks_like_response(behind)) {
      framing.kind = BodyKind::kNone;
      framing.length = 0;
    }
  }
  const bool whole = framing.kind == BodyKind::kNone ||
                     (framing.kind == BodyKind::kLength && framing.length <= behind.size());
  if (!whole) {
    OpenMessage* open = take_open_message();
    if (open == nullptr || !open->head.append(engine_.pool_, input.text.substr(0, head.size))) {
      if (open != nullptr) release_open_message();
      engine_.counters_.add(ShardCounter::skipped_in_resync, head.size);
      engine_.counters_.add(ShardCounter::lost_before_start_line);
      start_search(false);
      return head.size;
    }
    open->first = open->last = input.meta;
    open->start_offset = input.offset;
    head_in_open_message(head, exchange);
    return head.size;
  }

  engine_.counters_.add(ShardCounter::parsed, head.size + framing.length);
  here_.started = true;
  const std::string_view body = behind.substr(0, static_cast<size_t>(framing.length));
  take_start_line(message, head);
  message.headers = head.fields;
  message.anomalies = head.anomalies;
  message.anomalies.add(framing.anomalies);
  if (here_.skipped_lines || here_.skipped_blanks) [[unlikely]] {
    message.anomalies.add(take_skipped(direction));
  }
  message.body_kept = engine_.settings_.body_max > 0;
  message.body = body.substr(
      0, static_cast<size_t>(std::min<uint64_t>(body.size(), engine_.settings_.body_max)));
  message.body_truncated = message.body.size() < body.size();
  if (message.body_truncated && message.body_kept) {
    message.body_cut_is_none =
        cut_character_is_none(message.body, body.substr(message.body.size()));
  }
  message.body_size = body.size();
  message.first_byte_ns = message.last_byte_ns = input.meta.time_ns;
  message.first_frame = message.last_frame = input.meta.frame;
  message.head = input.text.substr(0, head.size);
  message.headers_size = static_cast<uint32_t>(head.size);
  if (direction == MessageDirection::kRequest) {
    uint32_t row = RequestSeries::kNoRow;
    open_exchange(head, input.meta, input.offset, message.exchange, row);
    if (!complete_exchange(message.exchange, input.meta.time_ns, body.size())) {
      message.unanswerable = Incomplete::kLimit;
    }
    engine_.emitter_.emit(context_.identity, side_, message);
    if (engine_.settings_.meter != nullptr) [[unlikely]]
      meter(message, row, 0);
  } else {
    describe_request(message, exchange, input.meta.time_ns);
    engine_.emitter_.emit(context_.identity, side_, message);
    if (engine_.settings_.meter != nullptr && exchange != nullptr && !framing.interim) [[unlikely]]
      meter(message, exchange->row, exchange->first_byte_ns);
    if (framing.tunnel) make_tunnel();
    if (exchange != nullptr && !framing.interim) exchanges().pop_front();
  }
  return head.size + body.size();
}

// A head that is complete in the open message.
void HttpDirection::head_in_open_message(const HttpHead& head) {
  const OpenMessage& open = *here_.open;
  head_in_open_message(head, direction_of(head) == MessageDirection::kRequest
                                 ? nullptr
                                 : find_exchange(open.start_offset, open.first, head.start.status));
}

// Decides how the body ends. `exchange`: of the request that a response answers, nullptr = unknown.
void HttpDirection::head_in_open_message(const HttpHead& head, Exchange* exchange) {
  OpenMessage& open = *here_.open;
  engine_.counters_.add(ShardCounter::parsed, head.size);
  here_.started = true;
  open.direction = direction_of(head);
  Framing framing;
  if (open.direction == MessageDirection::kRequest) {
    framing = request_framing(head);
    open_exchange(head, open);
  } else {
    framing = response_framing(
        head, exchange != nullptr ? exchange->method : RequestMethodKind::kUnknown);
    take_exchange(exchange, !framing.interim);
  }
  open.anomalies.add(framing.anomalies);
  if (here_.skipped_lines || here_.skipped_blanks) [[unlikely]] {
    open.anomalies.add(take_skipped(open.direction));
  }
  open.body_may_be_absent = framing.body_may_be_absent;
  open.may_answer_head = framing.body_may_be_absent && head_waits_;
  open.expects_continue = open.direction == MessageDirection::kRequest && framing.expect_continue;
  open.body_unwanted = engine_.settings_.body_max == 0;
  switch (framing.kind) {
    case BodyKind::kNone:
      finish();
      if (framing.tunnel) make_tunnel();
      return;
    case BodyKind::kLength:
      open.remaining = framing.length;
      here_.phase = HttpPhase::kBodyLength;
      break;
    case BodyKind::kChunked:
      open.chunked.start();
      here_.phase = HttpPhase::kBodyChunked;
      break;
    case BodyKind::kUntilClose:
      here_.phase = HttpPhase::kBodyUntilClose;
      break;
  }
  if (engine_.settings_.part_after_ns > 0) [[unlikely]]
    start_parts(head);
}

size_t HttpDirection::continue_body(const Input& input) {
  OpenMessage& open = *here_.open;
  if (open.body_may_be_absent) {
    open.body_may_be_absent = open.may_answer_head = false;
    if (looks_like_response(input.text)) {
      finish();
      return 0;
    }
  }
  if (open.expects_continue) [[unlikely]]
    return take_expected(input);
  if (here_.phase == HttpPhase::kBodyChunked) return continue_chunked(input);
  size_t size = input.text.size();
  if (here_.phase == HttpPhase::kBodyLength) {
    size = static_cast<size_t>(std::min<uint64_t>(size, open.remaining));
    open.remaining -= size;
  } else if (open.broken_body) {
    return continue_broken_body(input);
  }
  engine_.counters_.add(ShardCounter::parsed, size);
  take_body(open, input.text.substr(0, size), input.meta);
  if (here_.phase == HttpPhase::kBodyLength && open.remaining == 0) finish();
  return size;
}

size_t HttpDirection::continue_chunked(const Input& input) {
  OpenMessage& open = *here_.open;
  std::string_view rest = input.text;
  std::string_view piece;
  for (;;) {
    const ChunkedDecoder::Event event = open.chunked.next(rest, piece);
    if (event == ChunkedDecoder::Event::kBody) {
      take_body(open, piece, input.meta);
      continue;
    }
    if (event == ChunkedDecoder::Event::kTrailer) {
      const bool too_large = open.trailers.size + piece.size() > engine_.settings_.header_bytes_max;
      if (!too_large && open.trailers.append(engine_.pool_, piece)) continue;
      if (open.cause != Incomplete::kLimit) {
        limit_reached(too_large ? "maxHeaderBytes" : "memoryLimit",
                      too_large ? engine_.settings_.header_bytes_max : engine_.pool_.limit_bytes());
      }
      open.cause = Incomplete::kLimit;
      continue;
    }
    const size_t used = input.text.size() - rest.size();
    engine_.counters_.add(ShardCounter::parsed, used);
    open.last = input.meta;
    if (event == ChunkedDecoder::Event::kDone) finish();
    if (event == ChunkedDecoder::Event::kError) {
      report_parse_error();
      if (open.cause == Incomplete::kNo) open.cause = Incomplete::kParseError;
      open.broken_body = true;
      here_.phase = HttpPhase::kBodyUntilClose;
      take_body(open, open.chunked.unexplained(), input.meta);
    }
    return used;
  }
}

// The body was declared chunked and is not, or not any more: all that comes is kept as it is, until
// a message begins in it. Looks for that as search() does.
size_t HttpDirection::continue_broken_body(const Input& input) {
  OpenMessage& open = *here_.open;
  MessageFinder::Candidate candidate;
  MessageSearch* search = take_search(&open);
  if (search != nullptr && search->start(engine_.pool_, MessageFinder::StartsAt::kGap,
                                         open.direction == MessageDirection::kRequest
                                             ? MessageFinder::Wanted::kRequests
                                             : MessageFinder::Wanted::kResponses)) {
    candidate = search->finder.search(input.text);
  }
  const size_t size = candidate.found ? candidate.offset : input.text.size();
  engine_.counters_.add(ShardCounter::parsed, size);
  take_body(open, input.text.substr(0, size), input.meta);
  if (!candidate.found) return size;
  // The beginning of the line was taken for body when it came.
  const size_t kept = candidate.kept.size();
  engine_.counters_.subtract(ShardCounter::parsed, kept);
  open.body_size -= kept;
  const uint64_t captured = open.body_size - open.missing;
  open.body.cut(
      static_cast<size_t>(std::min<uint64_t>(open.body.size(), captured - open.freed_size())));
  GrowingText line = search->take_kept(candidate);
  finish();
  start_search(false);
  OpenMessage* next = take_open_message();
  if (next == nullptr) {
    engine_.counters_.add(ShardCounter::skipped_in_resync, kept);
    line.release(engine_.pool_);
    return size;
  }
  next->head = line;
  begin_candidate(input.offset + size - kept, input.meta);
  return size;
}

// A request whose body has no known end ends where it is answered. Returns whether one ended.
bool HttpDirection::end_broken_request() {
  if (here_.phase != HttpPhase::kBodyUntilClose || !here_.open->broken_body ||
      here_.open->direction != MessageDirection::kRequest) {
    return false;
  }
  finish();
  start_search(false);
  return true;
}

// A body whose length is announced gets its final size while there is plenty of memory. After that
// it gets at most four times what has come of it, because an announcement costs nothing. When
// memory is short, those that got more give the rest back (BodiesAhead). Large bodies leave a part
// of the memory to small ones, and all of them the last part to heads and holes. False: nothing was
// added.
bool HttpDirection::keep_body(OpenMessage& open, std::string_view bytes) {
  if (bytes.size() > open.body.room() && !enlarge_body(open, open.body.size() + bytes.size())) {
    return false;
  }
  open.body.append(bytes);
  return true;
}

bool HttpDirection::enlarge_body(OpenMessage& open, size_t needed) {
  BufferPool& pool = engine_.pool_;
  const bool small = needed <= HttpEngine::kSmallBody;
  const size_t announced = engine_.announced_size(open, needed);
  const size_t step = engine_.body_step(open, needed);
  const bool may_be_ahead = open.body.ahead != 0 || !engine_.bodies_ahead_.is_full();
  const size_t wanted = may_be_ahead && pool.has_plenty(announced) ? announced : step;
  if (!pool.spares(wanted, small)) engine_.take_memory_back();
  for (const size_t size : {wanted, needed}) {
    if (!pool.spares(size, small)) continue;
    if (!engine_.reserve_body(open, size, announced, may_be_ahead)) continue;
    if (open.body.memory.capacity > BufferPool::capacity_of(step)) engine_.bodies_ahead_.add(open);
    return true;
  }
  pool.refuse();
  return false;
}

// What follows the kept part of a body: whether a character was cut, or none, shows in it.
void HttpDirection::note_behind_cut(OpenMessage& open, std::string_view bytes) {
  if (!open.behind_cut_known) return;
  const size_t size = std::min(bytes.size(), open.behind_cut.size() - open.behind_cut_size);
  bytes.copy(open.behind_cut.data() + open.behind_cut_size, size);
  open.behind_cut_size = (open.behind_cut_size + size) & 3;
}

// Body bytes: the first body_max are kept, the others counted.
void HttpDirection::take_body(OpenMessage& open, std::string_view bytes, const SegmentMeta& meta) {
  open.last = meta;
  const bool first = open.body_size == 0;
  open.body_size += bytes.size();
  if (engine_.settings_.body_max == 0 || open.body_unwanted) {
    open.body_truncated = open.body_unwanted = true;
    return;
  }
  if (first && engine_.settings_.drop_binary_bodies) {
    const std::string_view sample = bytes.substr(
        0, static_cast<size_t>(std::min<uint64_t>(kBinarySampleMax, engine_.settings_.body_max)));
    open.body_binary = !is_utf8(without_cut_character(sample));
  }
  if (open.body_binary) {
    open.body_truncated = open.body_size - open.missing > engine_.settings_.body_max;
    return;
  }
  // A limit that has grown meanwhile must not join what was apart.
  const uint64_t kept_max = open.body_truncated ? 0 : engine_.settings_.body_max;
  const auto room = static_cast<size_t>(kept_max - std::min(kept_max, open.kept_size()));
  const std::string_view kept = bytes.substr(0, std::min(room, bytes.size()));
  if (kept.size() < bytes.size()) {
    open.body_truncated = true;
    note_behind_cut(open, bytes.substr(kept.size()));
  }
  if (kept.empty() || open.body_given_up) return;
  if (keep_body(open, kept)) {
    if (open.parts != nullptr) [[unlikely]]
      time_part();
    return;
  }
  // Memory gives way at the bodies first: the message goes on without the rest of this one.
  open.cause = Incomplete::kLimit;
  open.body_given_up = true;
  open.body_truncated = true;
}

void HttpDirection::finish() {
  OpenMessage& open = *here_.open;
  if (open.direction == MessageDirection::kRequest) complete_exchange(open);
  if (!open.given_out) emit_open_message(open.headers_cut);
  after_message();
}

void HttpDirection::after_message() {
  release_open_message();
  here_.phase = http_.tunnel ? HttpPhase::kTunnel : HttpPhase::kStart;
}

// Both directions carry another protocol from here on (RFC 9110 sections 7.8 and 9.3.6).
void HttpDirection::make_tunnel() {
  http_.tunnel = true;
  engine_.counters_.add(ShardCounter::tunnels);
  here_.phase = HttpPhase::kTunnel;
  if (peer().open == nullptr) peer().phase = HttpPhase::kTunnel;
}

}  // namespace tcp_sniffer
