#include "core/line/selected_line.h"

#include <algorithm>
#include <cstring>

#include "core/base/base64.h"
#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/line/connection_text.h"
#include "core/line/framed_line.h"
#include "core/line/list_text.h"
#include "core/line/table_cell.h"
#include "core/message/body_text.h"
#include "core/net/community_id.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

using Kind = FieldValue::Kind;

// A number, a time or a pair of endpoints never needs more.
constexpr size_t kShortPartMax = 256;

constexpr std::string_view kConnectionIdText = "\"0123456789abcdef\"";

// Bytes of the message's head may stand in the value.
bool is_of_head(const FieldRef& ref) {
  switch (ref.field) {
    case Field::kMethod:
    case Field::kPath:
    case Field::kHost:
    case Field::kArgument:
    case Field::kStatus:
    case Field::kStatusText:
    case Field::kHeaders:
    case Field::kRawHeaders:
    case Field::kTrailers:
    case Field::kContentType:
    case Field::kLatin1:
      return true;
    default:
      return false;
  }
}

}  // namespace

SelectedLineWriter::SelectedLineWriter(const LineOptions& options, const EscapeKernels& kernels,
                                       HeaderObjectWriter& headers)
    : options_(options),
      format_(options.format),
      headers_(headers),
      strings_(kernels),
      cells_(options.format == LineOptions::kCsv) {
  fixed_size_ = 2 * kShortPartMax;
  for (const std::string& name : options.link_names) {
    fixed_size_ = std::max(fixed_size_, escaped_size_max(name.size()));
  }
  fixed_size_ *= 2;
  for (const FieldRef& ref : options.select) {
    Column column{ref, "\"" + ref.name + "\":"};
    if (ref.field == Field::kBody) {
      body_copies_++;
    } else if (is_of_head(ref)) {
      head_copies_++;
    }
    // The name again in `latin1`.
    fixed_size_ += 2 * column.key.size() + kShortPartMax;
    columns_.push_back(std::move(column));
  }
}

std::string SelectedLineWriter::head(const std::vector<FieldRef>& select,
                                     LineOptions::Format format) {
  const TableCells cells(format == LineOptions::kCsv);
  std::string row;
  for (const FieldRef& ref : select) {
    if (!row.empty()) row += cells.separator();
    cells.append_name(ref.name, row);
  }
  return row.append(cells.row_end());
}

void SelectedLineWriter::write(const Message& message, LineSink& sink) {
  latin1_.clear();
  if (is_table()) return write_row(message, sink);
  if (format_ == LineOptions::kFramed) return write_frame(message, sink);
  write_object(message, sink);
  append_verbatim("\n", sink);
}

void SelectedLineWriter::write_frame(const Message& message, LineSink& sink) {
  const FramedMessage frame(sink);
  write_object(message, sink);
  std::string_view body;
  for (const Column& column : columns_) {
    if (column.ref.field != Field::kBody || !message.body_kept) continue;
    if (value_of(column.ref, message).kind == Kind::kAbsent) continue;
    body = body_text(message);
    if (!is_utf8(body)) body = message.body;
  }
  frame.finish({body}, sink);
}

void SelectedLineWriter::write_object(const Message& message, LineSink& sink) {
  append_verbatim("{", sink);
  const size_t begin = sink.size();
  size_t latin1_at = 0;
  for (const Column& column : columns_) {
    const FieldValue value = value_of(column.ref, message);
    if (value.kind == Kind::kAbsent) continue;
    const size_t start = sink.size();
    if (column.ref.field == Field::kLatin1) {
      latin1_at = start;
      continue;
    }
    append_verbatim(column.key, sink);
    if (append_value(column, value, message, sink)) {
      append_verbatim(",", sink);
    } else {
      cut_line(sink, start);
    }
  }
  if (latin1_at > 0 && latin1_.size() > 0) insert_latin1(latin1_at, sink);
  if (sink.size() > begin) cut_line(sink, sink.size() - 1);
  append_verbatim("}", sink);
}

void SelectedLineWriter::write_row(const Message& message, LineSink& sink) {
  const char separator = cells_.separator();
  const size_t begin = sink.size();
  size_t latin1_at = 0;
  bool has_latin1 = false;
  for (const Column& column : columns_) {
    const FieldValue value = value_of(column.ref, message);
    const size_t start = sink.size();
    if (column.ref.field == Field::kLatin1 && value.kind != Kind::kAbsent) {
      latin1_at = start;
      has_latin1 = true;
    } else if (value.kind != Kind::kAbsent && append_value(column, value, message, sink)) {
      cells_.finish(start, sink);
    }
    append_verbatim({&separator, 1}, sink);
  }
  if (has_latin1 && latin1_.size() > 0) insert_latin1(latin1_at, sink);
  cut_line(sink, sink.size() - 1);
  if (sink.size() == begin) append_verbatim(cells_.empty_row(), sink);
  append_verbatim(cells_.row_end(), sink);
}

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
      out = write_ip(out, value.endpoint->ip, value.endpoint->mapped_on_wire);
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
      return format_ != LineOptions::kFramed && append_body(message, sink);
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
  if (!message.body_kept || message.body_binary) return false;
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

void SelectedLineWriter::note_latin1(const Column& column) {
  append_word(column.ref.name, latin1_);
  append_verbatim(",", latin1_);
}

// Its place is known before it is known what stands in it. Behind the place of an object's member
// stands no comma yet, behind that of a cell its separator.
void SelectedLineWriter::insert_latin1(size_t at, LineSink& sink) {
  const std::string_view names = latin1_.view();
  scratch_.clear();
  if (!is_table()) {
    const auto column = std::find_if(columns_.begin(), columns_.end(), [](const Column& each) {
      return each.ref.field == Field::kLatin1;
    });
    append_verbatim(column->key, scratch_);
  }
  const size_t start = scratch_.size();
  append_verbatim("[", scratch_);
  append_verbatim(names.substr(0, names.size() - 1), scratch_);
  append_verbatim("]", scratch_);
  if (is_table()) {
    cells_.finish(start, scratch_);
  } else {
    append_verbatim(",", scratch_);
  }
  const std::string_view text = scratch_.view();
  const size_t behind = sink.size() - at;
  char* end = sink.reserve(text.size());
  std::memmove(end - behind + text.size(), end - behind, behind);
  std::memcpy(end - behind, text.data(), text.size());
  sink.commit(end + text.size());
}

}  // namespace tcp_sniffer
