// HttpEngine: what is lost, what is not HTTP, and how the next message is found.

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/http/engine.h"
#include "core/http/stream_sample.h"

namespace tcp_sniffer {

namespace {

// A stream met in its middle in which this much held no message is taken for another protocol: it
// is looked at again only where a segment starts like a message.
constexpr uint64_t kSearchBytesMax = 1u << 20;

// A client that waited for so many responses before anything was lost is taken for one that always
// does.
constexpr uint32_t kWaitsSeen = 3;

}  // namespace

void HttpEngine::start_search(HttpContext& context, Side side, bool direct) {
  HttpStream& here = stream(context, side);
  release_open_message(here);
  here.phase = context.http.tunnel ? HttpPhase::kTunnel : HttpPhase::kSearch;
  here.unplaced = false;
  here.direct = direct;
  here.inside = false;
  here.order_lost = true;
  here.lossy |= direct;
}

// Which messages this side may send, where that is certain.
MessageFinder::Wanted HttpEngine::wanted_of(const HttpContext& context, Side side) {
  const ConnectionIdentity& identity = context.identity;
  if (!identity.receiver_known || identity.server_uncertain) return MessageFinder::Wanted::kBoth;
  return identity.serves(side) ? MessageFinder::Wanted::kResponses
                               : MessageFinder::Wanted::kRequests;
}

// Whether a message of this side can only begin where a segment does: who waits for the answer
// before he asks again, and who answers him, has nothing to put in front of it. That requests do
// wait shows in those that were seen; for the answers no request may be missing.
bool HttpEngine::starts_at_segments(HttpContext& context, Side side, MessageFinder::Wanted wanted) {
  const HttpConnection& http = context.http;
  if (!stream(context, side).lossy || http.surely_pipelines) return false;
  if (wanted == MessageFinder::Wanted::kRequests) return http.next_exchange >= 2;
  return wanted == MessageFinder::Wanted::kResponses && http.next_exchange >= 1 &&
         !stream(context, other(side)).lossy;
}

// Passes over the segment unless it begins like a message, and acknowledges something that the one
// before did not: the answer to what went before, or the next question.
size_t HttpEngine::search_at_segments(HttpContext& context, Side side, const Input& input,
                                      MessageFinder::Wanted wanted) {
  // Less than a method or version may be: the rest comes with the next segment.
  constexpr size_t kLittle = 32;
  HttpStream& here = stream(context, side);
  here.direct = false;
  if (here.open != nullptr && here.open->finder.searching()) release_open_message(here);
  OpenMessage* open = take_open_message(context, side);
  size_t passed = input.text.size();
  const bool has_beginning =
      input.segment >= input.offset && input.segment - input.offset < input.text.size();
  if (open != nullptr && has_beginning) {
    const auto before = static_cast<size_t>(input.segment - input.offset);
    const std::string_view text = input.text.substr(before);
    const StartGuess guess = guess_start(text, StartContext::kAfterLoss);
    const bool fits = guess == (wanted == MessageFinder::Wanted::kRequests ? StartGuess::kRequest
                                                                           : StartGuess::kResponse);
    const uint64_t before_ack = open->last.acknowledged;
    const bool nothing_new = before_ack != 0 && before_ack == input.meta.acknowledged;
    // With nothing to compare it may be the end of a method whose beginning is lost.
    const bool begins = before_ack == 0
                            ? fits && starts_like_message(text)
                            : fits || (guess == StartGuess::kMaybe && text.size() < kLittle);
    if (begins && !nothing_new) {
      if (before == 0) {
        begin_candidate(context, side, input.offset, input.meta);
        return 0;
      }
      passed = before;
    } else {
      open->last = input.meta;
    }
  }
  counters_.add(ShardCounter::skipped_in_resync, passed);
  if (wanted == MessageFinder::Wanted::kRequests) note_unseen(context, passed);
  return passed;
}

size_t HttpEngine::search(HttpContext& context, Side side, const Input& input) {
  HttpStream& here = stream(context, side);
  const MessageFinder::Wanted wanted = wanted_of(context, side);
  const bool untouched = here.direct && here.open == nullptr;
  if (untouched) {
    // Right behind the loss: most often a message begins with the segment.
    here.direct = false;
    const StartGuess guess = guess_start(input.text, StartContext::kAfterLoss);
    if (((guess == StartGuess::kRequest && wanted != MessageFinder::Wanted::kResponses) ||
         (guess == StartGuess::kResponse && wanted != MessageFinder::Wanted::kRequests)) &&
        starts_like_message(input.text)) {
      // Refused before anything is remembered: what comes in front of it may move its place.
      if (!input.force &&
          ((here.unplaced && !here.started && !stream(context, other(side)).started &&
            must_hold_back(context, here)) ||
           (guess == StartGuess::kResponse &&
            response_room(context, side, input.text, input.offset, true, false) == 0))) {
        here.direct = true;
        return kRefused;
      }
      return begin_head(context, side, input, true);
    }
    if (!here.started && (guess == StartGuess::kTls || guess == StartGuess::kHttp2)) {
      return not_a_message(context, side, input);
    }
    here.direct = true;
    if (!here.started && !input.force && must_hold_back(context, here)) return kRefused;
  }
  if (starts_at_segments(context, side, wanted)) {
    return search_at_segments(context, side, input, wanted);
  }
  OpenMessage* open = take_open_message(context, side);
  if (open == nullptr ||
      (!open->head.memory && !pool_.grow(open->head.memory, MessageFinder::kSearchLineMax, 0))) {
    if (open != nullptr) release_open_message(here);
    counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    return input.text.size();
  }
  if (!open->finder.searching()) {
    open->finder.start(
        std::span<char, MessageFinder::kSearchLineMax>(
            reinterpret_cast<char*>(open->head.memory.data), MessageFinder::kSearchLineMax),
        here.direct   ? MessageFinder::StartsAt::kGap
        : here.inside ? MessageFinder::StartsAt::kInsideLine
                      : MessageFinder::StartsAt::kBehindLineFeed,
        wanted);
    open->body_size = 0;
  }
  here.direct = here.inside = false;
  const MessageFinder::Candidate candidate = open->finder.search(input.text);
  if (!candidate.found) {
    note_skipped(context, side);
    counters_.add(ShardCounter::skipped_in_resync, input.text.size());
    open->body_size += input.text.size();
    if (!here.started && open->body_size > kSearchBytesMax) {
      ignore_stream(context, side, StreamNature::kUnknown, {});
    }
    return input.text.size();
  }
  if (candidate.offset > candidate.kept.size()) note_skipped(context, side);
  // The kept bytes were counted as skipped when they came.
  counters_.add(ShardCounter::skipped_in_resync, candidate.offset);
  counters_.subtract(ShardCounter::skipped_in_resync, candidate.kept.size());
  open->body_size = 0;
  open->head.size = candidate.kept.size();
  if (!candidate.kept.empty() &&
      candidate.kept.data() != reinterpret_cast<const char*>(open->head.memory.data)) {
    std::memmove(open->head.memory.data, candidate.kept.data(), candidate.kept.size());
  }
  if (candidate.offset == input.text.size()) {
    begin_candidate(context, side, input.offset + candidate.offset, input.meta);
    return candidate.offset;
  }
  if (untouched && candidate.offset == 0 && !input.force &&
      guess_start(input.text, StartContext::kAfterLoss) != StartGuess::kRequest &&
      response_room(context, side, input.text, input.offset, true, false) == 0) {
    release_open_message(here);
    here.direct = true;
    return kRefused;
  }
  begin_candidate(context, side, input.offset + candidate.offset - candidate.kept.size(),
                  input.meta);
  return candidate.offset;
}

// The first bytes of a stream met in its middle wait for the connection's next segment: captures
// reorder, and what the sender sent before them may still come.
bool HttpEngine::must_hold_back(const HttpContext& context, HttpStream& here) {
  const auto frame = static_cast<uint32_t>(context.frame);
  if (here.held_frame == 0) here.held_frame = frame;
  return frame == 0 || here.held_frame == frame;
}

// A message may begin at `offset`; its first bytes, if any, are in the open message.
void HttpEngine::begin_candidate(HttpContext& context, Side side, uint64_t offset,
                                 const SegmentMeta& meta) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  open.progress = {};
  open.first = open.last = meta;
  open.start_offset = offset;
  open.after_gap = true;
  open.candidate = true;
  open.strict = true;
  here.phase = HttpPhase::kHead;
}

