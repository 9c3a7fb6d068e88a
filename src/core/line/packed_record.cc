#include "core/line/packed_record.h"

#include <algorithm>

#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/line/packed_build.h"
#include "core/message/body_text.h"

namespace tcp_sniffer {
namespace {

using packed::Fixed;
using packed::HeaderEntry;
using packed::little_endian;
using packed::Part;
using packed::Place;
using packed::place_of;

// All texts of a head, so that the upper bits of a length are free. Redaction can make a head
// longer than any that is read.
constexpr size_t kTextsMax = packed::kValueIsLatin1 - 1;

uint8_t http_version_of(const Message& message) {
  if (!message.protocol.empty()) return 0;
  return message.http09 ? 9 : message.version_minor == 0 ? 10 : 11;
}

std::string_view second_text_of(const Message& message) {
  return message.direction == MessageDirection::kRequest ? message.target : message.reason;
}

// A later part of a message has none.
Message without_head(const Message& message) {
  Message out = message;
  out.head = out.method = out.target = out.reason = {};
  out.status = 0;
  out.headers = {};
  return out;
}

}  // namespace

size_t PackedRecordWriter::size_of(std::string_view bytes) {
  const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
  const size_t size = load_le32(begin);
  const bool may_be = load_le16(begin + 4) == packed::kMark && size >= kHeaderSize &&
                      size % packed::kAlignment == 0;
  return may_be ? size : 0;
}

// Its size is a multiple of 8, and the mark follows.
bool PackedRecordWriter::may_begin(std::string_view bytes) {
  if (bytes.size() >= kHeaderSize) return size_of(bytes) > 0;
  const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint8_t mark[] = {packed::kMark & 0xff, packed::kMark >> 8};
  for (size_t i = 0; i < sizeof(mark) && 4 + i < bytes.size(); ++i) {
    if (begin[4 + i] != mark[i]) return false;
  }
  return begin[0] % packed::kAlignment == 0;
}

void PackedRecordWriter::write(const Message& message, LineSink& sink) {
  if (!selection_.is_everything()) [[unlikely]]
    return write_selected(message, sink);
  Record record(*this, sink);
  record.add_identity(message);
  if (message.part > 1) [[unlikely]] {
    record.add_message(without_head(message), message);
  } else {
    record.add_message(message, message);
  }
  record.finish();
}

void PackedRecordWriter::write_selected(const Message& whole, LineSink& sink) {
  const PackedSelection::Fields& fields = selection_.of(whole);
  const Message message = selection_.cut(whole, fields);
  Record record(*this, sink, &fields);
  record.add_identity(message);
  record.add_message(message, whole);
  record.finish();
}

void PackedRecordWriter::write_exchange(const ExchangeParts& parts, LineSink& sink) {
  if (selection_.is_everything()) [[likely]] {
    Record record(*this, sink);
    record.add_identity(*parts.about);
    record.add_exchange(parts, *parts.about);
    return record.finish();
  }
  const Message about = selection_.cut(*parts.about, selection_.of_exchange());
  Record record(*this, sink, &selection_.of_exchange());
  record.add_identity(about);
  record.add_exchange(parts, about);
  record.finish();
}

void PackedRecordWriter::Record::align() {
  const size_t beyond = size() % packed::kAlignment;
  if (beyond == 0) return;
  char* out = sink_.reserve(packed::kAlignment);
  std::memset(out, 0, packed::kAlignment);
  sink_.commit(out + packed::kAlignment - beyond);
}

void PackedRecordWriter::Record::finish() {
  align();
  fixed_.size = little_endian(static_cast<uint32_t>(size()));
  fixed_.flags = little_endian(flags_);
  std::memcpy(bytes_at(0), &fixed_, sizeof(fixed_));
  if (fields_ != nullptr) [[unlikely]]
    std::memcpy(bytes_at(sizeof(fixed_)), &selected_, sizeof(selected_));
}

// Room for it; with `select` it is followed by the names.
void PackedRecordWriter::Record::add_fixed_part() {
  sink_.commit(sink_.reserve(fixed_size()) + fixed_size());
}

void PackedRecordWriter::Record::add_selected(const Message& message) {
  flags_ |= packed::kSelected;
  selected_.shown = little_endian(fields_->shown(message));
  const bool is_within_exchange =
      writer_.options_.by_exchange && fields_ != &writer_.selection_.of_exchange();
  if (!is_within_exchange) selected_.names = add_text(writer_.selection_.names());
}

void PackedRecordWriter::Record::add_identity(const Message& message) {
  fixed_.fixed_size = little_endian(static_cast<uint16_t>(fixed_size()));
  fixed_.protocol = message.protocol.empty() ? 0 : 1;
  fixed_.connection_id = little_endian(message.connection_id);
  fixed_.receiver_port = little_endian(message.receiver.port);
  fixed_.destination_port = little_endian(message.destination.port);
  fixed_.receiver_ip = message.receiver.ip;
  fixed_.destination_ip = message.destination.ip;
  if (message.receiver.mapped_on_wire) flags_ |= packed::kMappedOnWire;
  if (message.exchange != kNoExchange) {
    flags_ |= packed::kHasExchange;
    fixed_.exchange = little_endian(message.exchange);
  }
}

// ---------------------------------------------------------------- a message

void PackedRecordWriter::Record::add_message(const Message& message, const Message& whole) {
  fixed_.direction = static_cast<uint8_t>(message.direction);
  fixed_.status = little_endian(message.status);
  fixed_.http_version = http_version_of(message);
  fixed_.incomplete = static_cast<uint8_t>(message.incomplete);
  fixed_.anomalies = little_endian(message.anomalies.bits());
  fixed_.content_decode_error = static_cast<uint8_t>(message.content_decode_error);
  fixed_.first_byte_ns = little_endian(message.first_byte_ns);
  fixed_.duration_ns = little_endian(elapsed_ns(message.first_byte_ns, message.last_byte_ns));
  fixed_.body_size = little_endian(message.body_size);
  if (message.has_latency) {
    flags_ |= packed::kHasLatency;
    fixed_.latency_ns = little_endian(message.latency_ns);
  }
  if (message.body_truncated) flags_ |= packed::kBodyTruncated;
  if (message.body_withheld) flags_ |= packed::kBodyWithheld;
  if (message.headers_incomplete) flags_ |= packed::kHeadersIncomplete;
  if (message.after_gap) flags_ |= packed::kAfterGap;
  if (fields_ == nullptr ? writer_.options_.raw_headers : fields_->has(Field::kRawHeaders)) {
    flags_ |= packed::kRawHeaders;
  }
  if (!add_head_as_sent(message)) add_head_by_texts(message);
  if (fields_ != nullptr && fields_->has_any_of_request()) [[unlikely]]
    add_of_request(whole);
  add_parts(message, whole, false);
  note_texts(message);
  add_body(whole);
}

// The head in one piece, which is one copy, and the places of its texts. False: they are elsewhere,
// or what stands between them must not be shown.
bool PackedRecordWriter::Record::add_head_as_sent(const Message& message) {
  const std::string_view head = message.head;
  if (head.empty()) return false;
  const size_t texts_at = sizeof(Fixed) + message.headers.size() * sizeof(HeaderEntry);
  char* const out = sink_.reserve(texts_at + head.size());
  size_t used = 0;
  bool is_inside = true;
  const auto place = [&](std::string_view text) -> Place {
    const auto at = static_cast<size_t>(text.data() - head.data());
    if (at > head.size() || text.size() > head.size() - at) [[unlikely]] {
      is_inside = false;
      return {};
    }
    used = std::max(used, at + text.size());
    return place_of(texts_at + at, text.size());
  };
  if (!message.method.empty()) fixed_.first_text = place(message.method);
  const std::string_view second = second_text_of(message);
  if (!second.empty()) fixed_.second_text = place(second);
  char* entry = out + sizeof(Fixed);
  for (const HeaderField& header : message.headers) {
    HeaderEntry field{place(header.name), place(header.value)};
    if (header.folded) [[unlikely]]
      field.value.length |= little_endian(packed::kValueIsFolded);
    std::memcpy(entry, &field, sizeof(field));
    entry += sizeof(field);
  }
  if (!is_inside) [[unlikely]]
    return false;
  fixed_.headers = place_of(sizeof(Fixed), message.headers.size());
  std::memcpy(out + texts_at, head.data(), used);
  sink_.commit(out + texts_at + used);
  is_ascii_ = is_ascii(head.substr(0, used));
  return true;
}

void PackedRecordWriter::Record::add_head_by_texts(const Message& message) {
  add_fixed_part();
  if (fields_ != nullptr) add_selected(message);
  fixed_.headers = add_fields(message.headers);
  fixed_.first_text = add_text(message.method);
  fixed_.second_text = add_text(second_text_of(message));
}

Place PackedRecordWriter::Record::add_text(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > kTextsMax) [[unlikely]] {
    flags_ |= packed::kHeadersIncomplete;
    return {};
  }
  const Place place = place_of(size(), text.size());
  append_verbatim(text, sink_);
  is_ascii_ = is_ascii_ && is_ascii(text);
  return place;
}

