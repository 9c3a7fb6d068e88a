#include "core/http/head.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/byte_search.h"
#include "core/base/characters.h"

namespace tcp_sniffer {

namespace {

// Neither blank nor control: what a name or a value begins and ends with on nearly every line.
bool is_visible(char c) {
  return static_cast<unsigned char>(c) > ' ';
}

// Text whose masks are made at once: most heads in one go, little of the body after them.
constexpr size_t kMaskedBytes = 512;

bool is_http1(StartLineKind kind) {
  return kind == StartLineKind::kRequest || kind == StartLineKind::kResponse;
}

// Looks for the line feed that an empty line follows, from progress.searched on. False when it is
// not there; progress then stands at the first line feed that may still turn out to be it.
bool find_head_end(std::string_view bytes, HeadProgress& progress) {
  for (;;) {
    const size_t at = find_line_feed(bytes, progress.searched);
    if (at == kNotFound) {
      progress.searched = bytes.size();
      return false;
    }
    progress.searched = at;
    if (at + 1 == bytes.size()) return false;
    if (bytes[at + 1] == '\n') return true;
    if (bytes[at + 1] == '\r') {
      if (at + 2 == bytes.size()) return false;
      if (bytes[at + 2] == '\n') return true;
    }
    progress.searched = at + 1;
  }
}

// The same where CR ends lines: two line ends side by side.
bool find_bare_head_end(std::string_view bytes, HeadProgress& progress) {
  for (size_t& at = progress.searched; at + 1 < bytes.size(); ++at) {
    const bool first_ends = bytes[at] == '\r' || bytes[at] == '\n';
    const bool second_ends = bytes[at + 1] == '\r' || bytes[at + 1] == '\n';
    if (first_ends && second_ends && bytes.substr(at, 2) != "\r\n") return true;
  }
  return false;
}

enum class StartLineEnd : uint8_t { kNotThere, kLineFeed, kBareCr };

// How the start line ends. Not there: progress then stands at the first byte that may end it.
StartLineEnd find_start_line_end(std::string_view bytes, HeadProgress& progress) {
  const size_t end = bytes.find_first_of("\r\n", progress.searched);
  const size_t behind = end == kNotFound ? kNotFound : bytes.find_first_not_of('\r', end);
  if (behind == kNotFound) {
    progress.searched = end == kNotFound ? bytes.size() : end;
    return StartLineEnd::kNotThere;
  }
  return bytes[behind] == '\n' ? StartLineEnd::kLineFeed : StartLineEnd::kBareCr;
}

// Line ends of a head in which CR is one, an LF too. An LF after a CR is passed over by the
// reader.
void bare_cr_masks(const char* bytes, size_t size, LineMasks* masks) {
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

// Where the next search starts after all of `bytes` was read without meeting the empty line.
size_t searched_after(std::string_view bytes) {
  const size_t at = find_last_line_feed(bytes, 0, bytes.size());
  if (at == kNotFound) return bytes == "\r" ? 0 : bytes.size();
  const std::string_view behind = bytes.substr(at + 1);
  return behind.empty() || behind == "\r" ? at : bytes.size();
}

bool is_strict(const StartLine& start) {
  if (start.irregular) return false;
  if (start.kind == StartLineKind::kResponse) return true;
  if (start.kind != StartLineKind::kRequest) return false;
  // RFC 9112 section 3.2: origin, asterisk, absolute and authority form.
  const std::string_view target = start.target;
  return target.front() == '/' || target == "*" || target.find("://") != kNotFound ||
         (start.method == "CONNECT" && target.find(':') != kNotFound);
}

// `token:`, or the continuation of a line that was one.
bool is_strict_line(std::string_view line) {
  if (is_blank(line.front())) return true;
  const size_t colon = line.find(':');
  return colon != kNotFound && is_token(line.substr(0, colon));
}

}  // namespace

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

HeadReader::HeadReader(uint32_t bytes_max, uint32_t fields_max)
    : masks_(line_mask_kernel()),
      bytes_max_(bytes_max),
      fields_max_(fields_max),
      fields_(std::make_unique<HeaderField[]>(fields_max)) {}

// Whether bytes that were not whole at the last call may be it now, so that they are worth reading.
bool HeadReader::may_be_whole(std::string_view bytes, HeadProgress& progress) {
  // One more line decides about a start line without a version.
  if (progress.versionless) {
    return bytes.find_first_of(progress.bare_cr ? "\r\n" : "\n", progress.searched) != kNotFound;
  }
  if (progress.bare_cr) return find_bare_head_end(bytes, progress);
  return find_head_end(bytes, progress);
}

HeadStatus HeadReader::read_section(std::string_view bytes, bool has_start_line,
                                    HeadProgress& progress, HttpHead& head) {
  head = HttpHead{};
  const std::string_view allowed = bytes.substr(0, bytes_max_);
  const HeadStatus without_end =
      allowed.size() == bytes_max_ ? HeadStatus::kTooLarge : HeadStatus::kIncomplete;
  const bool start_is_open = has_start_line && !progress.start_judged && !progress.versionless;
  if (progress.searched > 0 && !progress.ended) {
    if (start_is_open && !progress.bare_cr) {
      const StartLineEnd end = find_start_line_end(allowed, progress);
      if (end == StartLineEnd::kNotThere) return without_end;
      progress.bare_cr = end == StartLineEnd::kBareCr;
    } else if (!may_be_whole(allowed, progress)) {
      return without_end;
    }
  }
  LineReader lines(masks_, allowed, has_start_line, {fields_.get(), fields_max_}, head, progress);
  const LineReader::End end = lines.read();
  progress.start_judged = lines.start_judged();
  progress.versionless = lines.versionless();
  if (end == LineReader::End::kBadStart) return HeadStatus::kInvalid;
  if (end == LineReader::End::kBytes && !end_is_bare_cr(allowed, start_is_open, progress)) {
    return without_end;
  }
  if (end != LineReader::End::kEmptyLine) {
    progress.bare_cr = true;
    return read_section(bytes, has_start_line, progress, head);
  }
  return lines.too_many_fields() ? HeadStatus::kTooLarge : HeadStatus::kComplete;
}

// The empty line was not met in `bytes`: says where to go on once there are more. True when CR
// alone ends the start line, which was not known yet.
bool HeadReader::end_is_bare_cr(std::string_view bytes, bool start_was_open,
                                HeadProgress& progress) {
  if (progress.versionless) {
    progress.searched = bytes.size();
  } else if (progress.bare_cr) {
    find_bare_head_end(bytes, progress);
  } else if (start_was_open && !progress.start_judged) {
    return find_start_line_end(bytes, progress) == StartLineEnd::kBareCr;
  } else {
    progress.searched = searched_after(bytes);
  }
  return false;
}

HeadStatus HeadReader::read(std::string_view bytes, HeadProgress& progress, HttpHead& head) {
  return read_section(bytes, true, progress, head);
}

HeadStatus HeadReader::read_fields(std::string_view bytes, HeadProgress& progress, HttpHead& head) {
  return read_section(bytes, false, progress, head);
}

bool HeadReader::read_partial(std::string_view bytes, const HeadProgress& progress,
                              HttpHead& head) {
  head = HttpHead{};
  LineReader lines(masks_, bytes, true, {fields_.get(), fields_max_}, head, progress);
  if (lines.read() != LineReader::End::kBadStart && lines.start_judged()) return true;
  if (!progress.cut || find_line_feed(bytes, 0) != kNotFound) return false;
  head.start = read_cut_start_line(bytes);
  head.anomalies = head.start.anomalies;
  return is_http1(head.start.kind);
}

void HeadReader::read_partial_fields(std::string_view bytes, HttpHead& head) {
  head = HttpHead{};
  LineReader(masks_, bytes, false, {fields_.get(), fields_max_}, head, {}).read();
}

std::span<const HeaderField> HeadReader::take_unlisted(std::string_view& unlisted, bool bare_cr,
                                                       std::span<HeaderField> into) {
  static const LineMaskKernel masks = line_mask_kernel();
  HttpHead head;
  HeadProgress progress;
  progress.bare_cr = bare_cr;
  LineReader lines(masks, unlisted, false, into, head, progress, LineReader::WhenFull::kStop);
  const bool full = lines.read() == LineReader::End::kFull;
  unlisted.remove_prefix(full ? static_cast<size_t>(head.unlisted.data() - unlisted.data())
                              : unlisted.size());
  return head.fields;
}

HeadStatus HeadReader::read_candidate(std::string_view bytes, HeadProgress& progress,
                                      HttpHead& head) {
  head = HttpHead{};
  const std::string_view allowed = bytes.substr(0, bytes_max_);
  size_t& begin = progress.lines_judged;
  for (;;) {
    const size_t at = find_line_feed(allowed, std::max(begin, progress.searched));
    if (at == kNotFound) {
      progress.searched = allowed.size();
      return allowed.size() == bytes_max_ ? HeadStatus::kTooLarge : HeadStatus::kIncomplete;
    }
    std::string_view line = allowed.substr(begin, at - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool is_start_line = begin == 0;
    if (!is_start_line && line.empty()) break;
    if (is_start_line ? !is_strict(read_start_line(line, StartContext::kAfterLoss))
                      : !is_strict_line(line)) {
      return HeadStatus::kInvalid;
    }
    begin = at + 1;
  }
  HeadProgress whole;
  const HeadStatus status = read(allowed, whole, head);
  return head.size > 0 && !is_strictly_valid(head) ? HeadStatus::kInvalid : status;
}

bool HeadReader::is_strictly_valid(const HttpHead& head) {
  return !head.irregular && head.size > 0 && is_strict(head.start) &&
         std::all_of(head.fields.begin(), head.fields.end(),
                     [](const HeaderField& field) { return is_token(field.name); });
}

}  // namespace tcp_sniffer