// What stands in the open message is no head, or one behind surplus bytes of the message before it.
// No message starts in its first `resume` bytes; what follows is searched, also inside a line.
void HttpEngine::fail_head(HttpContext& context, Side side, size_t resume) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  const std::string_view text = open.head.text();
  // Where a response is due, it is rubbish in front of it (as in odd_start).
  const bool rubbish = open.progress.context == StartContext::kResponseDue &&
                       nature_of(text) == StreamNature::kUnknown;
  if (!here.started && !open.candidate && !rubbish) {
    counters_.add(ShardCounter::ignored_stream, text.size());
    ignore_stream(context, side, nature_of(text), text);
    return;
  }
  if (!open.candidate) say_parse_error(context, side);
  const bool inside = resume == 0 && open.strict;
  if (inside) resume = 1;
  if (resume < text.size()) {
    replay_offset_ = open.start_offset + resume;
    replay_from_ = resume;
    replay_ = std::exchange(open.head, {});
  }
  pass_candidate(context, side, inside ? 0 : resume);
}

// Goes on searching behind the first `resume` bytes of what is no head. With none of its lines
// good, the first one was judged already, and only another message can start inside it. Returns how
// many bytes were passed.
size_t HttpEngine::pass_candidate(HttpContext& context, Side side, size_t resume) {
  const bool strict = stream(context, side).open->strict;
  const size_t passed = resume == 0 && strict ? 1 : resume;
  counters_.add(ShardCounter::skipped_in_resync, passed);
  start_search(context, side, false);
  stream(context, side).inside = resume == 0 && strict;
  return passed;
}