// A list, and after it its texts.
Place PackedRecordWriter::Record::add_fields(std::span<const HeaderField> fields) {
  size_t needed = fields.size() * sizeof(HeaderEntry);
  for (const HeaderField& field : fields) needed += field.name.size() + field.value.size();
  if (needed > kTextsMax) [[unlikely]] {
    flags_ |= packed::kHeadersIncomplete;
    return {};
  }
  align();
  const size_t list_at = size();
  sink_.reserve(needed);
  sink_.commit(sink_.reserve(0) + fields.size() * sizeof(HeaderEntry));
  size_t entry_at = list_at;
  for (const HeaderField& field : fields) {
    HeaderEntry entry{add_text(field.name), add_text(field.value)};
    if (field.folded) entry.value.length |= little_endian(packed::kValueIsFolded);
    std::memcpy(bytes_at(entry_at), &entry, sizeof(entry));
    entry_at += sizeof(entry);
  }
  return place_of(list_at, fields.size());
}

// Which texts are not UTF-8, once all of them are written.
void PackedRecordWriter::Record::note_texts(const Message& message) {
  if (is_ascii_) [[likely]] {
    flags_ |= packed::kTextsAreAscii;
    return;
  }
  if (!is_utf8(message.method)) flags_ |= packed::kFirstTextIsLatin1;
  if (!is_utf8(second_text_of(message))) flags_ |= packed::kSecondTextIsLatin1;
  if (fixed_.headers.length > 0) {
    note_latin1(message.headers, little_endian(fixed_.headers.offset));
  }
  for (const Part& part : std::span(parts_).first(parts_size_)) {
    if (part.tag != little_endian(uint32_t{packed::kTrailers})) continue;
    note_latin1(message.trailers, little_endian(part.offset));
  }
}

