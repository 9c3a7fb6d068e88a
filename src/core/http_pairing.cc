// HttpEngine: which response belongs to which request.

#include <algorithm>
#include <cstring>

#include "core/http_engine.h"

namespace tcp_sniffer {

namespace {

// A clock of 8 bits, in steps of 1.07 s; never 0.
uint8_t quiet_clock(int64_t time_ns) {
  const auto units = static_cast<uint8_t>(static_cast<uint64_t>(time_ns) >> 30);
  return units == 0 ? uint8_t{1} : units;
}

// Two seconds at least, in those steps: longer than a server thinks while its client goes on.
constexpr int8_t kQuietSteps = 3;

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
  ExchangeRing ring(context.http, pool_);
  if (!ring.empty() || context.http.pipelines) note_pipelining(context, side, first);
  Exchange* exchange = ring.push(settings_.outstanding_max);
  if (exchange == nullptr) {
    // Else there was no memory, which the pool has counted.
    if (ring.size() >= settings_.outstanding_max) {
      counters_.add(ShardCounter::requests_forgotten);
      limit_reached(context, side, "maxOutstandingRequests", settings_.outstanding_max);
    }
    stream(context, side).order_lost = true;
    return;
  }
  exchange->number = static_cast<uint32_t>(number);
  exchange->start_low = static_cast<uint32_t>(start_offset);
  exchange->side = side;
  exchange->sent_ack = first.acknowledged;
  exchange->after_loss = stream(context, side).order_lost;
  stream(context, side).order_lost = false;
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

// A request begins while others wait, or in a connection where that was seen before.
void HttpEngine::note_pipelining(HttpContext& context, Side side, const SegmentMeta& first) {
  HttpConnection& http = context.http;
  ExchangeRing ring(http, pool_);
  HttpStream& here = stream(context, side);
  HttpStream& peer = stream(context, other(side));
  const bool after_loss =
      here.order_lost || peer.order_lost || (!ring.empty() && ring.front().after_loss);
  if (!ring.empty() && first.acknowledged != 0) {
    // The same acknowledgment twice: the second did not wait for the response to the first.
    const bool same = ring.back().sent_ack == first.acknowledged;
    http.pipelines |= same || !after_loss;
    http.surely_pipelines |= same && !here.lossy;
  }
  if (after_loss && http.pipelines && was_quiet(context, side, first.time_ns)) {
    ring.clear();
    peer.order_lost = false;
  }
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
  HttpStream& here = stream(context, side);
  if (ring.empty()) {
    // To a lost request, or to one captured behind it: order proves nothing for the next.
    here.order_lost = true;
    return nullptr;
  }
  if (!here.order_lost && !ring.front().after_loss) {
    return ring.front().side == side ? nullptr : &ring.front();
  }
  return find_exchange_after_loss(context, side, start_offset, first,
                                  status < 200 && status != 101);
}

// After a loss: of a client that waits, the request sent when exactly the bytes before the response
// had been received. Of a client that does not wait, several requests may fit, the lost ones among
// them: none is taken until the connection was quiet.
Exchange* HttpEngine::find_exchange_after_loss(HttpContext& context, Side side,
                                               uint64_t start_offset, const SegmentMeta& first,
                                               bool interim) {
  ExchangeRing ring(context.http, pool_);
  HttpStream& here = stream(context, side);
  uint32_t index = 0;
  if (!context.http.pipelines) {
    while (index < ring.size() &&
           (ring.at(index).sent_ack != start_offset || ring.at(index).side == side)) {
      index++;
    }
    if (index == ring.size()) return nullptr;
    // The server had not got the request when it answered: it answered an earlier one.
    const auto begun =
        static_cast<int32_t>(static_cast<uint32_t>(first.acknowledged) - ring.at(index).start_low);
    context.http.pipelines = first.acknowledged != 0 && begun <= 0;
  }
  if (context.http.pipelines) {
    here.order_lost = true;
    if (!interim && ring.front().side != side) ring.pop_front();
    return nullptr;
  }
  while (index-- > 0) ring.pop_front();
  here.order_lost = false;
  ring.front().after_loss = false;
  return &ring.front();
}

// A response can not wait any longer for the request that it answers, of `side`: the connection is
// over, or there is no room. So the line of the request comes first, with what was captured of it.
// What may still come of its body is passed over, for where it ends is known.
void HttpEngine::give_out_request(HttpContext& context, Side side) {
  HttpStream& here = stream(context, side);
  if (here.parser == nullptr || here.parser->given_out) return;
  HttpParser& parser = *here.parser;
  const Incomplete cause = context.ending == Incomplete::kNo ? Incomplete::kLimit : context.ending;
  if (here.phase == HttpPhase::kHead) {
    if (parser.strict || may_begin_response(parser.head.text())) return;
    if (complete_http09(context, side)) return;
    interrupt_head(context, side, cause);
    start_search(context, side, false);
    return;
  }
  const bool in_body =
      here.phase == HttpPhase::kBodyLength || here.phase == HttpPhase::kBodyChunked;
  if (!in_body || parser.direction != MessageDirection::kRequest) return;
  const bool without_body = parser.expects_continue && parser.answer == ExpectAnswer::kFinal &&
                            parser.undecided.size == 0;
  if (parser.cause == Incomplete::kNo && !without_body) parser.cause = cause;
  const uint64_t to_come =
      here.phase == HttpPhase::kBodyLength && !without_body ? parser.remaining : 0;
  parser.missing += to_come;
  parser.body_size += to_come;
  complete_exchange(context, parser.exchange, parser.last.time_ns, parser.body_size);
  emit_parser(context, side, parser.headers_cut);
  parser.missing -= to_come;
  parser.body_size -= to_come;
  parser.body.release(pool_);
  parser.body_given_up = true;
  parser.given_out = true;
}

void HttpEngine::describe_request(HttpContext& context, Side side, HttpMessage& message,
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

// The response's parser takes over what its line will say of the request.
void HttpEngine::take_request_text(HttpParser& parser, Exchange& exchange) {
  parser.request_body_size = exchange.body_size;
  parser.request_method_size = exchange.method_size;
  parser.request_target_size = exchange.target_size;
  parser.request_host_size = exchange.host_size;
  parser.request_text = exchange.text;
  exchange.text = {};
}

}  // namespace tcp_sniffer
