#include "core/http/head_lines.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/characters.h"

namespace tcp_sniffer {

namespace {

// Neither blank nor control: what a name or a value begins and ends with on nearly every line.
bool is_visible(char c) {
  return static_cast<unsigned char>(c) > ' ';
}

// Text whose masks are made at once: most heads in one go, little of the body after them.
constexpr size_t kMaskedBytes = 512;

}  // namespace

// Line ends of a head in which CR is one, an LF too. An LF after a CR is passed over by the
// reader.
void HeadReader::LineReader::bare_cr_masks(const char* bytes, size_t size, LineMasks* masks) {
  for (size_t base = 0; base < size; base += kMaskBlockBytes) {
    LineMasks& block = masks[base / kMaskBlockBytes];
    block = {};
    for (size_t i = base; i < std::min(size, base + kMaskBlockBytes); ++i) {
      const uint64_t bit = uint64_t{1} << (i - base);
      if (bytes[i] == '\r' || bytes[i] == '\n') block.line_feed |= bit;
      if (bytes[i] == ':') block.colon |= bit;
    }
  }
}

HeadReader::LineReader::End HeadReader::LineReader::read() {
  std::array<LineMasks, kMaskedBytes / kMaskBlockBytes> masks;
  size_t begin = 0;          // of the line
  size_t colon = kNotFound;  // the line's first, when it lies in a block before this one
  for (size_t base = 0; base < size_; base += kMaskBlockBytes) {
    const size_t block = base % kMaskedBytes / kMaskBlockBytes;
    if (block == 0) masks_(data_ + base, std::min(size_ - base, kMaskedBytes), masks.data());
    uint64_t feeds = masks[block].line_feed;
    uint64_t colons = masks[block].colon;
    while (feeds != 0) {
      const uint64_t feed = feeds & (0 - feeds);
      const uint64_t colons_before = colons & (feed - 1);
      if (colon == kNotFound && colons_before != 0) {
        colon = base + static_cast<size_t>(std::countr_zero(colons_before));
      }
      const size_t line_feed = base + static_cast<size_t>(std::countr_zero(feeds));
      if (!take_usual_field(begin, colon, line_feed)) {
        if (is_usual_end(begin, line_feed)) return end_at(Line::kEmpty, line_feed + 1);
        const Line line = take_line(begin, colon, line_feed);
        if (line != Line::kMore) {
          return end_at(line, line_feed + 1);
        }
      }
      begin = line_feed + 1;
      colon = kNotFound;
      feeds ^= feed;
      colons &= 0 - feed;
    }
    if (colon == kNotFound && colons != 0) {
      colon = base + static_cast<size_t>(std::countr_zero(colons));
    }
  }
  if (versionless_ && progress_.ended && begin == size_ && head_.start.method == "GET") {
    head_.http09 = true;
    head_.anomalies.add(Anomaly::kHttp09);
    return end_at(Line::kEmpty, size_);
  }
  return end_at(Line::kUndecided, size_);
}

// The last line was of this kind; `end` is after it.
inline HeadReader::LineReader::End HeadReader::LineReader::end_at(Line line, size_t end) {
  head_.fields = fields_.first(count_);
  if (first_unlisted_ != kNotFound)
    head_.unlisted = {data_ + first_unlisted_, end - first_unlisted_};
  switch (line) {
    case Line::kEmpty:
      if (data_[end - 1] == '\r' && is_behind_crlf(end - 1) && end < size_ && data_[end] == '\n') {
        ++end;
      }
      head_.size = end;
      return End::kEmptyLine;
    case Line::kBadStart:
      return End::kBadStart;
    case Line::kFull:
      return End::kFull;
    case Line::kBareCr:
      return End::kBareCr;
    case Line::kMore:
    case Line::kUndecided:
      break;
  }
  return End::kBytes;
}

// `name: value` and CRLF, as nearly every line is. False, and nothing done, for any other.
inline bool HeadReader::LineReader::take_usual_field(size_t begin, size_t colon, size_t line_feed) {
  if (start_line_next_ || colon == kNotFound || colon == begin || line_feed - colon < 4)
    return false;
  const size_t end = line_feed - 1;
  const size_t value = colon + 2;
  if (data_[end] != '\r' || data_[colon + 1] != ' ' || !is_visible(data_[begin]) ||
      !is_visible(data_[colon - 1]) || !is_visible(data_[value]) || !is_visible(data_[end - 1]) ||
      count_ == fields_.size()) {
    return false;
  }
  HeaderField& field = fields_[count_++];
  field.name = {data_ + begin, colon - begin};
  field.value = {data_ + value, end - value};
  field.folded = false;
  field_open_ = true;
  return true;
}

HeadReader::LineReader::Line HeadReader::LineReader::take_line(size_t begin, size_t colon,
                                                               size_t line_feed) {
  size_t end = line_feed;
  if (end > begin && data_[end - 1] == '\r') [[likely]] {
    --end;
  } else {
    // Where CR ends lines, the LF of a CRLF comes by itself.
    const bool is_line_feed = data_[line_feed] == '\n';
    const bool behind_cr = begin == line_feed && begin > 0 && data_[begin - 1] == '\r';
    if (progress_.bare_cr && is_line_feed && behind_cr) return Line::kMore;
    head_.anomalies.add_if(is_line_feed, Anomaly::kBareLf);
  }
  if (start_line_next_) {
    if (!versionless_) return take_start_line({data_ + begin, end - begin});
    if (!judge_versionless(begin, colon, end)) return Line::kBadStart;
  }
  if (end == begin) {
    return data_[line_feed] == '\r' ? bare_empty_line(begin) : Line::kEmpty;
  }
  if (is_blank(data_[begin]) || data_[begin] == '\r') {
    if (field_open_ && data_[begin] != '\r') {
      take_continuation(begin, end);
      return Line::kMore;
    }
    head_.irregular = true;
    head_.anomalies.add(Anomaly::kFieldName);
    while (begin < end && (is_blank(data_[begin]) || data_[begin] == '\r')) ++begin;
  }
  if (colon == kNotFound || colon >= end) {
    head_.irregular = true;
    head_.anomalies.add(Anomaly::kNoColon);
    field_open_ = false;
    return Line::kMore;
  }
  return take_field(begin, colon, end);
}

inline HeadReader::LineReader::Line HeadReader::LineReader::take_start_line(std::string_view line) {
  head_.start = read_start_line(line, progress_.context);
  if (is_http1(head_.start.kind)) [[likely]] {
    start_line_next_ = false;
  } else if (head_.start.kind == StartLineKind::kVersionless) {
    versionless_ = head_.versionless = true;
    head_.start.kind = StartLineKind::kRequest;
  } else {
    return head_.start.kind == StartLineKind::kBareCr ? Line::kBareCr : Line::kBadStart;
  }
  if (head_.start.anomalies.any() || progress_.bare_cr || versionless_) [[unlikely]] {
    head_.irregular = head_.start.irregular;
    head_.anomalies.add(head_.start.anomalies);
    head_.anomalies.add_if(progress_.bare_cr, Anomaly::kBareCr);
  }
  return Line::kMore;
}

// The line after a start line without a version tells what that was.
bool HeadReader::LineReader::judge_versionless(size_t begin, size_t colon, size_t end) {
  versionless_ = start_line_next_ = false;
  head_.http09 = end == begin;
  const bool good = head_.http09 ? head_.start.method == "GET" : is_request_with(begin, colon, end);
  if (!good) head_.start = {};
  head_.anomalies.add(head_.http09 ? Anomaly::kHttp09 : Anomaly::kVersion);
  return good;
}

// A line after a start line without a version: only a field makes a request of it.
bool HeadReader::LineReader::is_request_with(size_t begin, size_t colon, size_t end) const {
  return colon != kNotFound && colon < end && is_token({data_ + begin, colon - begin});
}

// A CR that ends an empty line. When the line before it ended with CRLF, its LF belongs to it.
HeadReader::LineReader::Line HeadReader::LineReader::bare_empty_line(size_t at) const {
  return is_behind_crlf(at) && at + 1 == size_ && !progress_.ended ? Line::kUndecided
                                                                   : Line::kEmpty;
}

HeadReader::LineReader::Line HeadReader::LineReader::take_field(size_t begin, size_t colon,
                                                                size_t end) {
  if (count_ == fields_.size()) {
    if (first_unlisted_ == kNotFound) first_unlisted_ = begin;
    field_open_ = false;
    return when_full_ == WhenFull::kStop ? Line::kFull : Line::kMore;
  }
  size_t name_end = colon;
  while (name_end > begin && is_blank(data_[name_end - 1])) --name_end;
  head_.anomalies.add_if(name_end != colon, Anomaly::kBlankBeforeColon);
  head_.anomalies.add_if(name_end == begin, Anomaly::kFieldName);
  head_.irregular |= name_end != colon || name_end == begin;
  size_t value = colon + 1;
  while (value < end && is_blank(data_[value])) ++value;
  while (end > value && (is_blank(data_[end - 1]) || data_[end - 1] == '\r')) --end;
  fields_[count_++] = {{data_ + begin, name_end - begin}, {data_ + value, end - value}, false};
  field_open_ = true;
  return Line::kMore;
}

void HeadReader::LineReader::take_continuation(size_t begin, size_t end) {
  head_.anomalies.add(Anomaly::kObsFold);
  while (begin < end && is_blank(data_[begin])) ++begin;
  while (end > begin && (is_blank(data_[end - 1]) || data_[end - 1] == '\r')) --end;
  if (begin == end) return;
  HeaderField& field = fields_[count_ - 1];
  if (field.value.empty()) {
    field.value = {data_ + begin, end - begin};
  } else {
    const auto value = static_cast<size_t>(field.value.data() - data_);
    field.value = {data_ + value, end - value};
    field.folded = true;
  }
}

}  // namespace tcp_sniffer
