// HttpDirection: what follows in a head of more than maxHeaderBytes. Its lines are passed over up
// to the empty one, and those that frame the body count all the same: a body whose size is not
// known would be searched for messages, and what is found in it was never sent.

#include <algorithm>

#include "core/http/direction.h"
#include "core/http/framing.h"

namespace tcp_sniffer {

namespace {

// Of a line that is passed over, as much is kept as tells what it is.
constexpr size_t kLineBytesMax = 1024;

// Of the lines that frame the body, as many bytes are kept.
constexpr size_t kFramingBytesMax = 16384;

// What goes on for so many times maxHeaderBytes is no head.
constexpr uint64_t kPassedOverMax = 16;

std::string_view text_of_line(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool continues_line(std::string_view line) {
  return line.starts_with(' ') || line.starts_with('\t');
}

// Whether the last field of these lines frames the body.
bool ends_with_framing(std::string_view lines) {
  while (!lines.empty()) {
    const size_t end = lines.substr(0, lines.size() - 1).rfind('\n');
    const size_t begin = end == std::string_view::npos ? 0 : end + 1;
    const std::string_view line = lines.substr(begin);
    if (!continues_line(line)) return frames_body(line);
    lines = lines.substr(0, begin);
  }
  return false;
}

}  // namespace

// The open message has bytes_max bytes of a head and no end of it; `before` of them came with
// earlier segments. Returns how many of the new bytes are used, kRefused when the head cannot be
// read beyond its limit.
size_t HttpDirection::begin_long_head(size_t before) {
  OpenMessage& open = *here_.open;
  const HeadProgress& progress = open.progress;
  const bool has_start = open.strict ? progress.lines_judged > 0 : progress.start_judged;
  if (!has_start || progress.bare_cr || open.known_only) return kRefused;
  const std::string_view text = open.head.text();
  const size_t lines = text.substr(0, engine_.settings_.header_bytes_max).rfind('\n') + 1;
  if (lines == 0) return kRefused;
  const std::string_view rest = lines < before ? text.substr(lines, before - lines) : "";
  if (!open.undecided.append(engine_.pool_, rest.substr(0, kLineBytesMax))) return kRefused;
  engine_.counters_.add(ShardCounter::parsed, rest.size());
  open.long_head = true;
  open.strict = false;
  open.remaining = kPassedOverMax * engine_.settings_.header_bytes_max;
  open.long_line = rest.size() > kLineBytesMax;
  open.framing_line = ends_with_framing(text.substr(0, lines));
  open.head.size = lines;
  return lines < before ? 0 : lines - before;
}

// Further bytes of such a head. Those of lines that are kept are counted with the head.
size_t HttpDirection::continue_long_head(const Input& input) {
  OpenMessage& open = *here_.open;
  size_t used = 0;
  while (used < input.text.size()) {
    const size_t line_feed = input.text.find('\n', used);
    const bool whole = line_feed != std::string_view::npos;
    const size_t end = whole ? line_feed + 1 : input.text.size();
    const std::string_view piece = input.text.substr(used, end - used);
    used = end;
    engine_.counters_.add(ShardCounter::parsed, piece.size());
    const size_t room = kLineBytesMax - open.undecided.size;
    open.long_line |= piece.size() > room;
    if (!open.undecided.append(engine_.pool_, piece.substr(0, room))) {
      head_beyond_limit("memoryLimit", engine_.pool_.limit_bytes());
      return used;
    }
    open.last = input.meta;
    if (whole && take_long_head_line()) return used;
    open.remaining -= std::min<uint64_t>(open.remaining, piece.size());
    if (open.remaining == 0) {
      interrupt_head(Incomplete::kLimit);
      start_search(false);
      return used;
    }
  }
  return used;
}

// A whole line. True: it is the empty one, or the message has ended.
bool HttpDirection::take_long_head_line() {
  OpenMessage& open = *here_.open;
  const std::string_view line = open.undecided.text();
  const bool is_end = !open.long_line && text_of_line(line).empty();
  if (!continues_line(line)) open.framing_line = !is_end && frames_body(line);
  const std::string_view line_end = open.long_line ? "\n" : "";
  const size_t size = line.size() + line_end.size();
  const bool has_room =
      open.head.size + size <= engine_.settings_.header_bytes_max + kFramingBytesMax;
  if (is_end || (open.framing_line && has_room)) {
    if (!open.head.append(engine_.pool_, line, open.head.size + size)) {
      head_beyond_limit("memoryLimit", engine_.pool_.limit_bytes());
      return true;
    }
    open.head.append(engine_.pool_, line_end);
    engine_.counters_.subtract(ShardCounter::parsed, size);
  }
  open.undecided.size = 0;
  open.long_line = false;
  if (!is_end) return false;
  open.undecided.release(engine_.pool_);
  open.long_head = false;
  open.remaining = 0;
  open.cause = Incomplete::kLimit;
  open.headers_cut = true;
  HttpHead head;
  engine_.heads_.read_partial(open.head.text(), open.progress, head);
  head_in_open_message(head);
  return true;
}

}  // namespace tcp_sniffer
