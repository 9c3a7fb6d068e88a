// HttpEngine: from a complete head to the finished message.

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/base/text_encoding.h"
#include "core/http/engine.h"

namespace tcp_sniffer {

namespace {

MessageDirection direction_of(const HttpHead& head) {
  return head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                    : MessageDirection::kResponse;
}

// Nearly every binary format shows itself in its first bytes.
constexpr size_t kBinarySample = 512;

// A status line, or as much of one as the segment holds.
bool looks_like_response(std::string_view bytes) {
  if (!bytes.starts_with("HTTP/1.")) return false;
  const StartGuess guess = guess_start(bytes);
  return guess == StartGuess::kResponse || guess == StartGuess::kMaybe;
}

}  // namespace

// A head that lies whole in the segment. When the body does too, the message is given out from
// where it lies; else it becomes an open message. Returns the bytes used.
size_t HttpEngine::head_in_segment(HttpContext& context, Side side, const Input& input,
                                   const HttpHead& head) {
  const std::string_view behind = input.text.substr(head.size);
  const MessageDirection direction = direction_of(head);
  Message message;
  Framing framing;
  Exchange* exchange = nullptr;
  if (direction == MessageDirection::kRequest) {
    framing = request_framing(head);
  } else {
    exchange = find_exchange(context, side, input.offset, input.meta, head.start.status);
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
    OpenMessage* open = take_open_message(context, side);
    if (open == nullptr || !open->head.append(pool_, input.text.substr(0, head.size))) {
      if (open != nullptr) release_open_message(stream(context, side));
      counters_.add(ShardCounter::skipped_in_resync, head.size);
      counters_.add(ShardCounter::lost_before_start_line);
      start_search(context, side, false);
      return head.size;
    }
    open->first = open->last = input.meta;
    open->start_offset = input.offset;
    head_in_open_message(context, side, head);
    return head.size;
  }

  counters_.add(ShardCounter::parsed, head.size + framing.length);
  HttpStream& here = stream(context, side);
  here.started = true;
  const std::string_view body = behind.substr(0, static_cast<size_t>(framing.length));
  take_start_line(message, head);
  message.headers = head.fields;
  message.anomalies = head.anomalies;
  message.anomalies.add(framing.anomalies);
  if (here.skipped_lines || here.skipped_blanks) [[unlikely]] {
    message.anomalies.add(take_skipped(here, direction));
  }
  message.body_kept = settings_.body_max > 0;
  message.body =
      body.substr(0, static_cast<size_t>(std::min<uint64_t>(body.size(), settings_.body_max)));
  message.body_truncated = message.body.size() < body.size();
  if (message.body_truncated && message.body_kept) {
    message.body_cut_is_none =
        cut_character_is_none(message.body, body.substr(message.body.size()));
  }
  message.body_size = body.size();
  message.first_byte_ns = message.last_byte_ns = input.meta.time_ns;
  message.first_frame = message.last_frame = input.meta.frame;
  message.headers_size = static_cast<uint32_t>(head.size);
  if (direction == MessageDirection::kRequest) {
    open_exchange(context, side, head, input.meta, input.offset, message.exchange);
    complete_exchange(context, message.exchange, input.meta.time_ns, body.size());
    emitter_.emit(context.identity, side, message);
  } else {
    describe_request(context, side, message, exchange, input.meta.time_ns);
    emitter_.emit(context.identity, side, message);
    if (framing.tunnel) make_tunnel(context, side);
    if (exchange != nullptr && !framing.interim) ExchangeRing(context.http, pool_).pop_front();
  }
  return head.size + body.size();
}

// A head that is complete in the open message: decides how the body ends.
void HttpEngine::head_in_open_message(HttpContext& context, Side side, const HttpHead& head) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  counters_.add(ShardCounter::parsed, head.size);
  here.started = true;
  open.direction = direction_of(head);
  Framing framing;
  if (open.direction == MessageDirection::kRequest) {
    framing = request_framing(head);
    open_exchange(context, side, head, open.first, open.start_offset, open.exchange);
  } else {
    Exchange* exchange =
        find_exchange(context, side, open.start_offset, open.first, head.start.status);
    framing = response_framing(
        head, exchange != nullptr ? exchange->method : RequestMethodKind::kUnknown);
    if (exchange != nullptr) {
      open.exchange = exchange->number;
      open.has_request_time = exchange->complete;
      open.request_last_ns = exchange->last_byte_ns;
      if (!framing.interim) {
        take_request_text(open, *exchange);
        ExchangeRing(context.http, pool_).pop_front();
      }
    }
  }
  open.anomalies.add(framing.anomalies);
  if (here.skipped_lines || here.skipped_blanks) [[unlikely]] {
    open.anomalies.add(take_skipped(here, open.direction));
  }
  open.body_may_be_absent = framing.body_may_be_absent;
  open.expects_continue = open.direction == MessageDirection::kRequest && framing.expect_continue;
  switch (framing.kind) {
    case BodyKind::kNone:
      finish(context, side);
      if (framing.tunnel) make_tunnel(context, side);
      return;
    case BodyKind::kLength:
      open.remaining = framing.length;
      here.phase = HttpPhase::kBodyLength;
      return;
    case BodyKind::kChunked:
      open.chunked.start();
      here.phase = HttpPhase::kBodyChunked;
      return;
    case BodyKind::kUntilClose:
      here.phase = HttpPhase::kBodyUntilClose;
      return;
  }
}

