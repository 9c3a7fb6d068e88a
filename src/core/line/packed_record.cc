#include "core/line/packed_record.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/line/exchange_parts.h"
#include "core/line/packed_layout.h"
#include "core/message/body_text.h"
#include "core/net/community_id.h"

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

template <typename Plain>
void append_plain(const Plain& plain, LineSink& sink) {
  char* out = sink.reserve(sizeof(plain));
  std::memcpy(out, &plain, sizeof(plain));
  sink.commit(out + sizeof(plain));
}

}  // namespace

// A record in the making: its fixed part is written last.
class PackedRecordWriter::Record {
 public:
  Record(PackedRecordWriter& writer, LineSink& sink)
      : writer_(writer), sink_(sink), start_(sink.size()) {}

  void add_identity(const Message& message);
  void add_message(const Message& message);
  void add_exchange(const ExchangeParts& parts);
  void finish();

 private:
  size_t size() const { return sink_.size() - start_; }
  char* bytes_at(size_t offset) { return sink_.reserve(0) - size() + offset; }
  void align();

  bool add_head_as_sent(const Message& message);
  void add_head_by_texts(const Message& message);
  Place add_fields(std::span<const HeaderField> fields);
  Place add_text(std::string_view text);
  void note_texts(const Message& message);
  void note_latin1(std::span<const HeaderField> fields, size_t offset);

  void add_parts(const Message& message, bool of_connection_alone);
  void begin_part();
  void end_part(packed::PartTag tag) { end_part(tag, size()); }
  void end_part(packed::PartTag tag, size_t end);
  void add_trailers(const Message& message);
  void add_losses(const Message& message);
  void add_proxied(const ProxiedEndpoints& proxied);
  void add_extended(const Message& message, uint16_t link_id);
  void add_body(const Message& message);

  PackedRecordWriter& writer_;
  LineSink& sink_;
  const size_t start_;
  Fixed fixed_;
  uint32_t flags_ = 0;
  bool is_ascii_ = true;  // all texts so far
  std::array<Part, packed::kPartsMax> parts_;
  size_t parts_size_ = 0;
  size_t part_begin_ = 0;
};

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
  Record record(*this, sink);
  record.add_identity(message);
  record.add_message(message);
  record.finish();
}

void PackedRecordWriter::write_exchange(const ExchangeParts& parts, LineSink& sink) {
  Record record(*this, sink);
  record.add_identity(*parts.about);
  record.add_exchange(parts);
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
}

