// HttpDirection: putting finished messages together for the output.

#include "core/base/text_encoding.h"
#include "core/http/direction.h"

namespace tcp_sniffer {

void HttpDirection::take_start_line(Message& message, const HttpHead& head) {
  message.direction = head.start.kind == StartLineKind::kRequest ? MessageDirection::kRequest
                                                                 : MessageDirection::kResponse;
  message.version_minor = head.start.version_minor;
  message.http09 = head.http09;
  message.method = head.start.method;
  message.target = head.start.target;
  message.status = head.start.status;
  message.reason = head.start.reason;
}

// The head is read again: keeping its fields while the body comes would cost more than the second
// reading.
void HttpDirection::take_open_head(Message& message) {
  const OpenMessage& open = *here_.open;
  HttpHead head;
  // The same bytes were taken for the head of a message in this direction.
  HeadProgress progress;
  progress.ended = true;
  progress.cut = open.progress.cut;
  if (open.direction == MessageDirection::kResponse) {
    progress.context = StartContext::kResponseDue;
  }
  const HeadStatus status = engine_.heads_.read(open.head.text(), progress, head);
  if (status != HeadStatus::kComplete && status != HeadStatus::kTooLarge) {
    engine_.heads_.read_partial(open.head.text(), progress, head);
  }
  take_start_line(message, head);
  message.http09 |= open.http09;
  message.headers = head.fields;
  message.anomalies = head.anomalies;
  message.anomalies.add(open.anomalies);
  message.anomalies.add(open.chunked.anomalies());
}

// What is known of the message besides its head and its body.
void HttpDirection::take_open_state(Message& message) {
  const OpenMessage& open = *here_.open;
  message.body_kept = engine_.settings_.body_max > 0 && !open.body_unwanted;
  message.body_binary = open.body_binary;
  message.after_gap = open.after_gap;
  message.exchange = open.exchange;
  message.first_byte_ns = open.first.time_ns;
  message.last_byte_ns = open.last.time_ns;
  message.first_frame = open.first.frame;
  message.last_frame = open.last.frame;
  message.head = open.head.text();
  message.headers_size = static_cast<uint32_t>(open.head.size);
  if (message.direction == MessageDirection::kRequest) return;
  message.client = client_of_response();
  message.has_latency = open.has_request_time;
  message.latency_ns = open.first.time_ns - open.request_last_ns;
  message.request_body_size = open.request_body_size;
  message.request_method = open.request_text.method();
  message.request_target = open.request_text.target();
  message.request_host = open.request_text.host();
}

// The open message, as far as it came, or what was not given out of it in parts. With
// `partial_head` its header section is not whole: what is there of it is given out.
void HttpDirection::emit_open_message(bool partial_head) {
  OpenMessage& open = *here_.open;
  Message message;
  take_open_head(message);
  take_open_state(message);
  HttpHead trailer_fields;
  if (open.trailers.size > 0) {
    HeadProgress trailer_progress;
    if (engine_.trailers_.read_fields(open.trailers.text(), trailer_progress, trailer_fields) ==
        HeadStatus::kIncomplete) {
      engine_.trailers_.read_partial_fields(open.trailers.text(), trailer_fields);
    }
    message.trailers = trailer_fields.fields;
    message.anomalies.add(trailer_fields.anomalies);
    if (!trailer_fields.unlisted.empty()) {
      limit_reached("maxHeaders", engine_.settings_.headers_max);
      if (open.cause == Incomplete::kNo) open.cause = Incomplete::kLimit;
      partial_head = true;
    }
  }
  if (open.body_given_up) limit_reached("memoryLimit", engine_.pool_.limit_bytes());
  message.body = open.body.text();
  message.body_memory = &open.body.memory;
  message.body_size = open.body_size;
  message.body_truncated = open.body_truncated;
  message.body_cut_is_none =
      open.behind_cut_size > 0 &&
      cut_character_is_none(message.body, {open.behind_cut.data(), open.behind_cut_size});
  message.body_gaps = {reinterpret_cast<const BodyGap*>(open.gaps.memory.data),
                       open.gaps.size / sizeof(BodyGap)};
  message.incomplete = open.cause;
  message.missing_bytes = open.missing;
  message.headers_incomplete = partial_head;
  message.unanswerable = open.unanswerable;
  if (message.direction == MessageDirection::kResponse && message.exchange == kNoExchange) {
    count_unpaired(message.last_byte_ns);
  }
  if (open.parts != nullptr) [[unlikely]]
    take_last_part(message);
  engine_.emitter_.emit(context_.identity, side_, message);
  if (engine_.settings_.meter != nullptr) [[unlikely]]
    meter(message, open.row, open.request_first_ns);
}

// A message that was given out; `row` is kNoRow when it is no end of an exchange.
void HttpDirection::meter(const Message& message, uint32_t row, int64_t request_first_ns) const {
  if (row == RequestSeries::kNoRow) return;
  if (message.direction == MessageDirection::kRequest) {
    engine_.settings_.meter->add_request(row, message.body_size);
  } else {
    engine_.settings_.meter->add_response(
        row, message.status, message.last_byte_ns - request_first_ns, message.body_size);
  }
}

}  // namespace tcp_sniffer
