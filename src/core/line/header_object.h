#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/line/json_string.h"
#include "core/message/header_repeats.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// Writes `headers`, `trailers` and `rawHeaders`. Names in lower case; a name that occurs more
// than once has an array, at the place of its first occurrence. A field (a name with all its
// values) that is not UTF-8 is written as latin1 and noted as `headers.NAME` or `trailers.NAME`
// in `latin1`; then so is every field whose name is not ASCII, so that two names never become one
// key. A folded value gets one space for each line break and the whitespace around it
// (RFC 9112 section 5.2). One per line writer.
class HeaderObjectWriter {
 public:
  // `kernels` outlives the writer.
  explicit HeaderObjectWriter(const EscapeKernels& kernels)
      : kernels_(kernels), strings_(kernels) {}

  // Appends `{"name":"value",…}`. `group` is the name of the object, for `latin1`, to which
  // `"group.name",` is appended for each field that is not UTF-8.
  void write(std::span<const HeaderField> fields, std::string_view group, LineSink& sink,
             LineSink& latin1);

  // Appends the value of a header alone, whose name is in lower case and ASCII: a string, or a list
  // when several have the name.
  enum class Written : uint8_t { kNothing, kUtf8, kLatin1 };
  Written write_values(std::span<const HeaderField> fields, std::string_view name, LineSink& sink);

  // Appends `[["Name","value"],…]` as sent, for the fields of the last write(): the same ones
  // are latin1 (listed there under `headers.NAME`).
  void write_raw(std::span<const HeaderField> fields, LineSink& sink) const;

  // Whether a field of the last write() is latin1.
  bool is_latin1(uint32_t field) const { return !is_latin1_.empty() && is_latin1_[field] != 0; }

 private:
  // Where the run of fields from `first` on ends whose names occur once.
  uint32_t plain_run_end(std::span<const HeaderField> fields, uint32_t first) const;
  // Writes what it can of the run; returns the first field not written.
  uint32_t write_plain_run(std::span<const HeaderField> fields, uint32_t first, uint32_t end,
                           LineSink& sink) const;
  bool write_fields(std::span<const HeaderField> fields, std::string_view group, LineSink& sink,
                    LineSink& latin1);
  bool write_field(std::span<const HeaderField> fields, uint32_t first, std::string_view group,
                   LineSink& sink, LineSink& latin1);
  bool write_name_and_values(std::span<const HeaderField> fields, uint32_t first, bool utf8,
                             LineSink& sink);
  bool append_values(std::span<const HeaderField> fields, std::string_view name, bool utf8,
                     LineSink& sink);
  bool write_name(std::string_view name, bool utf8, LineSink& sink) const;
  bool write_value(const HeaderField& field, bool utf8, LineSink& sink);
  // False when `utf8` is asked of text that is not.
  bool write_string(std::string_view text, bool utf8, LineSink& sink) const;
  uint32_t next_of_name(uint32_t field) const;
  void mark_latin1(size_t fields, uint32_t field);

  const EscapeKernels& kernels_;
  JsonStringWriter strings_;
  HeaderRepeats repeats_;
  bool has_repeats_ = false;
  bool wide_names_are_latin1_ = false;  // names that are not ASCII, of the object being written
  std::vector<uint8_t> is_latin1_;      // by field; empty = none
  std::string unfolded_;
};

}  // namespace tcp_sniffer
