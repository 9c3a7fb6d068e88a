// HttpDirection: which response belongs to which request.

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/http/direction.h"

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
// it is incomplete: its response has no exchange. False: it is not remembered.
bool HttpDirection::open_exchange(const HttpHead& head, const SegmentMeta& first,
                                  uint64_t start_offset, uint64_t& number, uint32_t& row) {
  number = http_.next_exchange++;
  ExchangeRing ring = exchanges();
  if (head.size > 0) note_size(head.size);
  const bool uncertain =
      here_.order_lost || peer().order_lost || (!ring.empty() && ring.front().after_loss);
  const bool alone = (!uncertain && ring.empty()) || begins_alone(first, uncertain);
  Exchange* exchange = ring.push(engine_.settings_.outstanding_max);
  if (engine_.settings_.meter != nullptr) [[unlikely]]
    row = engine_.settings_.meter->row_of(head.start.method, head.start.target, host_of(head));
  if (exchange == nullptr) {
    engine_.meter_unanswered(row, {Orphan::Kind::kResponseNotCaptured, Incomplete::kLimit});
    // Else there was no memory, which the pool has counted.
    if (ring.size() >= engine_.settings_.outstanding_max) {
      engine_.counters_.add(ShardCounter::requests_forgotten);
      limit_reached("maxOutstandingRequests", engine_.settings_.outstanding_max);
    }
    here_.order_lost = true;
    note_unseen(head.size);
    return false;
  }
  exchange->number = static_cast<uint32_t>(number);
  exchange->start_low = static_cast<uint32_t>(start_offset);
  exchange->side = side_;
  exchange->row = row;
  exchange->sent_ack = first.acknowledged;
  exchange->after_loss = here_.order_lost;
  exchange->alone = alone;
  here_.order_lost = false;
  exchange->first_byte_ns = first.time_ns;
  exchange->method = method_kind(head);
  keep_text(*exchange, head);
  return true;
}

// What the response's line will say of the request.
void HttpDirection::keep_text(Exchange& exchange, const HttpHead& head) {
  const HttpSettings& settings = engine_.settings_;
  const bool follow = settings.client.follow_headers();
  if (!follow && settings.request_target_max == 0) return;
  ClientAddress client;
  if (follow) {
    const auto forwarded = forwarded_client(settings.client, head.fields);
    client = {true, forwarded ? *forwarded : endpoint_of(context_.identity.key, side_).ip};
  }
  if (settings.request_target_max > 0) {
    exchange.text.keep(engine_.pool_, client, head.start.method,
                       head.start.target.substr(0, settings.request_target_max), host_of(head));
  } else {
    exchange.text.keep(engine_.pool_, client, {}, {}, {});
  }
}

// Whose request the open response answers; an interim one has left it in its exchange.
ClientAddress HttpDirection::client_of_response() {
  const OpenMessage& open = *here_.open;
  if (!engine_.settings_.client.follow_headers() || open.exchange == kNoExchange) return {};
  if (open.request_text) return open.request_text.client();
  ExchangeRing ring = exchanges();
  if (ring.empty() || ring.front().number != open.exchange) return {};
  return ring.front().text.client();
}

void HttpDirection::open_exchange(const HttpHead& head, OpenMessage& open) {
  if (!open_exchange(head, open.first, open.start_offset, open.exchange, open.row)) {
    open.unanswerable = Incomplete::kLimit;
  }
}

// False: it is not remembered, or was given up as lost.
bool HttpDirection::complete_exchange(uint64_t number, int64_t last_byte_ns, uint64_t body_size) {
  ExchangeRing ring = exchanges();
  for (uint32_t i = ring.size(); i-- > 0;) {
    Exchange& exchange = ring.at(i);
    if (exchange.number < number) return false;
    if (exchange.number != number) continue;
    exchange.complete = true;
    exchange.last_byte_ns = last_byte_ns;
    exchange.body_size = body_size;
    return true;
  }
  return false;
}

void HttpDirection::complete_exchange(OpenMessage& open) {
  if (!complete_exchange(open.exchange, open.last.time_ns, open.body_size) &&
      open.unanswerable == Incomplete::kNo) {
    open.unanswerable = Incomplete::kGap;
  }
}

// What answers it cannot be distinguished from what answers others.
void HttpDirection::lose_response(const Exchange& exchange) {
  engine_.emitter_.lose_response(context_.identity, exchange.number, Incomplete::kGap);
  engine_.meter_unanswered(exchange.row, {Orphan::Kind::kResponseNotCaptured, Incomplete::kGap});
}

// The least that a request of this client takes, as far as is known.
void HttpDirection::note_size(size_t size) {
  if (http_.smallest_request == 0 || size < http_.smallest_request) {
    http_.smallest_request = static_cast<uint16_t>(std::min<size_t>(size, UINT16_MAX));
  }
}

