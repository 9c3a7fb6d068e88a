#include "core/http/message_finder.h"

#include <algorithm>
#include <cstring>

#include "core/base/byte_search.h"
#include "core/base/characters.h"
#include "core/http/known_methods.h"

namespace tcp_sniffer {

namespace {

std::string_view without_line_end(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// "HTTP/1.x NNN", followed by a space or by the end of the line.
bool is_status_line(std::string_view text) {
  return text.size() >= 12 && is_digit(text[7]) && text[8] == ' ' && text[9] >= '1' &&
         text[9] <= '5' && is_digit(text[10]) && is_digit(text[11]) &&
         (text.size() == 12 || text[12] == ' ');
}

}  // namespace

void MessageFinder::start(std::span<char, kSearchLineMax> buffer, StartsAt starts_at,
                          Wanted wanted) {
  buffer_ = buffer.data();
  wanted_ = wanted;
  kept_ = 0;
  line_start_ = starts_at == StartsAt::kGap          ? LineStart::kGap
                : starts_at == StartsAt::kInsideLine ? LineStart::kUnknown
                                                     : LineStart::kLine;
}

bool MessageFinder::wants(Wanted wanted, MessageDirection direction) {
  return wanted == Wanted::kBoth ||
         (wanted == Wanted::kRequests) == (direction == MessageDirection::kRequest);
}

// A message that starts after other bytes of the same line.
MessageFinder::Judgement MessageFinder::judge_inside(std::string_view line, Wanted wanted) {
  size_t version = kNotFound;
  for (size_t at = find_http_version(line, 0); at != kNotFound;
       at = find_http_version(line, at + kVersionBytes - 1)) {
    if (at > 0 && wants(wanted, MessageDirection::kResponse) && is_status_line(line.substr(at))) {
      return {true, at, MessageDirection::kResponse};
    }
    version = at;
  }
  if (version == kNotFound || !wants(wanted, MessageDirection::kRequest) ||
      version + kVersionBytes != line.size() || !is_digit(line.back()) || version < 2 ||
      line[version - 1] != ' ') {
    return {};
  }
  const size_t target_end = version - 1;
  const size_t before_target = line.substr(0, target_end).find_last_of(" \t");
  if (before_target == kNotFound || before_target + 1 == target_end || line[before_target] != ' ') {
    return {};
  }
  const std::string_view word =
      line.substr(before_target > kMethodBytesMax ? before_target - kMethodBytesMax : 0,
                  std::min(before_target, kMethodBytesMax));
  const size_t method_bytes = known_method_suffix(word);
  if (method_bytes == 0) return {};
  return {true, before_target - method_bytes, MessageDirection::kRequest};
}

MessageFinder::Judgement MessageFinder::judge_line(std::string_view line,
                                                   LineStart line_start) const {
  line = without_line_end(line);
  if (line_start == LineStart::kUnknown) return judge_inside(line, wanted_);
  const StartLine start = read_start_line(line, StartContext::kAfterLoss);
  const bool request =
      start.kind == StartLineKind::kRequest && wants(wanted_, MessageDirection::kRequest);
  if (start.kind == StartLineKind::kResponse && wants(wanted_, MessageDirection::kResponse)) {
    return {true, 0, MessageDirection::kResponse};
  }
  if (request && start.known_method) return {true, 0, MessageDirection::kRequest};
  // An unknown method: at a gap it may be the rest of anything; elsewhere it may be the end of a
  // body with a known method after it.
  const Judgement inside = judge_inside(line, wanted_);
  if (inside.found || line_start == LineStart::kGap) return inside;
  return {request, 0, MessageDirection::kRequest};
}

MessageFinder::Candidate MessageFinder::found(const Candidate& candidate) {
  buffer_ = nullptr;
  kept_ = 0;
  return candidate;
}

// Appends to the unfinished line. When it outgrows the buffer its front is given up.
void MessageFinder::keep(std::string_view bytes) {
  if (kept_ + bytes.size() > kSearchLineMax) {
    // Half of the buffer at least is freed, so that the moving costs a byte for each byte kept.
    const size_t wanted = kSearchLineMax / 2;
    const size_t from_bytes = std::min(bytes.size(), wanted);
    const size_t from_kept = std::min<size_t>(kept_, wanted - from_bytes);
    std::memmove(buffer_, buffer_ + kept_ - from_kept, from_kept);
    kept_ = static_cast<uint32_t>(from_kept);
    bytes.remove_prefix(bytes.size() - from_bytes);
    line_start_ = LineStart::kUnknown;
  }
  std::memcpy(buffer_ + kept_, bytes.data(), bytes.size());
  kept_ += static_cast<uint32_t>(bytes.size());
}

// The kept line ends at `line_feed` of the piece. It is judged in the buffer, in one piece.
MessageFinder::Candidate MessageFinder::finish_kept_line(std::string_view piece, size_t line_feed) {
  const size_t line_in_piece = line_feed + 1;
  keep(piece.substr(0, line_in_piece));
  const size_t cut = kept_ > line_in_piece ? 0 : line_in_piece - kept_;
  const std::string_view line(buffer_, kept_ - 1);
  const LineStart line_start = line_start_;
  const size_t kept_before = kept_ - std::min<size_t>(kept_, line_in_piece);
  kept_ = 0;
  line_start_ = LineStart::kLine;

  Candidate candidate;
  if (find_http_version(line, 0) == kNotFound) return candidate;
  const Judgement judgement = judge_line(line, line_start);
  if (!judgement.found) return candidate;
  candidate.found = true;
  candidate.direction = judgement.direction;
  candidate.line_bytes = line.size() + 1 - judgement.offset;
  if (judgement.offset < kept_before) {
    candidate.kept = line.substr(judgement.offset, kept_before - judgement.offset);
  } else {
    candidate.offset = judgement.offset - kept_before + cut;
  }
  return candidate;
}

MessageFinder::Candidate MessageFinder::search_lines(std::string_view piece, size_t from) {
  size_t line_begin = from;  // a line starts here, of kind line_start_
  size_t at = from;
  for (;;) {
    const size_t hit = find_http_version(piece, at);
    const size_t line_end = hit == kNotFound ? kNotFound : find_line_feed(piece, hit);
    if (line_end == kNotFound) break;
    const size_t feed_before = find_last_line_feed(piece, line_begin, hit);
    if (feed_before != kNotFound) {
      line_begin = feed_before + 1;
      line_start_ = LineStart::kLine;
    }
    const std::string_view line = piece.substr(line_begin, line_end - line_begin);
    if (line.size() >= kSearchLineMax) line_start_ = LineStart::kUnknown;
    const Judgement judgement = judge_line(line, line_start_);
    if (judgement.found) {
      Candidate candidate;
      candidate.found = true;
      candidate.offset = line_begin + judgement.offset;
      candidate.line_bytes = line.size() + 1 - judgement.offset;
      candidate.direction = judgement.direction;
      return candidate;
    }
    line_begin = line_end + 1;
    line_start_ = LineStart::kLine;
    at = line_begin;
  }
  const size_t last_feed = find_last_line_feed(piece, line_begin, piece.size());
  if (last_feed != kNotFound) {
    line_begin = last_feed + 1;
    line_start_ = LineStart::kLine;
  }
  keep(piece.substr(line_begin));
  return {};
}

MessageFinder::Candidate MessageFinder::search(std::string_view piece) {
  if (buffer_ == nullptr || piece.empty()) return {};
  size_t from = 0;
  if (kept_ > 0) {
    const size_t line_feed = find_line_feed(piece, 0);
    if (line_feed == kNotFound) {
      keep(piece);
      return {};
    }
    const Candidate candidate = finish_kept_line(piece, line_feed);
    if (candidate.found) return found(candidate);
    from = line_feed + 1;
  }
  const Candidate candidate = search_lines(piece, from);
  return candidate.found ? found(candidate) : candidate;
}

}  // namespace tcp_sniffer
