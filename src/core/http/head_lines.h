#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/byte_search.h"
#include "core/http/head.h"

namespace tcp_sniffer {

// One pass over a head: cuts it into lines and puts the fields into the reader's array.
class HeadReader::LineReader {
 public:
  enum class End : uint8_t { kEmptyLine, kBytes, kBadStart, kFull, kBareCr };
  enum class WhenFull : uint8_t { kPassOver, kStop };

  LineReader(LineMaskKernel masks, std::string_view bytes, bool has_start_line,
             std::span<HeaderField> fields, HttpHead& head, const HeadProgress& progress,
             WhenFull when_full = WhenFull::kPassOver)
      : masks_(progress.bare_cr ? bare_cr_masks : masks),
        data_(bytes.data()),
        size_(bytes.size()),
        fields_(fields),
        head_(head),
        progress_(progress),
        when_full_(when_full),
        start_line_next_(has_start_line) {}

  End read();
  bool start_judged() const { return !start_line_next_; }
  bool versionless() const { return versionless_; }
  bool too_many_fields() const { return first_unlisted_ != kNotFound; }

 private:
  // What a line was, as far as the loop over the lines needs to know.
  enum class Line : uint8_t { kMore, kEmpty, kBadStart, kFull, kBareCr, kUndecided };

  static void bare_cr_masks(const char* bytes, size_t size, LineMasks* masks);
  Line take_start_line(std::string_view line);
  bool judge_versionless(size_t begin, size_t colon, size_t end);
  bool is_request_with(size_t begin, size_t colon, size_t end) const;
  Line bare_empty_line(size_t at) const;
  bool is_behind_crlf(size_t at) const {
    return at >= 2 && data_[at - 1] == '\n' && data_[at - 2] == '\r';
  }
  // CRLF and nothing else.
  bool is_usual_end(size_t begin, size_t line_feed) const {
    return line_feed == begin + 1 && data_[begin] == '\r' && !start_line_next_;
  }
  Line take_line(size_t begin, size_t colon, size_t line_feed);
  End end_at(Line line, size_t end);
  bool take_usual_field(size_t begin, size_t colon, size_t line_feed);
  Line take_field(size_t begin, size_t colon, size_t end);
  void take_continuation(size_t begin, size_t end);

  const LineMaskKernel masks_;
  const char* data_;
  size_t size_;
  std::span<HeaderField> fields_;
  HttpHead& head_;
  const HeadProgress& progress_;
  const WhenFull when_full_;
  size_t count_ = 0;
  size_t first_unlisted_ = kNotFound;  // where the line of the first field stands that has no place
  bool start_line_next_;
  bool versionless_ = false;  // the start line is; the next line decides what it was
  bool field_open_ = false;   // the line before was a field, so that this one may continue it
};

}  // namespace tcp_sniffer
