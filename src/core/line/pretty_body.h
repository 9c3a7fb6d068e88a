#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/line/line_sink.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// The body of a message for people, in lines after a prefix: JSON indented, the fields of forms one
// a line, the parts of multipart bodies with their names, other text as it is, and a short hexdump
// of the rest. What would harm a terminal is escaped. A body that is longer than there are lines
// for is cut, and its size is shown. One per line writer.
class PrettyBodyWriter {
 public:
  static constexpr size_t kLinesMax = 100;
  static constexpr size_t kLineBytesMax = 1000;  // of the body, in one line
  static constexpr size_t kDumpLinesMax = 8;
  // More bytes of a body than can be shown.
  static constexpr size_t kBytesMax = 16384;

  explicit PrettyBodyWriter(bool colours) : colours_(colours) {}

  // Appends nothing for a body that is empty or was not kept.
  void write(const Message& message, std::string_view prefix, LineSink& sink);

 private:
  enum class Kind : uint8_t { kText, kJson, kForm, kMultipart, kBinary };

  static Kind kind_of(const Message& message, std::string_view text);
  void write_text(std::string_view text);
  void write_json(std::string_view text);
  void write_form(std::string_view text);
  void write_multipart(std::string_view body, std::string_view boundary);
  void write_part(std::string_view part);
  void write_dump(std::string_view body);

  // Lines. False: there is no further one.
  bool begin_line(size_t indent = 0);
  void end_line();
  void add(std::string_view text);  // escaped
  void add_colour(std::string_view code);
  void add_field(std::string_view name, std::string_view value);

  const bool colours_;
  // Of the body being written.
  LineSink* sink_ = nullptr;
  std::string_view prefix_;
  size_t lines_ = 0;
  size_t line_bytes_ = 0;
  bool is_cut_ = false;
};

}  // namespace tcp_sniffer
