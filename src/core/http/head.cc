#include "core/http/head.h"

#include <algorithm>

#include "core/base/byte_search.h"
#include "core/base/characters.h"
#include "core/http/head_lines.h"

namespace tcp_sniffer {

namespace {

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