size_t HttpEngine::continue_body(HttpContext& context, Side side, const Input& input) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  if (open.body_may_be_absent) {
    open.body_may_be_absent = false;
    if (looks_like_response(input.text)) {
      finish(context, side);
      return 0;
    }
  }
  if (open.expects_continue) [[unlikely]]
    return take_expected(context, side, input);
  if (here.phase == HttpPhase::kBodyChunked) return continue_chunked(context, side, input);
  size_t size = input.text.size();
  if (here.phase == HttpPhase::kBodyLength) {
    size = static_cast<size_t>(std::min<uint64_t>(size, open.remaining));
    open.remaining -= size;
  } else if (open.broken_body) {
    return continue_broken_body(context, side, input);
  }
  counters_.add(ShardCounter::parsed, size);
  take_body(open, input.text.substr(0, size), input.meta);
  if (here.phase == HttpPhase::kBodyLength && open.remaining == 0) finish(context, side);
  return size;
}

size_t HttpEngine::continue_chunked(HttpContext& context, Side side, const Input& input) {
  OpenMessage& open = *stream(context, side).open;
  std::string_view rest = input.text;
  std::string_view piece;
  for (;;) {
    const ChunkedDecoder::Event event = open.chunked.next(rest, piece);
    if (event == ChunkedDecoder::Event::kBody) {
      take_body(open, piece, input.meta);
      continue;
    }
    if (event == ChunkedDecoder::Event::kTrailer) {
      const bool too_large = open.trailers.size + piece.size() > settings_.header_bytes_max;
      if (!too_large && open.trailers.append(pool_, piece)) continue;
      if (open.cause != Incomplete::kLimit) {
        limit_reached(context, side, too_large ? "maxHeaderBytes" : "memoryLimit",
                      too_large ? settings_.header_bytes_max : pool_.limit_bytes());
      }
      open.cause = Incomplete::kLimit;
      continue;
    }
    const size_t used = input.text.size() - rest.size();
    counters_.add(ShardCounter::parsed, used);
    open.last = input.meta;
    if (event == ChunkedDecoder::Event::kDone) finish(context, side);
    if (event == ChunkedDecoder::Event::kError) {
      say_parse_error(context, side);
      if (open.cause == Incomplete::kNo) open.cause = Incomplete::kParseError;
      open.broken_body = true;
      stream(context, side).phase = HttpPhase::kBodyUntilClose;
      take_body(open, open.chunked.unexplained(), input.meta);
    }
    return used;
  }
}

// The body was declared chunked and is not, or not any more: all that comes is kept as it is, until
// a message begins in it. Looks for that as search() does.
size_t HttpEngine::continue_broken_body(HttpContext& context, Side side, const Input& input) {
  OpenMessage& open = *stream(context, side).open;
  MessageFinder::Candidate candidate;
  if (pool_.grow(open.trailers.memory, MessageFinder::kSearchLineMax, 0)) {
    if (!open.finder.searching()) {
      open.finder.start(
          std::span<char, MessageFinder::kSearchLineMax>(
              reinterpret_cast<char*>(open.trailers.memory.data), MessageFinder::kSearchLineMax),
          MessageFinder::StartsAt::kGap,
          open.direction == MessageDirection::kRequest ? MessageFinder::Wanted::kRequests
                                                       : MessageFinder::Wanted::kResponses);
    }
    candidate = open.finder.search(input.text);
  }
  const size_t size = candidate.found ? candidate.offset : input.text.size();
  counters_.add(ShardCounter::parsed, size);
  take_body(open, input.text.substr(0, size), input.meta);
  if (!candidate.found) return size;
  // The beginning of the line was taken for body when it came.
  const size_t kept = candidate.kept.size();
  counters_.subtract(ShardCounter::parsed, kept);
  open.body_size -= kept;
  const uint64_t captured = open.body_size - open.missing;
  open.body.size = static_cast<size_t>(std::min<uint64_t>(open.body.size, captured));
  GrowingText line = std::exchange(open.trailers, {});
  if (kept > 0) std::memmove(line.memory.data, candidate.kept.data(), kept);
  line.size = kept;
  finish(context, side);
  start_search(context, side, false);
  OpenMessage* next = take_open_message(context, side);
  if (next == nullptr) {
    counters_.add(ShardCounter::skipped_in_resync, kept);
    line.release(pool_);
    return size;
  }
  next->head = line;
  begin_candidate(context, side, input.offset + size - kept, input.meta);
  return size;
}

// A request whose body has no known end ends where it is answered.
void HttpEngine::end_broken_request(HttpContext& context, Side side) {
  const HttpStream& here = stream(context, side);
  if (here.phase != HttpPhase::kBodyUntilClose || !here.open->broken_body ||
      here.open->direction != MessageDirection::kRequest) {
    return;
  }
  finish(context, side);
  start_search(context, side, false);
}