// A segment begins in the first line of a head, which may be what was too much of the message
// before: kept, for the next message may begin there.
void HttpEngine::note_cut(OpenMessage& open) {
  const auto cut = static_cast<uint32_t>(open.head.size);
  if (open.cuts.size < BufferPool::kSizeMin) {
    open.cuts.append(pool_, {reinterpret_cast<const char*>(&cut), sizeof(cut)});
  }
}

// The first line of the head has become complete. What reads like an odd request may be surplus
// bytes and a request in a segment of its own: returns how many bytes stand before that, or 0.
size_t HttpEngine::surplus_before_message(const OpenMessage& open, MessageFinder::Wanted wanted) {
  std::string_view line = open.head.text();
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const StartLine start = read_start_line(line);
  if (start.kind != StartLineKind::kRequest || (start.known_method && !start.irregular)) return 0;
  const size_t before = MessageFinder::message_inside(line, wanted);
  const std::string_view cuts = open.cuts.text();
  for (size_t at = 0; at < cuts.size(); at += sizeof(uint32_t)) {
    uint32_t cut = 0;
    std::memcpy(&cut, cuts.data() + at, sizeof(cut));
    if (cut == before) return before;
  }
  return 0;
}

size_t HttpEngine::ignored(HttpContext& context, Side side, const Input& input) {
  if (starts_like_message(input.text)) {
    const StartGuess guess = guess_start(input.text, StartContext::kAfterLoss);
    if (guess == StartGuess::kRequest || guess == StartGuess::kResponse) {
      OpenMessage* open = take_open_message(context, side);
      if (open != nullptr) {
        begin_candidate(context, side, input.offset, input.meta);
        return 0;
      }
    }
  }
  counters_.add(ShardCounter::ignored_stream, input.text.size());
  return input.text.size();
}

void HttpEngine::ignore_stream(HttpContext& context, Side side, StreamNature nature,
                               std::string_view sample) {
  HttpStream& here = stream(context, side);
  if (!here.said_not_http) {
    here.said_not_http = true;
    counters_.add(nature == StreamNature::kTls     ? ShardCounter::tls
                  : nature == StreamNature::kHttp2 ? ShardCounter::http2
                                                   : ShardCounter::not_http);
    EventRecord record;
    record.kind = EventKind::kNotHttp;
    record.nature = nature;
    record.sample_size = take_stream_sample(sample, record.sample);
    put_event(context, side, record);
  }
  release_open_message(here);
  here.phase = HttpPhase::kIgnored;
  here.order_lost = true;
}

