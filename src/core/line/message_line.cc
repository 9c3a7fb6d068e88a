#include "core/line/message_line.h"

#include <cstring>

#include "core/base/base64.h"
#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/field/field_words.h"
#include "core/line/framed_line.h"
#include "core/line/list_text.h"
#include "core/line/put_text.h"
#include "core/message/body_text.h"
#include "core/net/community_id.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {

MessageLineWriter::MessageLineWriter(const LineOptions& options, const EscapeKernels& kernels)
    : options_(options),
      form_(form_of(options)),
      strings_(kernels),
      headers_(kernels),
      packed_(options_, headers_),
      pretty_(options.pretty, kernels),
      selected_(options_, kernels, headers_) {
  if (form_ == Form::kPacked) {
    bounds_.line_max = PackedRecordWriter::kSizeMax;
    bounds_.fixed_size += packed_.selected_size();
  }
  if (form_ != Form::kSelected) return;
  const size_t copies = selected_.head_copies();
  bounds_ = {copies, copies, selected_.body_copies(), kFixedSize + selected_.fixed_size(),
             SIZE_MAX};
}

MessageLineWriter::Form MessageLineWriter::form_of(const LineOptions& options) {
  if (options.format == LineOptions::kPacked) return Form::kPacked;
  if (!options.select.empty()) return Form::kSelected;
  return options.format == LineOptions::kFramed   ? Form::kFramed
         : options.format == LineOptions::kPretty ? Form::kPretty
                                                  : Form::kNdjson;
}

void MessageLineWriter::write(const Message& message, LineSink& sink) {
  switch (form_) {
    case Form::kNdjson:
      return write_ndjson(message, sink);
    case Form::kFramed:
      return write_framed(message, sink);
    case Form::kPacked:
      return packed_.write(message, sink);
    case Form::kPretty:
      return pretty_.write(message, sink);
    case Form::kSelected:
      return selected_.write(message, sink);
  }
}

void MessageLineWriter::write_unanswered(const Message& request, LineSink& sink) {
  if (options_.format == LineOptions::kPretty) pretty_.write_unanswered(request, sink);
}

void MessageLineWriter::write_ndjson(const Message& message, LineSink& sink) {
  append_fields(message, sink);
  if (message.body_kept) append_body(message, sink);
  append_verbatim("}\n", sink);
}

void MessageLineWriter::write_framed(const Message& message, LineSink& sink) {
  const FramedMessage frame(sink);
  append_fields(message, sink);
  const std::string_view body = append_framed_body(message, sink);
  append_verbatim("}", sink);
  frame.finish({body}, sink);
}

// Tells what the body is, which is returned: its bytes belong after the JSON.
std::string_view MessageLineWriter::append_framed_body(const Message& message, LineSink& sink) {
  if (!message.body_kept) return {};
  const std::string_view body = body_text(message);
  const bool text = is_utf8(body);
  append_verbatim(text ? ",\"bodyEncoding\":\"utf8\"" : ",\"bodyEncoding\":\"binary\"", sink);
  return text ? body : message.body;
}

void MessageLineWriter::append_fields(const Message& message, LineSink& sink) {
  latin1_.clear();
  append_identity(message, sink);
  if (!message.protocol.empty()) [[unlikely]] {
    append_protocol(message.protocol, sink);
    append_command_line(message, sink);
  } else if (message.part == 0) [[likely]] {
    append_start_line(message, sink);
    append_headers(message, sink);
  } else {
    append_part(message, sink);
  }
  append_measures(message, message.has_latency, sink);
  append_losses(message, sink);
  if (message.anomalies.any()) [[unlikely]] {
    append_verbatim(",\"anomalies\":", sink);
    append_anomalies(message.anomalies, sink);
  }
  if (options_.extended) {
    append_interface(message.link_id, sink);
    append_frames(message, sink);
    append_capture(message, sink);
  }
  if (latin1_.size() > 0) append_latin1(sink);
}

void MessageLineWriter::append_latin1(LineSink& sink) const {
  const std::string_view names = latin1_.view();
  append_verbatim(",\"latin1\":[", sink);
  append_verbatim(names.substr(0, names.size() - 1), sink);
  append_verbatim("]", sink);
}