// `length` bytes may have held requests that were not seen.
void HttpDirection::note_unseen(uint64_t length) {
  uint16_t& bytes = http_.unseen_bytes;
  bytes = static_cast<uint16_t>(std::min<uint64_t>(bytes + length, kUnseenMax));
}

// The request that was cut is one of those that the bytes may have held.
void HttpDirection::note_cut_request(uint64_t length) {
  if (http_.smallest_request == 0) note_size(length);
  if (http_.unseen_answers < UINT8_MAX) http_.unseen_answers++;
}

// Bytes between messages: the rest of one that was not seen.
void HttpDirection::note_skipped() {
  if (http_.unseen_bytes > 0 && http_.unseen_bytes < kRequestMin && !serves()) {
    http_.unseen_bytes = kRequestMin;
  }
}

// How many requests may wait for their responses, at most: those that were seen, and as many as
// fit where bytes are missing, if none is much smaller than the smallest one seen.
uint32_t HttpDirection::outstanding_max() const {
  uint32_t requests = http_.exchange_count;
  if (http_.unseen_bytes == kUnseenMax) return UINT32_MAX;
  if (http_.unseen_bytes >= kRequestMin) {
    const uint32_t least = http_.smallest_request == 0 ? kRequestMin : http_.smallest_request;
    requests += std::max(1u, 4u * http_.unseen_bytes / (3u * least));
  }
  return requests - std::min<uint32_t>(requests, http_.unseen_answers);
}

void HttpDirection::be_certain() {
  http_.unseen_bytes = 0;
  http_.unseen_answers = 0;
}

// A request begins while others wait, or after a loss. Returns whether all that came before it was
// answered though something was lost, if its client waits for each response.
bool HttpDirection::begins_alone(const SegmentMeta& first, bool uncertain) {
  ExchangeRing ring = exchanges();
  if (!ring.empty() && first.acknowledged != 0) {
    // The same acknowledgment twice: the second did not wait for the response to the first.
    const bool same = ring.back().sent_ack == first.acknowledged;
    http_.pipelines |= same || !uncertain;
    http_.surely_pipelines |= same && !here_.lossy;
  }
  if (!uncertain) return false;
  const bool quiet = was_quiet(first.time_ns);
  if (!quiet && (http_.pipelines || (!http_.waits && outstanding_max() > 0))) return false;
  for (uint32_t i = 0; i < ring.size(); i++) lose_response(ring.at(i));
  ring.clear();
  be_certain();
  if (quiet) peer().order_lost = false;
  return true;
}

// Whether nothing can be under way when a request begins: the latest response ended long ago, and
// no request came since.
bool HttpDirection::was_quiet(int64_t now_ns) {
  ExchangeRing ring = exchanges();
  if (here_.order_lost || peer().phase != HttpPhase::kStart || peer().quiet_since == 0)
    return false;
  const auto since = [this](int64_t time_ns) {
    return static_cast<int8_t>(quiet_clock(time_ns) - peer().quiet_since);
  };
  return since(now_ns) >= kQuietSteps && (ring.empty() || since(ring.back().last_byte_ns) <= 0);
}

void HttpDirection::count_unpaired(int64_t last_byte_ns) {
  engine_.counters_.add(ShardCounter::unpaired);
  here_.quiet_since = quiet_clock(last_byte_ns);
}

// The request that a response starting at `start_offset` of its stream answers, made the front of
// the ring; nullptr when that is not known. In order, unless something was lost in front of the
// response or of the request. Once for each response: one whose request is not known is counted
// here as an answer to one of those that wait.
Exchange* HttpDirection::find_exchange(uint64_t start_offset, const SegmentMeta& first,
                                       uint16_t status) {
  ExchangeRing ring = exchanges();
  if (!ring.empty() && !here_.order_lost && !ring.front().after_loss) [[likely]] {
    return ring.front().side == side_ ? nullptr : &ring.front();
  }
  return find_exchange_after_loss(start_offset, first, status < 200 && status != 101);
}

// Whether a response that comes, wherever it begins, answers the only request that waits: all that
// came before that was answered, and no byte was ever lost. What stands between is rubbish: a body
// that is longer than announced, or that of an interim response.
bool HttpDirection::answers_only_one() {
  ExchangeRing ring = exchanges();
  return ring.size() == 1 && ring.front().alone && ring.front().side != side_ && !http_.pipelines &&
         !here_.lossy && !peer().lossy;
}

