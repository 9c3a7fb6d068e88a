#pragma once

#include <cstddef>
#include <string_view>

#include "core/line/header_object.h"
#include "core/line/json_string.h"
#include "core/line/line_options.h"
#include "core/line/line_sink.h"
#include "core/line/packed_selection.h"
#include "core/message/message.h"

namespace tcp_sniffer {

struct ExchangeParts;

// `format: packed`, as docs/packed.md specifies it: records for programs, which read fields at
// fixed places instead of parsing text.
//
//     0            152
//     | fixed part | headers, 16 bytes each | their texts | parts, and their list | body | to 8 |
//
// With `select` the fixed part has 16 bytes more, and what was not selected is absent.
//
// Nothing stands before the first record or between records, so that files can be appended to each
// other. Part of a MessageLineWriter.
class PackedRecordWriter {
 public:
  static constexpr size_t kHeaderSize = 8;
  // A record's size has 32 bits. What is beyond is left out of the body.
  static constexpr size_t kSizeMax = 0xfffffff8;

  // The size of the record that begins with these bytes, at least kHeaderSize of them; 0: no record
  // can begin with them.
  static size_t size_of(std::string_view bytes);

  // Whether a record may begin with these bytes, of which there is one at least.
  static bool may_begin(std::string_view bytes);

  // Both outlive the writer.
  PackedRecordWriter(const LineOptions& options, HeaderObjectWriter& headers)
      : options_(options), headers_(headers), selection_(options) {}

  // How many bytes `select` adds to a record at most.
  size_t selected_size() const {
    return selection_.is_everything() ? 0 : kSelectedSize + selection_.names().size();
  }

  // Appends the record of a message.
  void write(const Message& message, LineSink& sink);
  // Appends the record of an exchange, which contains those of its messages.
  void write_exchange(const ExchangeParts& parts, LineSink& sink);

 private:
  class Record;
  static constexpr size_t kSelectedSize = 128;  // and part 9 without its texts

  void write_selected(const Message& message, LineSink& sink);

  const LineOptions& options_;
  HeaderObjectWriter& headers_;
  PackedSelection selection_;
  ScratchLine scratch_;  // what is not written
  ScratchLine latin1_;
};

}  // namespace tcp_sniffer