void MessageLineWriter::append_identity(const Message& message, LineSink& sink) {
  char* out = put(sink.reserve(kFixedPartMax), "{\"timestamp\":\"");
  out = time_.write(out, message.first_byte_ns);
  const ConnectionText& connection =
      connections_.of(message.connection_id, message.receiver, message.destination);
  out = put(out, "\",\"connectionId\":\"");
  std::memcpy(out, connection.id.data(), ConnectionText::kIdSize);
  out += ConnectionText::kIdSize;
  if (message.exchange != kNoExchange) {
    out = write_unsigned(put(out, "\",\"exchange\":"), message.exchange);
    out = put(out, ",\"direction\":\"");
  } else {
    out = put(out, "\",\"direction\":\"");
  }
  const bool request = message.direction == MessageDirection::kRequest;
  out = request ? put(out, "request\",\"receiver\":") : put(out, "response\",\"receiver\":");
  sink.commit(put_connection(out, connection));
  if (message.proxied != nullptr) [[unlikely]] {
    append_verbatim(",\"proxied\":", sink);
    append_proxied(*message.proxied, sink);
  }
  if (message.client.is_known) [[unlikely]]
    append_client(message.client, sink);
}

void MessageLineWriter::append_client(const ClientAddress& client, LineSink& sink) {
  char* out = put(sink.reserve(kFixedPartMax), ",\"client\":\"");
  sink.commit(put(write_ip(out, client.ip), "\""));
}

void MessageLineWriter::append_text_field(std::string_view key, std::string_view text,
                                          std::string_view latin1_name, LineSink& sink) {
  append_verbatim(key, sink);
  if (strings_.write_utf8(text, sink)) return;
  strings_.write_latin1(text, sink);
  append_verbatim(latin1_name, latin1_);
}

void MessageLineWriter::append_protocol(std::string_view protocol, LineSink& sink) {
  append_verbatim(",\"protocol\":\"", sink);
  append_verbatim(protocol, sink);
  append_verbatim("\"", sink);
}

void MessageLineWriter::append_command_line(const Message& message, LineSink& sink) {
  if (message.direction == MessageDirection::kRequest) {
    append_text_field(",\"method\":", message.method, "\"method\",", sink);
    append_text_field(",\"argument\":", message.target, "\"argument\",", sink);
  } else {
    append_text_field(",\"status\":", message.method, "\"status\",", sink);
    append_text_field(",\"statusText\":", message.reason, "\"statusText\",", sink);
  }
}

void MessageLineWriter::append_start_line(const Message& message, LineSink& sink) {
  if (message.direction == MessageDirection::kRequest) {
    append_text_field(",\"method\":", message.method, "\"method\",", sink);
    append_text_field(",\"path\":", message.target, "\"path\",", sink);
  } else {
    if (message.status != 0) [[likely]] {
      char* out = put(sink.reserve(kFixedPartMax), ",\"statusCode\":");
      sink.commit(write_unsigned(out, message.status));
    }
    append_text_field(",\"statusText\":", message.reason, "\"statusText\",", sink);
  }
  append_verbatim(message.http09               ? ",\"httpVersion\":\"0.9\",\"headers\":"
                  : message.version_minor == 0 ? ",\"httpVersion\":\"1.0\",\"headers\":"
                                               : ",\"httpVersion\":\"1.1\",\"headers\":",
                  sink);
}

void MessageLineWriter::append_headers(const Message& message, LineSink& sink) {
  headers_.write(message.headers, "headers", sink, latin1_);
  if (options_.raw_headers) {
    append_verbatim(",\"rawHeaders\":", sink);
    headers_.write_raw(message.headers, sink);
  }
  if (!message.trailers.empty()) append_trailers(message, sink);
}

void MessageLineWriter::append_trailers(const Message& message, LineSink& sink) {
  append_verbatim(",\"trailers\":", sink);
  headers_.write(message.trailers, "trailers", sink, latin1_);
}

// What of the head is in the line of a part.
void MessageLineWriter::append_part(const Message& message, LineSink& sink) {
  char* out = put(sink.reserve(kFixedPartMax), ",\"part\":");
  out = write_unsigned(out, message.part);
  sink.commit(message.last_part ? put(out, ",\"lastPart\":true") : out);
  if (message.part == 1) {
    append_start_line(message, sink);
    append_headers(message, sink);
  } else if (!message.trailers.empty()) {
    append_trailers(message, sink);
  }
}

