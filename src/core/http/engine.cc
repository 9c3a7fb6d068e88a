#include "core/http/engine.h"

#include <algorithm>

#include "core/http/direction.h"
#include "core/http/exchanges.h"
#include "core/http/open_message.h"

namespace tcp_sniffer {

HttpEngine::HttpEngine(const HttpSettings& settings, BufferPool& pool, ShardCounters& counters,
                       MessageOutput& output, EventSink& events)
    : settings_(settings),
      pool_(pool),
      counters_(counters),
      emitter_(settings.client, counters, output),
      events_(events),
      heads_(settings.header_bytes_max, settings.headers_max),
      trailers_(settings.header_bytes_max, settings.headers_max) {}

void HttpEngine::change(const HttpSettings& settings) {
  settings_.body_max = settings.body_max;
  settings_.drop_binary_bodies = settings.drop_binary_bodies;
  settings_.client = settings.client;
  settings_.request_target_max = settings.request_target_max;
  emitter_.change_clients(settings.client);
}

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
  if (open != nullptr && open->may_answer_head) return false;
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
    if (open->parts != nullptr) held += BufferPool::capacity_of(sizeof(OpenParts));
    if (open->search != nullptr) {
      held += BufferPool::capacity_of(sizeof(MessageSearch)) + open->search->line.memory.capacity;
    }
  }
  return held;
}

uint64_t HttpEngine::unread_bytes(const HttpConnection& http, Side side) const {
  const HttpStream& here = http.streams[static_cast<size_t>(side)];
  if (here.phase != HttpPhase::kBodyLength) return 0;
  const OpenMessage& open = *here.open;
  if (open.body_may_be_absent || open.expects_continue) return 0;
  const bool is_full = (open.body_truncated || open.kept_size() >= settings_.body_max) &&
                       (!open.behind_cut_known || open.behind_cut_size == open.behind_cut.size());
  const bool is_kept = settings_.body_max != 0 && !open.body_unwanted && !open.body_binary &&
                       !open.body_given_up && !is_full;
  return is_kept || open.remaining == 0 ? 0 : open.remaining - 1;
}

bool HttpEngine::pass_over(HttpConnection& http, Side side, uint64_t length,
                           const SegmentMeta& meta) {
  if (length > unread_bytes(http, side)) return false;
  OpenMessage& open = *http.streams[static_cast<size_t>(side)].open;
  open.remaining -= length;
  open.last = meta;
  open.body_size += length;
  if (open.body_unwanted || open.body_size - open.missing > settings_.body_max) {
    open.body_truncated = true;
  }
  counters_.add(ShardCounter::parsed, length);
  return true;
}

size_t HttpEngine::announced_size(const OpenMessage& open, size_t come) const {
  return static_cast<size_t>(std::min(come + open.remaining, settings_.body_max));
}

size_t HttpEngine::body_step(const OpenMessage& open, size_t come) const {
  return come <= kSmallBody ? come : std::min(announced_size(open, come), come * 4);
}

// Only the last memory of a body has room before it: that of a step would be full sooner, and other
// bodies would come out whole. False: over the memory limit.
bool HttpEngine::reserve_body(OpenMessage& open, size_t size, size_t announced, bool may_be_ahead) {
  using Front = BodyMemory::Front;
  const bool goes = size >= announced && settings_.hands_bodies_over && open.parts == nullptr;
  const Front front = !goes ? Front::kNone : may_be_ahead ? Front::kPreferred : Front::kWhereFree;
  return open.body.reserve(pool_, size, front);
}

void HttpEngine::take_memory_back() {
  while (OpenMessage* open = bodies_ahead_.any()) {
    bodies_ahead_.remove(*open);
    const size_t come = open->body.size();
    const size_t step = std::max(body_step(*open, come), come);
    if (BufferPool::capacity_of(step) < open->body.memory.capacity) {
      reserve_body(*open, step, announced_size(*open, come), false);
    }
  }
}

int64_t HttpEngine::part_due_ns(const HttpConnection& http) {
  int64_t due_ns = OpenParts::kNever;
  for (const HttpStream& stream : http.streams) {
    if (stream.open == nullptr || stream.open->parts == nullptr) continue;
    due_ns = std::min(due_ns, stream.open->parts->due_ns);
  }
  return due_ns;
}

ConnectionIdentity* HttpEngine::with_part_due(int64_t clock_ns) const {
  const OpenParts* next = part_timers_.front();
  return next != nullptr && next->due_ns <= clock_ns ? next->connection : nullptr;
}

Side HttpEngine::side_of_part(const HttpConnection& http) {
  const OpenMessage* low = http.streams[0].open;
  const bool is_low =
      low != nullptr && low->parts != nullptr && low->parts->due_ns == part_due_ns(http);
  return is_low ? Side::kLow : Side::kHigh;
}

void HttpEngine::close(HttpContext& context, Incomplete cause) {
  const auto& streams = context.http.streams;
  if (streams[0].open != nullptr || streams[1].open != nullptr) close_open_messages(context, cause);
  settle_unanswered(context);
  ExchangeRing(context.http, pool_).clear();
}

// The direction whose open message is a request first: a request comes before its response.
void HttpEngine::close_open_messages(HttpContext& context, Incomplete cause) {
  for (const bool requests : {true, false}) {
    for (const Side side : {Side::kLow, Side::kHigh}) {
      HttpDirection direction(*this, context, side);
      if (direction.has_open_message() && direction.is_request_open() == requests) {
        direction.close(cause);
      }
    }
  }
}

// What is known of the responses that did not come: there are none when the server has ended its
// stream and nothing is missing in front of its end; or they may be what is missing. For all others
// the reason is that the connection is over.
void HttpEngine::settle_unanswered(HttpContext& context) {
  ExchangeRing ring(context.http, pool_);
  bool in_order = true;
  for (uint32_t i = 0; i < ring.size(); i++) {
    const Exchange& exchange = ring.at(i);
    const HttpStream& server = context.http.streams[static_cast<size_t>(other(exchange.side))];
    in_order &= !exchange.after_loss && !server.order_lost;
    Orphan orphan{Orphan::Kind::kResponseNotCaptured, context.ending};
    if (in_order && server.ended && server.phase == HttpPhase::kStart) {
      orphan = {Orphan::Kind::kNoResponse, Incomplete::kNo};
      emit_unanswered(context, exchange, orphan);
      emitter_.end_without_response(context.identity, exchange.number);
    } else if (server.order_lost && server.lossy && !server.unplaced) {
      orphan.cause = Incomplete::kGap;
      emit_unanswered(context, exchange, orphan);
      emitter_.lose_response(context.identity, exchange.number, Incomplete::kGap);
    } else {
      emit_unanswered(context, exchange, orphan);
    }
    meter_unanswered(exchange.row, orphan);
  }
}

// A request that no response will answer any more.
void HttpEngine::emit_unanswered(HttpContext& context, const Exchange& exchange, Orphan orphan) {
  if (settings_.request_target_max == 0) return;
  if (!exchange.text || !context.identity.roles.known()) return;
  Message request;
  request.method = exchange.text.method();
  request.target = exchange.text.target();
  request.request_host = exchange.text.host();
  request.body_size = exchange.body_size;
  request.first_byte_ns = exchange.first_byte_ns;
  request.exchange = exchange.number;
  if (settings_.client.follow_headers()) request.client = exchange.text.client();
  emitter_.emit_unanswered(context.identity, exchange.side, request, orphan);
}

}  // namespace tcp_sniffer
