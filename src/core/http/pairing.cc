// HttpEngine: which response belongs to which request.

#include <algorithm>
#include <cstring>

#include "core/http/engine.h"

namespace tcp_sniffer {

namespace {

// A clock of 8 bits, in steps of 1.07 s; never 0.
uint8_t quiet_clock(int64_t time_ns) {
  const auto units = static_cast<uint8_t>(static_cast<uint64_t>(time_ns) >> 30);
  return units == 0 ? uint8_t{1} : units;
}

// Two seconds at least, in those steps: longer than a server thinks while its client goes on.
constexpr int8_t kQuietSteps = 3;

// HttpConnection::unseen_bytes: any number of requests.
constexpr uint16_t kUnseenMax = UINT16_MAX;

// "GET / HTTP/1.1" and two line feeds.
constexpr uint32_t kRequestMin = 16;

std::string_view host_of(const HttpHead& head) {
  for (const HeaderField& field : head.fields) {
    if (field.name.size() == 4 && strncasecmp(field.name.data(), "host", 4) == 0) {
      return field.value;
    }
  }
  return {};
}

}  // namespace

// A request begins: it gets its number and waits for its response. What is beyond the limit is
// given out but not remembered, so order proves nothing from there on. It is whole, so nothing of
// it is incomplete: its response has no exchange.
void HttpEngine::open_exchange(HttpContext& context, Side side, const HttpHead& head,
                               const SegmentMeta& first, uint64_t start_offset, uint64_t& number) {
  number = context.http.next_exchange++;
  HttpStream& here = stream(context, side);
  ExchangeRing ring(context.http, pool_);
  if (head.size > 0) note_size(context.http, head.size);
  const bool uncertain = here.order_lost || stream(context, other(side)).order_lost ||
                         (!ring.empty() && ring.front().after_loss);
  const bool alone = (!uncertain && ring.empty()) || begins_alone(context, side, first, uncertain);
  Exchange* exchange = ring.push(settings_.outstanding_max);
  if (exchange == nullptr) {
    // Else there was no memory, which the pool has counted.
    if (ring.size() >= settings_.outstanding_max) {
      counters_.add(ShardCounter::requests_forgotten);
      limit_reached(context, side, "maxOutstandingRequests", settings_.outstanding_max);
    }
    here.order_lost = true;
    note_unseen(context, head.size);
    return;
  }
  exchange->number = static_cast<uint32_t>(number);
  exchange->start_low = static_cast<uint32_t>(start_offset);
  exchange->side = side;
  exchange->sent_ack = first.acknowledged;
  exchange->after_loss = here.order_lost;
  exchange->alone = alone;
  here.order_lost = false;
  exchange->first_byte_ns = first.time_ns;
  exchange->method = method_kind(head);
  if (!settings_.keep_request_text) return;
  const std::string_view method = head.start.method;
  const std::string_view target = head.start.target.substr(0, 1024);
  const std::string_view host = host_of(head).substr(0, 255);
  exchange->text = pool_.allocate(method.size() + target.size() + host.size());
  if (!exchange->text) return;
  uint8_t* at = exchange->text.data;
  for (const std::string_view part : {method, target, host}) {
    std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  exchange->method_size = static_cast<uint8_t>(method.size());
  exchange->target_size = static_cast<uint16_t>(target.size());
  exchange->host_size = static_cast<uint16_t>(host.size());
}

void HttpEngine::complete_exchange(HttpContext& context, uint64_t number, int64_t last_byte_ns,
                                   uint64_t body_size) {
  ExchangeRing ring(context.http, pool_);
  for (uint32_t i = ring.size(); i-- > 0;) {
    Exchange& exchange = ring.at(i);
    if (exchange.number < number) return;  // it is not remembered
    if (exchange.number != number) continue;
    exchange.complete = true;
    exchange.last_byte_ns = last_byte_ns;
    exchange.body_size = body_size;
    return;
  }
}

// The least that a request of this client takes, as far as is known.
void HttpEngine::note_size(HttpConnection& http, size_t size) {
  if (http.smallest_request == 0 || size < http.smallest_request) {
    http.smallest_request = static_cast<uint16_t>(std::min<size_t>(size, UINT16_MAX));
  }
}

// `length` bytes may have held requests that were not seen.
void HttpEngine::note_unseen(HttpContext& context, uint64_t length) {
  uint16_t& bytes = context.http.unseen_bytes;
  bytes = static_cast<uint16_t>(std::min<uint64_t>(bytes + length, kUnseenMax));
}

// The request that was cut is one of those that the bytes may have held.
void HttpEngine::note_cut_request(HttpConnection& http, uint64_t length) {
  if (http.smallest_request == 0) note_size(http, length);
  if (http.unseen_answers < UINT8_MAX) http.unseen_answers++;
}

// Bytes between messages: the rest of one that was not seen.
void HttpEngine::note_skipped(HttpContext& context, Side side) {
  if (context.http.unseen_bytes > 0 && context.http.unseen_bytes < kRequestMin &&
      !serves(context, side)) {
    context.http.unseen_bytes = kRequestMin;
  }
}

bool HttpEngine::serves(const HttpContext& context, Side side) {
  return wanted_of(context, side) == MessageFinder::Wanted::kResponses;
}

// How many requests may wait for their responses, at most: those that were seen, and as many as
// fit where bytes are missing, if none is much smaller than the smallest one seen.
uint32_t HttpEngine::outstanding_max(HttpContext& context) {
  const HttpConnection& http = context.http;
  uint32_t requests = http.exchange_count;
  if (http.unseen_bytes == kUnseenMax) return UINT32_MAX;
  if (http.unseen_bytes >= kRequestMin) {
    const uint32_t least = http.smallest_request == 0 ? kRequestMin : http.smallest_request;
    requests += std::max(1u, 4u * http.unseen_bytes / (3u * least));
  }
  return requests - std::min<uint32_t>(requests, http.unseen_answers);
}

void HttpEngine::be_certain(HttpContext& context) {
  context.http.unseen_bytes = 0;
  context.http.unseen_answers = 0;
}

// A request begins while others wait, or after a loss. Returns whether all that came before it was
// answered though something was lost, if its client waits for each response.
bool HttpEngine::begins_alone(HttpContext& context, Side side, const SegmentMeta& first,
                              bool uncertain) {
  HttpConnection& http = context.http;
  ExchangeRing ring(http, pool_);
  HttpStream& here = stream(context, side);
  if (!ring.empty() && first.acknowledged != 0) {
    // The same acknowledgment twice: the second did not wait for the response to the first.
    const bool same = ring.back().sent_ack == first.acknowledged;
    http.pipelines |= same || !uncertain;
    http.surely_pipelines |= same && !here.lossy;
  }
  if (!uncertain) return false;
  const bool quiet = was_quiet(context, side, first.time_ns);
  if (!quiet && (http.pipelines || (!http.waits && outstanding_max(context) > 0))) return false;
  ring.clear();
  be_certain(context);
  if (quiet) stream(context, other(side)).order_lost = false;
  return true;
}

// Whether nothing can be under way when a request begins: the latest response ended long ago, and
// no request came since.
bool HttpEngine::was_quiet(HttpContext& context, Side side, int64_t now_ns) {
  ExchangeRing ring(context.http, pool_);
  const HttpStream& here = stream(context, side);
  const HttpStream& peer = stream(context, other(side));
  if (here.order_lost || peer.phase != HttpPhase::kStart || peer.quiet_since == 0) return false;
  const auto since = [&peer](int64_t time_ns) {
    return static_cast<int8_t>(quiet_clock(time_ns) - peer.quiet_since);
  };
  return since(now_ns) >= kQuietSteps && (ring.empty() || since(ring.back().last_byte_ns) <= 0);
}

void HttpEngine::count_unpaired(HttpContext& context, Side side, int64_t last_byte_ns) {
  counters_.add(ShardCounter::unpaired);
  stream(context, side).quiet_since = quiet_clock(last_byte_ns);
}

// The request that a response starting at `start_offset` of its stream answers, made the front of
// the ring; nullptr when that is not known. In order, unless something was lost in front of the
// response or of the request.
Exchange* HttpEngine::find_exchange(HttpContext& context, Side side, uint64_t start_offset,
                                    const SegmentMeta& first, uint16_t status) {
  ExchangeRing ring(context.http, pool_);
  if (!ring.empty() && !stream(context, side).order_lost && !ring.front().after_loss) [[likely]] {
    return ring.front().side == side ? nullptr : &ring.front();
  }
  return find_exchange_after_loss(context, side, start_offset, first,
                                  status < 200 && status != 101);
}

// After a loss only a request that began alone has a response: the one that starts where the
// client had received all.
Exchange* HttpEngine::find_exchange_after_loss(HttpContext& context, Side side,
                                               uint64_t start_offset, const SegmentMeta& first,
                                               bool interim) {
  HttpConnection& http = context.http;
  ExchangeRing ring(http, pool_);
  HttpStream& here = stream(context, side);
  if (!ring.empty()) {
    Exchange& front = ring.front();
    if (front.side == side) return nullptr;
    if (front.alone && front.sent_ack == start_offset && !http.pipelines) {
      const auto begun =
          static_cast<int32_t>(static_cast<uint32_t>(first.acknowledged) - front.start_low);
      if (first.acknowledged == 0 || begun > 0) {
        here.order_lost = front.after_loss = false;
        return &front;
      }
      // The server had not got the request when it answered: it answered an earlier one.
      http.pipelines = true;
    }
  }
  here.order_lost = true;
  if (!interim) note_answer_to_any(context);
  return nullptr;
}

// A response came to one of the requests that may wait, seen or not.
void HttpEngine::note_answer_to_any(HttpContext& context) {
  HttpConnection& http = context.http;
  ExchangeRing ring(http, pool_);
  const bool none_waits = outstanding_max(context) == 0;
  if (none_waits && ring.empty() && http.next_exchange > 0 && http.streams[0].lossy &&
      http.streams[1].lossy) {
    http.pipelines = true;  // a request that seemed to begin alone did not
  }
  if (!ring.empty()) {
    ring.pop_front();
    if (none_waits) http.unseen_answers--;
  } else if (!none_waits && http.unseen_answers < UINT8_MAX) {
    http.unseen_answers++;
  }
}

// Bytes of a stream are missing, and no message of known length has them all.
void HttpEngine::note_gap(HttpContext& context, Side side, uint64_t length, bool message_begins) {
  if (!serves(context, side)) {
    note_unseen(context, length);
  } else if (message_begins && context.http.unseen_answers < UINT8_MAX) {
    context.http.unseen_answers++;
  }
}

// A response can not wait any longer for the request that it answers, of `side`: the connection is
// over, or there is no room. So the line of the request comes first, with what was captured of it.
// What may still come of its body is passed over, for where it ends is known.
void HttpEngine::give_out_request(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  if (here.open == nullptr || here.open->given_out) return;
  OpenMessage& open = *here.open;
  const Incomplete cause = context.ending == Incomplete::kNo ? Incomplete::kLimit : context.ending;
  if (here.phase == HttpPhase::kHead) {
    if (open.strict || may_begin_response(open.head.text())) return;
    if (complete_http09(context, side)) return;
    interrupt_head(context, side, cause);
    start_search(context, side, false);
    return;
  }
  const bool in_body =
      here.phase == HttpPhase::kBodyLength || here.phase == HttpPhase::kBodyChunked;
  if (!in_body || open.direction != MessageDirection::kRequest) return;
  const bool without_body =
      open.expects_continue && open.answer == ExpectAnswer::kFinal && open.undecided.size == 0;
  if (open.cause == Incomplete::kNo && !without_body) open.cause = cause;
  const uint64_t to_come =
      here.phase == HttpPhase::kBodyLength && !without_body ? open.remaining : 0;
  open.missing += to_come;
  open.body_size += to_come;
  complete_exchange(context, open.exchange, open.last.time_ns, open.body_size);
  emit_open_message(context, side, open.headers_cut);
  open.missing -= to_come;
  open.body_size -= to_come;
  open.body.release(pool_);
  open.body_given_up = true;
  open.given_out = true;
}

void HttpEngine::describe_request(HttpContext& context, Side side, Message& message,
                                  const Exchange* exchange, int64_t first_byte_ns) {
  if (exchange == nullptr) {
    count_unpaired(context, side, first_byte_ns);
    return;
  }
  message.exchange = exchange->number;
  message.has_latency = exchange->complete;
  message.latency_ns = first_byte_ns - exchange->last_byte_ns;
  message.request_body_size = exchange->body_size;
  if (!exchange->text) return;
  const std::string_view text(reinterpret_cast<const char*>(exchange->text.data),
                              exchange->text.capacity);
  message.request_method = text.substr(0, exchange->method_size);
  message.request_target = text.substr(exchange->method_size, exchange->target_size);
  message.request_host =
      text.substr(size_t{exchange->method_size} + exchange->target_size, exchange->host_size);
}

// The open response takes over what its line will say of the request.
void HttpEngine::take_request_text(OpenMessage& open, Exchange& exchange) {
  open.request_body_size = exchange.body_size;
  open.request_method_size = exchange.method_size;
  open.request_target_size = exchange.target_size;
  open.request_host_size = exchange.host_size;
  open.request_text = exchange.text;
  exchange.text = {};
}

}  // namespace tcp_sniffer