void HttpEngine::say_parse_error(HttpContext& context, Side side) {
  counters_.add(ShardCounter::parse_errors);
  HttpStream& here = stream(context, side);
  if (here.said_parse_error) return;
  here.said_parse_error = true;
  EventRecord record;
  record.kind = EventKind::kParseError;
  put_event(context, side, record);
}

// Bytes that will never come. Inside a body whose end is known they are bridged; elsewhere the
// message ends here and the next one is searched.
void HttpEngine::gap(HttpContext& context, Side side, uint64_t offset, uint64_t length,
                     GapCause cause) {
  HttpStream& here = stream(context, side);
  if (context.http.order_waits()) waits_its_turn(context, side, true);
  const Incomplete word = cause == GapCause::kSnaplen ? Incomplete::kSnaplen : Incomplete::kGap;
  uint64_t bridgeable = 0;
  switch (here.phase) {
    case HttpPhase::kTunnel:
    case HttpPhase::kIgnored:
      return;
    case HttpPhase::kBodyLength:
      // After a final answer the next request may stand where the body was announced.
      if (!here.open->expects_continue ||
          (here.open->answer != ExpectAnswer::kFinal && here.open->undecided.size == 0)) {
        bridgeable = here.open->remaining;
      }
      break;
    case HttpPhase::kBodyChunked:
      bridgeable = here.open->chunked.remaining_in_chunk();
      break;
    case HttpPhase::kBodyUntilClose:
      bridgeable = ~uint64_t{0};
      break;
    default:
      break;
  }
  if (length > bridgeable || bridgeable == 0) {
    HttpConnection& http = context.http;
    if (!http.streams[0].lossy && !http.streams[1].lossy) {
      http.waits = !http.pipelines && http.next_exchange >= kWaitsSeen;
    }
    uint64_t unknown = length;
    bool message_begins = here.phase == HttpPhase::kStart;
    if (here.phase == HttpPhase::kBodyLength && bridgeable > 0) {
      unknown -= bridgeable;
      message_begins = true;
      bridge(here, bridgeable);
    } else if (here.phase == HttpPhase::kHead) {
      unknown += here.open->head.size;
    } else if (here.phase == HttpPhase::kSearch) {
      ExchangeRing ring(http, pool_);
      message_begins =
          here.direct && !ring.empty() && ring.back().alone && ring.back().sent_ack == offset;
    }
    const uint32_t requests = http.next_exchange;
    interrupt(context, side, word);
    start_search(context, side, true);
    const bool is_request = http.next_exchange != requests;
    // The rest of a segment is the rest of the request that it begins with.
    if (is_request && cause == GapCause::kSnaplen) return;
    note_gap(context, side, unknown, message_begins);
    if (is_request) note_cut_request(http, unknown);
    return;
  }
  OpenMessage& open = *here.open;
  if (open.cause == Incomplete::kNo) open.cause = word;
  open.body_may_be_absent = false;
  open.expects_continue = false;
  bridge(here, length);
  if (here.phase == HttpPhase::kBodyLength && open.remaining == 0) finish(context, side);
}

// `length` bytes of the body are missing.
void HttpEngine::bridge(HttpStream& here, uint64_t length) {
  OpenMessage& open = *here.open;
  open.behind_cut_known &= open.body.size < settings_.body_max;
  if (open.broken_body) open.finder = MessageFinder();
  const BodyGap gap{open.body_size, length};
  open.gaps.append(pool_, {reinterpret_cast<const char*>(&gap), sizeof(gap)});
  open.body_size += length;
  open.missing += length;
  if (here.phase == HttpPhase::kBodyLength) open.remaining -= length;
  if (here.phase == HttpPhase::kBodyChunked) open.chunked.skip_in_chunk(length);
}

