#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/line/exchange_parts.h"
#include "core/line/packed_layout.h"
#include "core/line/packed_record.h"

namespace tcp_sniffer {

// Part of PackedRecordWriter, for its own files.

// A record in the making: its fixed part is written last.
class PackedRecordWriter::Record {
 public:
  using Fields = PackedSelection::Fields;

  // `fields`: nullptr: all.
  Record(PackedRecordWriter& writer, LineSink& sink, const Fields* fields = nullptr)
      : writer_(writer), sink_(sink), start_(sink.size()), fields_(fields) {}

  void add_identity(const Message& message);
  // `whole`: the message before it was cut, or the same.
  void add_message(const Message& message, const Message& whole);
  // `about`: that of the parts, or what is left of it.
  void add_exchange(const ExchangeParts& parts, const Message& about);
  void finish();

 private:
  size_t size() const { return sink_.size() - start_; }
  char* bytes_at(size_t offset) { return sink_.reserve(0) - size() + offset; }
  size_t fixed_size() const {
    return sizeof(packed::Fixed) + (fields_ == nullptr ? 0 : sizeof(packed::Selected));
  }
  // Whether the record may have this field.
  bool has(Field field) const { return fields_ == nullptr || fields_->has(field); }
  void add_fixed_part();
  void add_selected(const Message& message);
  void align();

  bool add_head_as_sent(const Message& message);
  void add_head_by_texts(const Message& message);
  packed::Place add_fields(std::span<const HeaderField> fields);
  packed::Place add_text(std::string_view text);
  void note_texts(const Message& message);
  void note_latin1(std::span<const HeaderField> fields, size_t offset);

  void add_parts(const Message& message, const Message& whole, bool of_connection_alone);
  void begin_part();
  void end_part(packed::PartTag tag) { end_part(tag, size()); }
  void end_part(packed::PartTag tag, size_t end);
  void add_part_number(const Message& message);
  void add_of_request(const Message& response);
  void add_trailers(const Message& message);
  void add_losses(const Message& message);
  void add_proxied(const ProxiedEndpoints& proxied);
  void add_extended(const Message& message, const Message& whole);
  void add_interface(uint16_t link_id);
  void add_body(const Message& message);

  PackedRecordWriter& writer_;
  LineSink& sink_;
  const size_t start_;
  const Fields* const fields_;
  packed::Fixed fixed_;
  packed::Selected selected_;
  uint32_t flags_ = 0;
  bool is_ascii_ = true;  // all texts so far
  std::array<packed::Part, packed::kPartsMax> parts_;
  size_t parts_size_ = 0;
  size_t part_begin_ = 0;
};

}  // namespace tcp_sniffer