// Memory comes in steps: a body whose length is announced gets its final size, but at most four
// times what has come of it, for an announcement costs nothing. Large bodies leave a part of the
// memory to small ones, and all of them the last part to heads and holes. False: nothing was added.
bool HttpEngine::keep_body(OpenMessage& open, std::string_view bytes) {
  constexpr size_t kSmallBody = 16384;
  const size_t needed = open.body.size + bytes.size();
  if (needed <= open.body.memory.capacity) return open.body.append(pool_, bytes);
  const bool small = needed <= kSmallBody;
  const auto wanted = static_cast<size_t>(
      std::min({needed + open.remaining, settings_.body_max, uint64_t{needed} * 4}));
  for (const size_t size : {small ? needed : wanted, needed}) {
    if (pool_.spares(size, small) && open.body.append(pool_, bytes, size)) return true;
  }
  pool_.refuse();
  return false;
}

// What follows the kept part of a body: whether a character was cut, or none, shows in it.
void HttpEngine::note_behind_cut(OpenMessage& open, std::string_view bytes) {
  if (!open.behind_cut_known) return;
  const size_t size = std::min(bytes.size(), open.behind_cut.size() - open.behind_cut_size);
  bytes.copy(open.behind_cut.data() + open.behind_cut_size, size);
  open.behind_cut_size = (open.behind_cut_size + size) & 3;
}

// Body bytes: the first body_max are kept, the others counted.
void HttpEngine::take_body(OpenMessage& open, std::string_view bytes, const SegmentMeta& meta) {
  open.last = meta;
  const bool first = open.body_size == 0;
  open.body_size += bytes.size();
  if (settings_.body_max == 0) {
    open.body_truncated = true;
    return;
  }
  if (first && settings_.drop_binary_bodies) {
    const std::string_view sample =
        bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(kBinarySample, settings_.body_max)));
    open.body_binary = !is_utf8(without_cut_character(sample));
  }
  if (open.body_binary) {
    open.body_truncated = open.body_size - open.missing > settings_.body_max;
    return;
  }
  const auto room = static_cast<size_t>(settings_.body_max -
                                        std::min<uint64_t>(settings_.body_max, open.body.size));
  const std::string_view kept = bytes.substr(0, std::min(room, bytes.size()));
  if (kept.size() < bytes.size()) {
    open.body_truncated = true;
    note_behind_cut(open, bytes.substr(kept.size()));
  }
  if (kept.empty() || open.body_given_up) return;
  if (keep_body(open, kept)) return;
  // Memory gives way at the bodies first: the message goes on without the rest of this one.
  open.cause = Incomplete::kLimit;
  open.body_given_up = true;
  open.body_truncated = true;
}

uint64_t HttpEngine::unread_bytes(const HttpConnection& http, Side side) const {
  const HttpStream& here = http.streams[static_cast<size_t>(side)];
  if (here.phase != HttpPhase::kBodyLength) return 0;
  const OpenMessage& open = *here.open;
  if (open.body_may_be_absent || open.expects_continue) return 0;
  const bool is_full = open.body.size >= settings_.body_max &&
                       (!open.behind_cut_known || open.behind_cut_size == open.behind_cut.size());
  const bool is_kept =
      settings_.body_max != 0 && !open.body_binary && !open.body_given_up && !is_full;
  return is_kept || open.remaining == 0 ? 0 : open.remaining - 1;
}

bool HttpEngine::pass_over(HttpConnection& http, Side side, uint64_t length,
                           const SegmentMeta& meta) {
  if (length > unread_bytes(http, side)) return false;
  OpenMessage& open = *http.streams[static_cast<size_t>(side)].open;
  open.remaining -= length;
  open.last = meta;
  open.body_size += length;
  if (open.body_size - open.missing > settings_.body_max) open.body_truncated = true;
  counters_.add(ShardCounter::parsed, length);
  return true;
}

void HttpEngine::finish(HttpContext& context, Side side) {
  OpenMessage& open = *stream(context, side).open;
  if (open.direction == MessageDirection::kRequest) {
    complete_exchange(context, open.exchange, open.last.time_ns, open.body_size);
  }
  if (!open.given_out) emit_open_message(context, side, open.headers_cut);
  after_message(context, side);
}

void HttpEngine::after_message(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  release_open_message(here);
  here.phase = context.http.tunnel ? HttpPhase::kTunnel : HttpPhase::kStart;
}

// Both directions carry another protocol from here on (RFC 9110 sections 7.8 and 9.3.6).
void HttpEngine::make_tunnel(HttpContext& context, Side side) {
  context.http.tunnel = true;
  counters_.add(ShardCounter::tunnels);
  stream(context, side).phase = HttpPhase::kTunnel;
  HttpStream& peer = stream(context, other(side));
  if (peer.open == nullptr) peer.phase = HttpPhase::kTunnel;
}

}  // namespace tcp_sniffer
