// MessageLineWriter: the line of an exchange (`records: exchange`), and the parts of it that are
// written before the rest is known.

#include <cstring>

#include "core/base/number_text.h"
#include "core/field/field_words.h"
#include "core/line/framed_line.h"
#include "core/line/list_text.h"
#include "core/line/message_line.h"
#include "core/line/put_text.h"

namespace tcp_sniffer {

std::string_view MessageLineWriter::write_part(const Message& message, LineSink& sink) {
  if (form_ == Form::kSelected) return selected_.write_part(message, sink);
  if (form_ == Form::kPacked) {
    packed_.write(message, sink);
    return {};
  }
  if (form_ == Form::kPretty) {
    pretty_.write_part(message, sink);
    return {};
  }
  latin1_.clear();
  const size_t start = sink.size();
  if (message.direction == MessageDirection::kResponse) {
    char* out = put(sink.reserve(kFixedPartMax), ",\"timestamp\":\"");
    sink.commit(put(time_.write(out, message.first_byte_ns), "\""));
  }
  if (message.protocol.empty()) [[likely]] {
    append_start_line(message, sink);
    append_headers(message, sink);
  } else {
    append_command_line(message, sink);
  }
  // The first comma has the place of the brace.
  *(sink.reserve(0) - (sink.size() - start)) = '{';
  append_measures(message, message.has_latency && message.is_interim(), sink);
  append_losses(message, sink);
  if (message.anomalies.any()) [[unlikely]] {
    append_verbatim(",\"anomalies\":", sink);
    append_anomalies(message.anomalies, sink);
  }
  if (options_.extended) {
    if (message.link_id != message.shared_link_id) append_interface(message.link_id, sink);
    append_frames(message, sink);
  }
  if (latin1_.size() > 0) append_latin1(sink);
  std::string_view body;
  if (options_.format == LineOptions::kFramed) {
    body = append_framed_body(message, sink);
    if (message.body_kept) {
      char* out = put(sink.reserve(kFixedPartMax), ",\"bodyBytes\":");
      sink.commit(write_unsigned(out, body.size()));
    }
  } else if (message.body_kept) {
    append_body(message, sink);
  }
  append_verbatim("}", sink);
  return body;
}

void MessageLineWriter::append_orphan(Orphan orphan, LineSink& sink) {
  char* out = put(sink.reserve(kFixedPartMax), ",\"orphan\":\"");
  out = put_word(out, orphan_word(orphan.kind));
  if (orphan.cause != Incomplete::kNo) {
    out = put_word(put(out, ",\"orphanCause\":\""), incomplete_word(orphan.cause));
  }
  sink.commit(out);
}

// What stands once, in this order: timestamp, connectionId, exchange, receiver, destination,
// proxied, client, protocol, latencyMs, totalMs, orphan, orphanCause, interface, vlan, communityId,
// connectMs, latin1.
void MessageLineWriter::append_shared(const ExchangeParts& parts, LineSink& sink) {
  const Message& about = *parts.about;
  const Message* response = parts.response;
  const int64_t first_ns = parts.has_request() ? parts.request_first_ns : about.first_byte_ns;
  char* out = put(sink.reserve(kFixedPartMax), "{\"timestamp\":\"");
  out = time_.write(out, first_ns);
  const ConnectionText& connection =
      connections_.of(about.connection_id, about.receiver, about.destination);
  out = put(out, "\",\"connectionId\":\"");
  std::memcpy(out, connection.id.data(), ConnectionText::kIdSize);
  out = put(out + ConnectionText::kIdSize, "\"");
  if (about.exchange != kNoExchange) {
    out = write_unsigned(put(out, ",\"exchange\":"), about.exchange);
  }
  sink.commit(put_connection(put(out, ",\"receiver\":"), connection));
  if (about.proxied != nullptr) [[unlikely]] {
    append_verbatim(",\"proxied\":", sink);
    append_proxied(*about.proxied, sink);
  }
  if (about.client.is_known) [[unlikely]]
    append_client(about.client, sink);
  if (!about.protocol.empty()) [[unlikely]]
    append_protocol(about.protocol, sink);
  out = sink.reserve(kFixedPartMax);
  if (response != nullptr && response->has_latency) {
    out = write_milliseconds(put(out, ",\"latencyMs\":"), response->latency_ns);
  }
  if (response != nullptr && parts.has_request()) {
    out = put(out, ",\"totalMs\":");
    out = write_milliseconds(out, elapsed_ns(first_ns, response->last_byte_ns));
  }
  sink.commit(out);
  if (parts.orphan.kind != Orphan::Kind::kNo) append_orphan(parts.orphan, sink);
  if (!options_.extended) return;
  latin1_.clear();
  append_interface(about.shared_link_id, sink);
  append_capture(about, sink);
  if (latin1_.size() > 0) append_latin1(sink);
}

void MessageLineWriter::write_exchange(const ExchangeParts& parts, LineSink& sink) {
  if (form_ == Form::kSelected) return selected_.write_exchange(parts, sink);
  if (form_ == Form::kPacked) return packed_.write_exchange(parts, sink);
  if (form_ == Form::kPretty) return pretty_.write_exchange(parts, sink);
  if (options_.format == LineOptions::kFramed) {
    const FramedMessage frame(sink);
    const auto [request_body, response_body] = append_exchange(parts, sink);
    frame.finish({request_body, response_body}, sink);
  } else {
    append_exchange(parts, sink);
    append_verbatim("\n", sink);
  }
}

// The object. Returns the bodies of request and response that belong after it.
std::pair<std::string_view, std::string_view> MessageLineWriter::append_exchange(
    const ExchangeParts& parts, LineSink& sink) {
  append_shared(parts, sink);
  std::string_view request_body = parts.request_body;
  std::string_view response_body;
  if (parts.has_request()) append_verbatim(",\"request\":", sink);
  if (parts.request != nullptr) request_body = write_part(*parts.request, sink);
  append_verbatim(parts.request_text, sink);
  if (parts.interim != nullptr || !parts.interim_texts.empty()) {
    append_verbatim(",\"interim\":[", sink);
    append_verbatim(parts.interim_texts, sink);
    if (parts.interim != nullptr) write_part(*parts.interim, sink);
    append_verbatim("]", sink);
  }
  if (parts.response != nullptr) {
    append_verbatim(",\"response\":", sink);
    response_body = write_part(*parts.response, sink);
  }
  append_verbatim("}", sink);
  return {request_body, response_body};
}

}  // namespace tcp_sniffer
