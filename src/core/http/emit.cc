// HttpEngine: putting finished messages together for the output.

#include <algorithm>

#include "core/base/text_encoding.h"
#include "core/http/engine.h"

namespace tcp_sniffer {

void HttpEngine::take_start_line(Message& message, const HttpHead& head) {
  message.direction = head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                                 : MessageDirection::kResponse;
  message.version_minor = head.start.version_minor;
  message.http09 = head.http09;
  message.method = head.start.method;
  message.target = head.start.target;
  message.status = head.start.status;
  message.reason = head.start.reason;
}

// A message whose parts the parser holds. With `partial_head` its header section is not whole:
// what is there of it is given out. The head is read again: keeping its fields while the body
// comes would cost more than the second reading.
void HttpEngine::emit_parser(HttpContext& context, Side side, bool partial_head) {
  HttpParser& parser = *stream(context, side).parser;
  Message message;
  HttpHead head;
  // The same bytes were taken for the head of a message in this direction.
  HeadProgress progress;
  progress.ended = true;
  progress.cut = parser.progress.cut;
  if (parser.direction == MessageDirection::kResponse) {
    progress.context = StartContext::kResponseDue;
  }
  const HeadStatus status = heads_.read(parser.head.text(), progress, head);
  if (status != HeadStatus::kComplete && status != HeadStatus::kTooLarge) {
    heads_.read_partial(parser.head.text(), progress, head);
  }
  take_start_line(message, head);
  message.http09 |= parser.http09;
  message.headers = head.fields;
  message.anomalies = head.anomalies;
  message.anomalies.add(parser.anomalies);
  message.anomalies.add(parser.chunked.anomalies());
  HttpHead trailer_fields;
  if (parser.trailers.size > 0) {
    HeadProgress trailer_progress;
    if (trailers_.read_fields(parser.trailers.text(), trailer_progress, trailer_fields) ==
        HeadStatus::kIncomplete) {
      trailers_.read_partial_fields(parser.trailers.text(), trailer_fields);
    }
    message.trailers = trailer_fields.fields;
    message.anomalies.add(trailer_fields.anomalies);
    if (!trailer_fields.unlisted.empty()) {
      limit_reached(context, side, "maxHeaders", settings_.headers_max);
      if (parser.cause == Incomplete::kNo) parser.cause = Incomplete::kLimit;
      partial_head = true;
    }
  }
  if (parser.body_given_up) limit_reached(context, side, "memoryLimit", pool_.limit_bytes());
  message.body_kept = settings_.body_max > 0;
  message.body = parser.body.text();
  message.body_size = parser.body_size;
  message.body_truncated = parser.body_truncated;
  message.body_binary = parser.body_binary;
  message.body_cut_is_none =
      parser.behind_cut_size > 0 &&
      cut_character_is_none(message.body, {parser.behind_cut.data(), parser.behind_cut_size});
  message.body_gaps = {reinterpret_cast<const BodyGap*>(parser.gaps.memory.data),
                       parser.gaps.size / sizeof(BodyGap)};
  message.incomplete = parser.cause;
  message.missing_bytes = parser.missing;
  message.headers_incomplete = partial_head;
  message.after_gap = parser.after_gap;
  message.exchange = parser.exchange;
  message.first_byte_ns = parser.first.time_ns;
  message.last_byte_ns = parser.last.time_ns;
  message.first_frame = parser.first.frame;
  message.last_frame = parser.last.frame;
  message.headers_size = static_cast<uint32_t>(parser.head.size);
  if (message.direction == MessageDirection::kResponse) {
    message.has_latency = parser.has_request_time;
    message.latency_ns = parser.first.time_ns - parser.request_last_ns;
    message.request_body_size = parser.request_body_size;
    const std::string_view text(reinterpret_cast<const char*>(parser.request_text.data),
                                parser.request_text.capacity);
    message.request_method = text.substr(0, parser.request_method_size);
    message.request_target = text.substr(parser.request_method_size, parser.request_target_size);
    message.request_host = text.substr(
        size_t{parser.request_method_size} + parser.request_target_size, parser.request_host_size);
    if (message.exchange == kNoExchange) count_unpaired(context, side, message.last_byte_ns);
  }
  emitter_.emit(context.identity, side, message);
}

// Requests that no response will answer any more.
void HttpEngine::emit_unanswered(HttpContext& context) {
  ExchangeRing ring(context.http, pool_);
  if (!settings_.keep_request_text) return;
  for (uint32_t i = 0; i < ring.size(); i++) {
    const Exchange& exchange = ring.at(i);
    if (!exchange.text || !context.identity.receiver_known) continue;
    Message request;
    const std::string_view text(reinterpret_cast<const char*>(exchange.text.data),
                                exchange.text.capacity);
    request.method = text.substr(0, exchange.method_size);
    request.target = text.substr(exchange.method_size, exchange.target_size);
    request.request_host =
        text.substr(size_t{exchange.method_size} + exchange.target_size, exchange.host_size);
    request.body_size = exchange.body_size;
    request.first_byte_ns = exchange.first_byte_ns;
    request.exchange = exchange.number;
    emitter_.emit_unanswered(context.identity, request);
  }
}

}  // namespace tcp_sniffer