// By the rules of the other formats, in which a name is written once.
void PackedRecordWriter::Record::note_latin1(std::span<const HeaderField> fields, size_t offset) {
  HeaderObjectWriter& headers = writer_.headers_;
  writer_.scratch_.clear();
  writer_.latin1_.clear();
  headers.write(fields, "headers", writer_.scratch_, writer_.latin1_);
  for (uint32_t i = 0; i < fields.size(); ++i) {
    if (!headers.is_latin1(i)) continue;
    char* const entry = bytes_at(offset + i * sizeof(HeaderEntry));
    HeaderEntry field;
    std::memcpy(&field, entry, sizeof(field));
    field.value.length |= little_endian(packed::kValueIsLatin1);
    std::memcpy(entry, &field, sizeof(field));
  }
}

void PackedRecordWriter::Record::add_body(const Message& message) {
  if (!message.body_kept || !(has(Field::kBody) || has(Field::kBodyEncoding))) return;
  const std::string_view text = body_text(message);
  const bool is_text = !message.body_binary && is_utf8(text);
  if (!is_text && (message.body_binary || !writer_.options_.binary_base64)) {
    fixed_.body_kind = packed::kLeftOut;
    return;
  }
  fixed_.body_kind = is_text ? packed::kText : packed::kBytes;
  if (!has(Field::kBody)) return;
  std::string_view body = is_text ? text : message.body;
  if (const size_t room = kSizeMax - size(); body.size() > room) [[unlikely]] {
    body = is_text ? body.substr(0, character_boundary(body, room)) : body.substr(0, room);
    flags_ |= packed::kBodyTruncated;
  }
  fixed_.body = place_of(size(), body.size());
  if (!sink_.take_over(body)) append_verbatim(body, sink_);
}

// ---------------------------------------------------------------- an exchange

void PackedRecordWriter::Record::add_exchange(const ExchangeParts& parts, const Message& about) {
  const Message* response = parts.response;
  fixed_.kind = packed::kExchange;
  if (has(Field::kOrphan)) fixed_.orphan = static_cast<uint8_t>(parts.orphan.kind);
  if (has(Field::kOrphanCause)) fixed_.orphan_cause = static_cast<uint8_t>(parts.orphan.cause);
  const int64_t first_ns = parts.has_request() ? parts.request_first_ns : about.first_byte_ns;
  if (has(Field::kTimestamp)) fixed_.first_byte_ns = little_endian(first_ns);
  if (response != nullptr && response->has_latency && has(Field::kLatencyMs)) {
    flags_ |= packed::kHasLatency;
    fixed_.latency_ns = little_endian(response->latency_ns);
  }
  if (response != nullptr && parts.has_request() && has(Field::kTotalMs)) {
    flags_ |= packed::kHasTotal;
    fixed_.duration_ns = little_endian(elapsed_ns(first_ns, response->last_byte_ns));
  }
  add_fixed_part();
  if (fields_ != nullptr) add_selected(about);
  add_parts(about, *parts.about, true);
  align();
  const size_t messages_at = size();
  if (parts.request != nullptr) writer_.write(*parts.request, sink_);
  append_verbatim(parts.request_text, sink_);
  append_verbatim(parts.interim_texts, sink_);
  if (parts.interim != nullptr) writer_.write(*parts.interim, sink_);
  if (response != nullptr) writer_.write(*response, sink_);
  fixed_.body = place_of(messages_at, size() - messages_at);
}

}  // namespace tcp_sniffer
