// SelectedLineWriter: the values of fields, as JSON.

#include <cstring>

#include "core/base/base64.h"
#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/field/visit_value.h"
#include "core/line/connection_text.h"
#include "core/line/list_text.h"
#include "core/line/selected_line.h"
#include "core/message/body_text.h"
#include "core/net/community_id.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kConnectionIdText = "\"0123456789abcdef\"";

}  // namespace

// What visit_value calls. `out` is where the value begins: kShortPartMax bytes are reserved there,
// and what stands before it is not committed yet. `kCell`: not JSON, but a cell of a table.
template <bool kCell>
struct SelectedLineWriter::ValueAppender {
  using Result = bool;

  SelectedLineWriter& writer;
  const Column& column;
  const Message& message;
  LineSink& sink;
  char* out;

  static bool absent() { return false; }
  bool number(uint64_t value) const { return commit(write_unsigned(out, value)); }
  bool milliseconds(int64_t ns) const { return commit(write_milliseconds(out, ns)); }
  bool time(int64_t ns) const { return commit(writer.put_time(out, ns)); }
  bool connection_id(uint64_t id) const {
    if (kCell) return commit(write_hex16(out, id));
    std::memcpy(out, kConnectionIdText.data(), kConnectionIdText.size());
    write_hex16(out + 1, id);
    return commit(out + kConnectionIdText.size());
  }
  bool address(const IpAddress& ip, bool mapped_on_wire) const {
    if (kCell) return commit(write_ip(out, ip, mapped_on_wire));
    *out = '"';
    char* end = write_ip(out + 1, ip, mapped_on_wire);
    *end = '"';
    return commit(end + 1);
  }
  bool flag(bool is_so) const {
    if (!is_so) return false;
    std::memcpy(out, "true", 4);
    return commit(out + 4);
  }
  bool word(std::string_view word) const {
    if (word.empty()) return false;
    sink.commit(out);
    if (!kCell) return append_word(word, sink);
    writer.append_text_cell(column, word, sink);
    return true;
  }
  bool text(std::string_view text) const {
    sink.commit(out);
    if (kCell) {
      writer.append_text_cell(column, text, sink);
    } else {
      writer.append_text(column, text, sink);
    }
    return true;
  }
  bool other() const {
    sink.commit(out);
    return kCell ? writer.append_other_cell(column, message, sink)
                 : writer.append_other(column, message, sink);
  }

 private:
  bool commit(char* end) const {
    sink.commit(end);
    return true;
  }
};

// At `out`, as ValueAppender's.
bool SelectedLineWriter::append_at(char* out, const Column& column, const Message& message,
                                   LineSink& sink) {
  return visit_value(column.ref, message, ValueAppender<false>{*this, column, message, sink, out});
}

bool SelectedLineWriter::append_cell(const Column& column, const Message& message, LineSink& sink) {
  char* out = sink.reserve(kShortPartMax);
  return visit_value(column.ref, message, ValueAppender<true>{*this, column, message, sink, out});
}

char* SelectedLineWriter::put_time(char* out, int64_t time_ns) {
  if (is_table()) return time_.write(out, time_ns);
  *out = '"';
  out = time_.write(out + 1, time_ns);
  *out = '"';
  return out + 1;
}

// Nearly every text is its cell; the others are made of their JSON.
void SelectedLineWriter::append_text_cell(const Column& column, std::string_view text,
                                          LineSink& sink) {
  if (strings_.write_plain(
          text, sink, [&](char* cell) { return cells_.finish_plain(cell, text.size(), sink); })) {
    return;
  }
  const size_t start = sink.size();
  append_text(column, text, sink);
  cells_.finish(start, sink);
}

bool SelectedLineWriter::append_other_cell(const Column& column, const Message& message,
                                           LineSink& sink) {
  if (!column.ref.header.empty() && message.protocol.empty()) {
    const std::span<const HeaderField> fields =
        column.ref.field == Field::kTrailers ? message.trailers : message.headers;
    const HeaderField* field = find_header(fields, column.ref.header);
    if (field == nullptr) return false;
    const auto next = static_cast<size_t>(field - fields.data()) + 1;
    if (!field->folded && find_header(fields, column.ref.header, next) == nullptr) {
      append_text_cell(column, field->value, sink);
      return true;
    }
  }
  const size_t start = sink.size();
  if (!append_other(column, message, sink)) return false;
  cells_.finish(start, sink);
  return true;
}

void SelectedLineWriter::append_text(const Column& column, std::string_view text, LineSink& sink) {
  if (strings_.write_utf8(text, sink)) return;
  strings_.write_latin1(text, sink);
  note_latin1(column);
}

// Absent when it is empty.
bool SelectedLineWriter::append_word(std::string_view word, LineSink& sink) {
  if (word.empty()) return false;
  append_verbatim("\"", sink);
  append_verbatim(word, sink);
  append_verbatim("\"", sink);
  return true;
}

// In the line of an exchange that of the requests.
bool SelectedLineWriter::append_interface(const Column& column, const Message& message,
                                          LineSink& sink) {
  const std::string_view name =
      options_.link_name(options_.by_exchange ? message.shared_link_id : message.link_id);
  if (name.empty()) return false;
  append_text(column, name, sink);
  return true;
}

bool SelectedLineWriter::append_other(const Column& column, const Message& message,
                                      LineSink& sink) {
  switch (column.ref.field) {
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
      return append_interface(column, message, sink);
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

// The bytes of the body as they stand after a frame's JSON.
std::string_view SelectedLineWriter::framed_bytes(const Message& message) {
  if (!message.body_kept) return {};
  const std::string_view body = body_text(message);
  return is_utf8(body) ? body : message.body;
}

}  // namespace tcp_sniffer