void PackedRecordWriter::Record::add_identity(const Message& message) {
  fixed_.fixed_size = little_endian(uint16_t{sizeof(Fixed)});
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

void PackedRecordWriter::Record::add_message(const Message& message) {
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
  if (writer_.options_.raw_headers) flags_ |= packed::kRawHeaders;
  if (!add_head_as_sent(message)) add_head_by_texts(message);
  add_parts(message, false);
  note_texts(message);
  add_body(message);
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
  sink_.commit(sink_.reserve(sizeof(Fixed)) + sizeof(Fixed));
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
  if (!message.body_kept) return;
  const std::string_view text = body_text(message);
  const bool is_text = !message.body_binary && is_utf8(text);
  if (!is_text && (message.body_binary || !writer_.options_.binary_base64)) {
    fixed_.body_kind = packed::kLeftOut;
    return;
  }
  std::string_view body = is_text ? text : message.body;
  if (const size_t room = kSizeMax - size(); body.size() > room) [[unlikely]] {
    body = is_text ? body.substr(0, character_boundary(body, room)) : body.substr(0, room);
    flags_ |= packed::kBodyTruncated;
  }
  fixed_.body_kind = is_text ? packed::kText : packed::kBytes;
  fixed_.body = place_of(size(), body.size());
  append_verbatim(body, sink_);
}

// ---------------------------------------------------------------- what few messages have

void PackedRecordWriter::Record::begin_part() {
  align();
  part_begin_ = size();
}

void PackedRecordWriter::Record::end_part(packed::PartTag tag, size_t end) {
  const Place place = place_of(part_begin_, end - part_begin_);
  parts_[parts_size_++] = {little_endian(uint32_t{tag}), place.offset, place.length, 0};
}

void PackedRecordWriter::Record::add_parts(const Message& message, bool of_connection_alone) {
  if (!of_connection_alone) {
    if (!message.trailers.empty()) [[unlikely]]
      add_trailers(message);
    if (message.missing_bytes != 0 || !message.body_gaps.empty()) [[unlikely]]
      add_losses(message);
    if (!message.content_decoded.empty()) {
      begin_part();
      append_verbatim(message.content_decoded, sink_);
      end_part(packed::kContentDecoded);
    }
  }
  if (message.client.is_known) {
    begin_part();
    append_plain(message.client.ip, sink_);
    end_part(packed::kClient);
  }
  if (message.proxied != nullptr) [[unlikely]]
    add_proxied(*message.proxied);
  if (writer_.options_.extended) {
    add_extended(message, of_connection_alone ? message.shared_link_id : message.link_id);
  }
  if (parts_size_ == 0) return;
  align();
  fixed_.parts = place_of(size(), parts_size_);
  for (const Part& part : std::span(parts_).first(parts_size_)) append_plain(part, sink_);
}

void PackedRecordWriter::Record::add_trailers(const Message& message) {
  begin_part();
  const Place list = add_fields(message.trailers);
  end_part(packed::kTrailers, part_begin_ + little_endian(list.length) * sizeof(HeaderEntry));
}

void PackedRecordWriter::Record::add_losses(const Message& message) {
  begin_part();
  append_plain(little_endian(message.missing_bytes), sink_);
  for (const BodyGap& gap : message.body_gaps) {
    append_plain(little_endian(gap.offset), sink_);
    append_plain(little_endian(gap.length), sink_);
  }
  end_part(packed::kLosses);
}

void PackedRecordWriter::Record::add_proxied(const ProxiedEndpoints& proxied) {
  packed::Proxied part;
  part.source_ip = proxied.source.ip;
  part.destination_ip = proxied.destination.ip;
  part.source_port = little_endian(proxied.source.port);
  part.destination_port = little_endian(proxied.destination.port);
  if (proxied.tls) part.flags |= packed::Proxied::kTls;
  if (proxied.source.mapped_on_wire) part.flags |= packed::Proxied::kSourceIsMapped;
  if (proxied.destination.mapped_on_wire) part.flags |= packed::Proxied::kDestinationIsMapped;
  begin_part();
  append_plain(part, sink_);
  end_part(packed::kProxied);
}

void PackedRecordWriter::Record::add_extended(const Message& message, uint16_t link_id) {
  packed::Extended part;
  part.first_frame = little_endian(message.first_frame);
  part.last_frame = little_endian(message.last_frame);
  part.connect_ns = little_endian(message.connect_ns);
  part.headers_size = little_endian(message.headers_size);
  part.vlan = little_endian(message.vlan);
  write_community_id(part.community_id, message.receiver, message.destination);
  begin_part();
  append_plain(part, sink_);
  end_part(packed::kExtended);
  const std::string_view name = writer_.options_.link_name(link_id);
  if (name.empty()) return;
  begin_part();
  append_verbatim(name, sink_);
  end_part(packed::kInterface);
  if (!is_utf8(name)) flags_ |= packed::kInterfaceIsLatin1;
}

// ---------------------------------------------------------------- an exchange

void PackedRecordWriter::Record::add_exchange(const ExchangeParts& parts) {
  const Message& about = *parts.about;
  const Message* response = parts.response;
  fixed_.kind = packed::kExchange;
  fixed_.orphan = static_cast<uint8_t>(parts.orphan.kind);
  fixed_.orphan_cause = static_cast<uint8_t>(parts.orphan.cause);
  const int64_t first_ns = parts.has_request() ? parts.request_first_ns : about.first_byte_ns;
  fixed_.first_byte_ns = little_endian(first_ns);
  if (response != nullptr && response->has_latency) {
    flags_ |= packed::kHasLatency;
    fixed_.latency_ns = little_endian(response->latency_ns);
  }
  if (response != nullptr && parts.has_request()) {
    flags_ |= packed::kHasTotal;
    fixed_.duration_ns = little_endian(elapsed_ns(first_ns, response->last_byte_ns));
  }
  sink_.commit(sink_.reserve(sizeof(Fixed)) + sizeof(Fixed));
  add_parts(about, true);
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