// After a loss only a request that began alone has a response: the one that starts where the
// client had received all.
Exchange* HttpDirection::find_exchange_after_loss(uint64_t start_offset, const SegmentMeta& first,
                                                  bool interim) {
  ExchangeRing ring = exchanges();
  if (!ring.empty()) {
    Exchange& front = ring.front();
    if (front.side == side_) return nullptr;
    const bool in_place = front.sent_ack == start_offset;
    if (front.alone && !http_.pipelines && (in_place || answers_only_one())) {
      const auto begun =
          static_cast<int32_t>(static_cast<uint32_t>(first.acknowledged) - front.start_low);
      if (first.acknowledged == 0 || begun > 0) {
        here_.order_lost = front.after_loss = false;
        return &front;
      }
      // The server had not got the request when it answered: it answered an earlier one.
      http_.pipelines |= in_place;
    }
  }
  here_.order_lost = true;
  constexpr uint32_t kLookedAt = 8;  // of the oldest: few clients have more under way
  head_waits_ = false;
  for (uint32_t i = 0; i < std::min(ring.size(), kLookedAt); i++) {
    head_waits_ |= ring.at(i).method == RequestMethodKind::kHead;
  }
  if (!interim) note_answer_to_any();
  return nullptr;
}

// A response came to one of the requests that may wait, seen or not.
void HttpDirection::note_answer_to_any() {
  ExchangeRing ring = exchanges();
  const bool none_waits = outstanding_max() == 0;
  if (none_waits && ring.empty() && http_.next_exchange > 0 && http_.streams[0].lossy &&
      http_.streams[1].lossy) {
    http_.pipelines = true;  // a request that seemed to begin alone did not
  }
  if (!ring.empty()) {
    lose_response(ring.front());
    ring.pop_front();
    if (none_waits) http_.unseen_answers--;
  } else if (!none_waits && http_.unseen_answers < UINT8_MAX) {
    http_.unseen_answers++;
  }
}

// Bytes of a stream are missing, and no message of known length has them all.
void HttpDirection::note_gap(uint64_t length, bool message_begins) {
  if (!serves()) {
    note_unseen(length);
  } else if (message_begins && http_.unseen_answers < UINT8_MAX) {
    http_.unseen_answers++;
  }
}

// A response can not wait any longer for the request that it answers, of this side: the connection
// is over, or there is no room. So the line of the request comes first, with what was captured of
// it. What may still come of its body is passed over, because its end is known.
void HttpDirection::give_out_request() {
  if (end_broken_request() || here_.open == nullptr || here_.open->given_out) return;
  OpenMessage& open = *here_.open;
  const Incomplete cause =
      context_.ending == Incomplete::kNo ? Incomplete::kLimit : context_.ending;
  if (here_.phase == HttpPhase::kHead) {
    if (open.strict || may_begin_response(open.head.text())) return;
    if (complete_http09()) return;
    interrupt_head(cause);
    start_search(false);
    return;
  }
  const bool in_body =
      here_.phase == HttpPhase::kBodyLength || here_.phase == HttpPhase::kBodyChunked;
  if (!in_body || open.direction != MessageDirection::kRequest) return;
  const bool without_body =
      open.expects_continue && open.answer == ExpectAnswer::kFinal && open.undecided.size == 0;
  if (open.cause == Incomplete::kNo && !without_body) open.cause = cause;
  const uint64_t to_come =
      here_.phase == HttpPhase::kBodyLength && !without_body ? open.remaining : 0;
  open.missing += to_come;
  open.body_size += to_come;
  complete_exchange(open);
  emit_open_message(open.headers_cut);
  open.missing -= to_come;
  open.body_size -= to_come;
  open.body.release(engine_.pool_);
  open.body_given_up = true;
  open.given_out = true;
}

void HttpDirection::describe_request(Message& message, const Exchange* exchange,
                                     int64_t first_byte_ns) {
  if (exchange == nullptr) {
    count_unpaired(first_byte_ns);
    return;
  }
  message.exchange = exchange->number;
  message.has_latency = exchange->complete;
  message.latency_ns = first_byte_ns - exchange->last_byte_ns;
  message.request_body_size = exchange->body_size;
  if (!exchange->text) return;
  if (engine_.settings_.client.follow_headers()) message.client = exchange->text.client();
  message.request_method = exchange->text.method();
  message.request_target = exchange->text.target();
  message.request_host = exchange->text.host();
}

// The open response has the exchange, if one was found. With its final response the exchange waits
// no longer, and what the response's line will say of the request moves to the open message.
void HttpDirection::take_exchange(Exchange* exchange, bool is_final) {
  if (exchange == nullptr) return;
  OpenMessage& open = *here_.open;
  open.exchange = exchange->number;
  open.has_request_time = exchange->complete;
  open.request_last_ns = exchange->last_byte_ns;
  if (!is_final) return;
  open.request_body_size = exchange->body_size;
  open.row = exchange->row;
  open.request_first_ns = exchange->first_byte_ns;
  open.request_text = std::exchange(exchange->text, {});
  exchanges().pop_front();
}

}  // namespace tcp_sniffer