void MessageLineWriter::append_measures(const Message& message, bool with_latency, LineSink& sink) {
  char* out = put(sink.reserve(kFixedPartMax), ",\"bodySize\":");
  out = write_unsigned(out, message.body_size);
  if (message.body_truncated) out = put(out, ",\"bodyTruncated\":true");
  if (message.body_withheld) out = put(out, ",\"bodyRedacted\":\"unreadable\"");
  if (!message.content_decoded.empty()) {
    out = put_word(put(out, ",\"contentDecoded\":\""), message.content_decoded);
  }
  if (message.content_decode_error != ContentDecodeError::kNo) {
    out = put_word(put(out, ",\"contentDecodeError\":\""),
                   content_decode_error_word(message.content_decode_error));
  }
  out = put(out, ",\"durationMs\":");
  out = write_milliseconds(out, elapsed_ns(message.first_byte_ns, message.last_byte_ns));
  if (with_latency) {
    out = write_milliseconds(put(out, ",\"latencyMs\":"), message.latency_ns);
  }
  sink.commit(out);
}

void MessageLineWriter::append_losses(const Message& message, LineSink& sink) {
  char* out = sink.reserve(kFixedPartMax);
  if (message.incomplete != Incomplete::kNo) {
    out = put_word(put(out, ",\"incomplete\":\""), incomplete_word(message.incomplete));
  }
  if (message.missing_bytes != 0) {
    out = write_unsigned(put(out, ",\"missingBytes\":"), message.missing_bytes);
  }
  sink.commit(out);
  if (!message.body_gaps.empty()) {
    append_verbatim(",\"bodyGaps\":", sink);
    append_body_gaps(message.body_gaps, sink);
  }
  if (message.headers_incomplete) append_verbatim(",\"headersIncomplete\":true", sink);
  if (message.after_gap) append_verbatim(",\"afterGap\":true", sink);
}

// With fields: extended: the interface, then what its frames tell of the message, then what the
// capture tells of the connection.
void MessageLineWriter::append_interface(uint16_t link_id, LineSink& sink) {
  const std::string_view name = options_.link_name(link_id);
  if (!name.empty()) append_text_field(",\"interface\":", name, "\"interface\",", sink);
}

void MessageLineWriter::append_frames(const Message& message, LineSink& sink) {
  char* out = sink.reserve(kFixedPartMax);
  if (message.first_frame != 0) {
    out = write_unsigned(put(out, ",\"firstFrame\":"), message.first_frame);
    out = write_unsigned(put(out, ",\"lastFrame\":"), message.last_frame);
  }
  sink.commit(write_unsigned(put(out, ",\"headersSize\":"), message.headers_size));
}

void MessageLineWriter::append_capture(const Message& message, LineSink& sink) {
  char* out = sink.reserve(kFixedPartMax);
  if (message.vlan != 0) out = write_unsigned(put(out, ",\"vlan\":"), message.vlan);
  out = put(out, ",\"communityId\":\"");
  out = put(write_community_id(out, message.receiver, message.destination), "\"");
  if (message.connect_ns >= 0) {
    out = write_milliseconds(put(out, ",\"connectMs\":"), message.connect_ns);
  }
  sink.commit(out);
}

void MessageLineWriter::append_body(const Message& message, LineSink& sink) {
  if (message.body_binary) return append_verbatim(",\"bodyEncoding\":\"binary\"", sink);
  const size_t start = sink.size();
  const std::string_view text = body_text(message);
  append_verbatim(",\"body\":", sink);
  if (strings_.write_utf8(text, sink)) return;
  cut_line(sink, start);
  if (!options_.binary_base64) return append_verbatim(",\"bodyEncoding\":\"binary\"", sink);
  append_verbatim(",\"bodyEncoding\":\"base64\",\"body\":\"", sink);
  char* out = sink.reserve(base64_size(message.body.size()) + 1);
  sink.commit(put(write_base64(out, message.body), "\""));
}

}  // namespace tcp_sniffer
