#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/line/exchange_parts.h"
#include "core/line/header_object.h"
#include "core/line/json_string.h"
#include "core/line/line_options.h"
#include "core/line/line_sink.h"
#include "core/line/table_cell.h"
#include "core/line/time_text.h"
#include "core/message/message.h"

namespace tcp_sniffer {

class HeldValues;

// The fields of a message that `select` names, in that order, and nothing else:
//
// - kNdjson: an object with the names as keys, without those that the message does not have.
// - kFramed: the same; the bytes of `body`, if it is selected, stand after it.
// - kTsv, kCsv: a row with a cell for each, empty when the message does not have it. Objects and
//   lists are JSON. Texts are escaped as in JSON, so that a row is one line, and one that a
//   spreadsheet would take for a formula begins with an apostrophe. Csv quotes cells and ends lines
//   as RFC 4180 says; in tsv nothing is quoted, and a quote at the beginning of a cell is escaped.
//
// A value is the same as in a full line. The line of an exchange has the fields of both messages;
// one that both may have is the response's. In its frames the bodies follow the JSON one after the
// other, and `bodyBytes` says how many bytes each has. Part of a MessageLineWriter.
class SelectedLineWriter {
 public:
  // All arguments outlive the writer.
  SelectedLineWriter(const LineOptions& options, const EscapeKernels& kernels,
                     HeaderObjectWriter& headers);

  void write(const Message& message, LineSink& sink);

  // ---- with `records: exchange`, as MessageLineWriter's

  std::string_view write_part(const Message& message, LineSink& sink);
  void write_exchange(const ExchangeParts& parts, LineSink& sink);

  // The row of names, with its line end, for a table with these fields.
  static std::string head(const std::vector<FieldRef>& select, LineOptions::Format format);

  // A number, a time or a pair of endpoints never needs more.
  static constexpr size_t kShortPartMax = 256;

  // How often bytes of a message's head may stand in a line, and of its body.
  size_t head_copies() const { return head_copies_; }
  size_t body_copies() const { return body_copies_; }
  // Of a line: keys, numbers and addresses.
  size_t fixed_size() const { return fixed_size_; }

 private:
  struct Column {
    FieldRef ref;
    std::string key;      // `,"name":`, and room up to kKeyPiece
    size_t key_size = 0;  // without the room
  };
  static constexpr size_t kKeyPiece = 32;

  // Where names of fields that are not UTF-8 are inserted when all of them are known.
  struct Latin1Place {
    size_t at;
    const Column* column;
  };

  bool is_table() const { return format_ == LineOptions::kTsv || format_ == LineOptions::kCsv; }
  // Both begin and end the line's object or row, and leave what stands between to
  // append(column), which appends a member with its key or a cell, when there is one.
  template <class Append>
  void write_object(const Append& append, LineSink& sink);
  template <class Append>
  void write_row(const Append& append, LineSink& sink);
  // Writes the key at the line's end, with room for `more` bytes after it. Returns its end;
  // nothing is committed. Nearly every key fits one piece, which is copied whole.
  static char* put_key(const Column& column, size_t more, LineSink& sink) {
    char* out = sink.reserve(column.key.size() + more);
    std::memcpy(out, column.key.data(), kKeyPiece);
    if (column.key_size > kKeyPiece) [[unlikely]] {
      std::memcpy(out, column.key.data(), column.key_size);
    }
    return out + column.key_size;
  }
  static void append_key(const Column& column, LineSink& sink) {
    sink.commit(put_key(column, 0, sink));
  }
  void append_member(const Column& column, const Message& message, LineSink& sink);
  bool append_of_exchange(const Column& column, const ExchangeParts& parts, HeldValues& held,
                          LineSink& sink);
  bool append_own_of_exchange(const Column& column, const ExchangeParts& parts, LineSink& sink);
  static bool append_interim(const ExchangeParts& parts, LineSink& sink);
  static void append_status(const Message& message, LineSink& sink);
  bool is_of(const Column& column, FieldOf of) const;
  std::string_view framed_body(FieldOf of, const Message& message) const;
  static std::string_view framed_bytes(const Message& message);

  // ---- selected_value.cc

  // These append the value as JSON, or as a cell. False: the message does not have it, and nothing
  // was appended.
  template <bool kCell>
  struct ValueAppender;
  bool append_at(char* out, const Column& column, const Message& message, LineSink& sink);
  bool append_cell(const Column& column, const Message& message, LineSink& sink);
  bool append_value(const Column& column, const Message& message, LineSink& sink) {
    return is_table() ? append_cell(column, message, sink)
                      : append_at(sink.reserve(kShortPartMax), column, message, sink);
  }
  void append_text_cell(const Column& column, std::string_view text, LineSink& sink);
  bool append_other_cell(const Column& column, const Message& message, LineSink& sink);
  // Writes at `out` and returns the end; kShortPartMax is enough room.
  char* put_time(char* out, int64_t time_ns);
  void append_text(const Column& column, std::string_view text, LineSink& sink);
  bool append_interface(const Column& column, const Message& message, LineSink& sink);
  bool append_other(const Column& column, const Message& message, LineSink& sink);
  bool append_headers(const Column& column, std::span<const HeaderField> fields, LineSink& sink);
  bool append_body(const Message& message, LineSink& sink);
  bool append_body_encoding(const Message& message, LineSink& sink) const;
  static bool append_word(std::string_view word, LineSink& sink);

  void note_latin1(const Column& column);
  std::string_view latin1_names(const Column& column) const;
  void insert_latin1(LineSink& sink);
  void insert_latin1(const Latin1Place& place, LineSink& sink);

  const LineOptions& options_;
  const LineOptions::Format format_;
  HeaderObjectWriter& headers_;
  JsonStringWriter strings_;
  TimeText time_;
  TableCells cells_;
  std::vector<Column> columns_;
  size_t head_copies_ = 0;
  size_t body_copies_ = 0;
  size_t fixed_size_ = 0;
  bool selects_interim_ = false;
  ScratchLine latin1_;            // `"path","headers.x",` of the line being written
  size_t latin1_of_request_ = 0;  // at most so many of its first bytes are the request's
  std::vector<Latin1Place> latin1_places_;
  ScratchLine part_;     // of an exchange: a request that did not wait
  ScratchLine scratch_;  // what is not written
};

}  // namespace tcp_sniffer
