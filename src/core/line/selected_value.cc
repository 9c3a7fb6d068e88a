// SelectedLineWriter: the values of fields, as JSON.

#include <cstring>

#include "core/base/base64.h"
#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/line/connection_text.h"
#include "core/line/list_text.h"
#include "core/line/selected_line.h"
#include "core/message/body_text.h"
#include "core/net/community_id.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

using Kind = FieldValue::Kind;

constexpr std::string_view kConnectionIdText = "\"0123456789abcdef\"";

}  // namespace

bool SelectedLineWriter::append_value(const Column& column, const FieldValue& value,
                                      const Message& message, LineSink& sink) {
  char* out = nullptr;
  switch (value.kind) {
    case Kind::kAbsent:
      return false;
    case Kind::kTime:
      out = sink.reserve(kShortPartMax);
      *out++ = '"';
      out = time_.write(out, value.ns);
      *out++ = '"';
      break;
    case Kind::kNumber:
      out = write_unsigned(sink.reserve(kShortPartMax), value.number);
      break;
    case Kind::kMilliseconds:
      out = write_milliseconds(sink.reserve(kShortPartMax), value.ns);
      break;
    case Kind::kText:
      append_text(column, value.text, sink);
      return true;
    case Kind::kWord:
      append_word(value.text, sink);
      return true;
    case Kind::kAddress:
      out = sink.reserve(kShortPartMax);
      *out++ = '"';
      out = write_ip(out, *value.ip, value.mapped_on_wire);
      *out++ = '"';
      break;
    case Kind::kFlag:
      append_verbatim("true", sink);
      return true;
    case Kind::kOther:
      return append_other(column, message, sink);
  }
  sink.commit(out);
  return true;
}

void SelectedLineWriter::append_text(const Column& column, std::string_view text, LineSink& sink) {
  if (strings_.write_utf8(text, sink)) return;
  strings_.write_latin1(text, sink);
  note_latin1(column);
}

void SelectedLineWriter::append_word(std::string_view word, LineSink& sink) {
  append_verbatim("\"", sink);
  append_verbatim(word, sink);
  append_verbatim("\"", sink);
}

bool SelectedLineWriter::append_other(const Column& column, const Message& message,
                                      LineSink& sink) {
  switch (column.ref.field) {
    case Field::kConnectionId: {
      char* out = sink.reserve(kShortPartMax);
      std::memcpy(out, kConnectionIdText.data(), kConnectionIdText.size());
      write_hex16(out + 1, message.connection_id);
      sink.commit(out + kConnectionIdText.size());
      return true;
    }
    case Field::kReceiver:
      sink.commit(write_endpoint(sink.reserve(kShortPartMax), message.receiver));
      return true;
    case Field::kDestination:
      sink.commit(write_endpoint(sink.reserve(kShortPartMax), message.destination));
      return true;
    case Field::kProxied:
      append_proxied(*message.proxied, sink);
      return true;
    case Field::kInterface:
      if (message.link_id >= options_.link_names.size()) return false;
      append_text(column, options_.link_names[message.link_id], sink);
      return true;
    case Field::kCommunityId: {
      char* out = sink.reserve(kShortPartMax);
      *out++ = '"';
      out = write_community_id(out, message.receiver, message.destination);
      *out++ = '"';
      sink.commit(out);
      return true;
    }
    case Field::kHeaders:
    case Field::kContentType:
      return message.protocol.empty() && append_headers(column, message.headers, sink);
    case Field::kTrailers:
      return !message.trailers.empty() && append_headers(column, message.trailers, sink);
    case Field::kRawHeaders:
      if (!message.protocol.empty()) return false;
      scratch_.clear();
      headers_.write(message.headers, column.ref.name, scratch_, latin1_);
      headers_.write_raw(message.headers, sink);
      return true;
    case Field::kBody:
      return append_body(message, sink);
    case Field::kBodyEncoding:
      return append_body_encoding(message, sink);
    case Field::kBodyGaps:
      if (message.body_gaps.empty()) return false;
      append_body_gaps(message.body_gaps, sink);
      return true;
    case Field::kAnomalyList:
      if (!message.anomalies.any()) return false;
      append_anomalies(message.anomalies, sink);
      return true;
    default:
      return false;
  }
}

bool SelectedLineWriter::append_headers(const Column& column, std::span<const HeaderField> fields,
                                        LineSink& sink) {
  if (column.ref.header.empty()) {
    headers_.write(fields, column.ref.name, sink, latin1_);
    return true;
  }
  switch (headers_.write_values(fields, column.ref.header, sink)) {
    case HeaderObjectWriter::Written::kNothing:
      return false;
    case HeaderObjectWriter::Written::kLatin1:
      note_latin1(column);
      return true;
    case HeaderObjectWriter::Written::kUtf8:
      return true;
  }
  return false;
}

bool SelectedLineWriter::append_body(const Message& message, LineSink& sink) {
  if (!message.body_kept) return false;
  if (format_ == LineOptions::kFramed) {
    if (!options_.by_exchange) return false;
    sink.commit(write_unsigned(sink.reserve(kShortPartMax), framed_bytes(message).size()));
    return true;
  }
  if (message.body_binary) return false;
  if (strings_.write_utf8(body_text(message), sink)) return true;
  if (!options_.binary_base64) return false;
  append_verbatim("\"", sink);
  char* out = sink.reserve(base64_size(message.body.size()));
  sink.commit(write_base64(out, message.body));
  append_verbatim("\"", sink);
  return true;
}

bool SelectedLineWriter::append_body_encoding(const Message& message, LineSink& sink) const {
  if (!message.body_kept) return false;
  const bool framed = format_ == LineOptions::kFramed;
  const bool text = !message.body_binary && is_utf8(body_text(message));
  if (text && !framed) return false;
  append_word(text                                                        ? "utf8"
              : options_.binary_base64 && !framed && !message.body_binary ? "base64"
                                                                          : "binary",
              sink);
  return true;
}

// The bytes of the body as they stand behind a frame's JSON.
std::string_view SelectedLineWriter::framed_bytes(const Message& message) {
  if (!message.body_kept) return {};
  const std::string_view body = body_text(message);
  return is_utf8(body) ? body : message.body;
}

}  // namespace tcp_sniffer