// Ends the message in the making, whatever state it is in, with the reason why.
void HttpEngine::interrupt(HttpContext& context, Side side, Incomplete cause) {
  HttpStream& here = stream(context, side);
  switch (here.phase) {
    case HttpPhase::kHead:
      interrupt_head(context, side, cause);
      return;
    case HttpPhase::kBodyLength:
    case HttpPhase::kBodyChunked:
    case HttpPhase::kBodyUntilClose: {
      if (here.open->expects_continue && settle_expected(context, side, cause)) return;
      OpenMessage& open = *here.open;
      if (open.cause == Incomplete::kNo) open.cause = cause;
      if (here.phase == HttpPhase::kBodyLength) {
        open.missing += open.remaining;
        open.body_size += open.remaining;
      }
      finish(context, side);
      return;
    }
    default:
      release_open_message(here);
      return;
  }
}

// The head will not become complete. Without a whole start line there is no message.
void HttpEngine::interrupt_head(HttpContext& context, Side side, Incomplete cause) {
  HttpStream& here = stream(context, side);
  OpenMessage& open = *here.open;
  HttpHead head;
  open.progress.cut = cause == Incomplete::kSnaplen;
  const bool readable = !open.strict && heads_.read_partial(open.head.text(), open.progress, head);
  if (!readable) {
    counters_.add(ShardCounter::lost_before_start_line);
    counters_.add(ShardCounter::skipped_in_resync, open.head.size);
    after_message(context, side);
    return;
  }
  counters_.add(ShardCounter::parsed, open.head.size);
  here.started = true;
  open.direction = head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                              : MessageDirection::kResponse;
  open.cause = cause;
  if (open.direction == MessageDirection::kResponse &&
      must_wait(context, side, open.start_offset, open.candidate)) {
    give_out_request(context, other(side));
  }
  if (open.direction == MessageDirection::kRequest) {
    open_exchange(context, side, head, open.first, open.start_offset, open.exchange);
    complete_exchange(context, open.exchange, open.last.time_ns, 0);
  } else if (Exchange* exchange =
                 find_exchange(context, side, open.start_offset, open.first, head.start.status)) {
    open.exchange = exchange->number;
    open.has_request_time = exchange->complete;
    open.request_last_ns = exchange->last_byte_ns;
    take_request_text(open, *exchange);
    ExchangeRing(context.http, pool_).pop_front();
  }
  emit_open_message(context, side, true);
  after_message(context, side);
}

void HttpEngine::end_of_stream(HttpContext& context, Side side, bool reset) {
  if (context.http.order_waits()) waits_its_turn(context, side, true);
  if (stream(context, side).open != nullptr) end_message(context, side, reset);
}

// The stream ends within a message.
void HttpEngine::end_message(HttpContext& context, Side side, bool reset) {
  const HttpStream& here = stream(context, side);
  settle_head(context, side);
  if (here.phase == HttpPhase::kBodyUntilClose && !reset) {
    finish(context, side);
    return;
  }
  const bool in_body =
      here.phase == HttpPhase::kBodyLength || here.phase == HttpPhase::kBodyChunked;
  if (in_body && here.open->expects_continue && here.open->undecided.size == 0 &&
      here.open->answer != ExpectAnswer::kFinal) {
    here.open->ended = true;  // the answer decides; it may be captured later
    return;
  }
  interrupt(context, side, Incomplete::kClosed);
}

void HttpEngine::close(HttpContext& context, Incomplete cause) {
  // The direction whose open message is a request first: a request comes before its response.
  for (const bool requests : {true, false}) {
    for (const Side side : {Side::kLow, Side::kHigh}) {
      const HttpStream& here = stream(context, side);
      if (here.open == nullptr) continue;
      const bool is_request = here.phase == HttpPhase::kHead
                                  ? !may_begin_response(here.open->head.text())
                                  : here.open->direction == MessageDirection::kRequest;
      if (is_request != requests) continue;
      settle_head(context, side);
      interrupt(context, side, cause);
    }
  }
  emit_unanswered(context);
  ExchangeRing(context.http, pool_).clear();
}

}  // namespace tcp_sniffer
