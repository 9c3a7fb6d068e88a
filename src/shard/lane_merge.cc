#include "shard/lane_merge.h"

#include <algorithm>

#include "core/base/check.h"

namespace tcp_sniffer {

void LaneMerge::add(PacketBlock* block, Clock::time_point now) {
  Capture& capture = captures_[block->capture];
  DEBUG_CHECK(capture.size < capture.ring.size());
  capture.ring[(capture.first + capture.size) % capture.ring.size()] = {block, now};
  capture.size++;
  if (block->count > 0) capture.sent_at = now;
}

void LaneMerge::run(Clock::time_point now) {
  for (;;) {
    for (Capture& capture : captures_) retire(capture);
    const size_t number = earliest();
    if (number == captures_.size()) return;
    Capture& next = captures_[number];
    int64_t bound = bound_ns(next, true);
    if (next.position_ns() > bound) {
      if (patience_ends(next) > now) return;
      bound = bound_ns(next, false);
    }
    take_up_to(next, bound);
  }
}

LaneMerge::Clock::time_point LaneMerge::due() const {
  const size_t number = earliest();
  return number == captures_.size() ? Clock::time_point::max() : patience_ends(captures_[number]);
}

void LaneMerge::pass_back() {
  for (Capture& capture : captures_) {
    for (; capture.size > 0; capture.size--) {
      PacketBlock* block = capture.front().block;
      capture.first = (capture.first + 1) % ThreadLane::kBlocks;
      block->lane->give_back(block);
    }
  }
}

// Gives the blocks back of which nothing is left. Time goes on as far as no thread is behind.
void LaneMerge::retire(Capture& capture) {
  while (capture.size > 0 && !capture.has_segment()) {
    PacketBlock* block = capture.front().block;
    if (!capture.begun) begin(capture);
    const bool has_ended = block->order == BlockOrder::kEnd;
    capture.known_ns = has_ended ? INT64_MAX : std::max(capture.known_ns, block->clock_ns);
    int64_t clock_ns = block->clock_ns;
    for (const Capture& other : captures_) {
      if (&other != &capture) clock_ns = std::min(clock_ns, other.position_ns());
    }
    shard_.finish(*block, clock_ns);
    capture.first = (capture.first + 1) % ThreadLane::kBlocks;
    capture.size--;
    capture.taken = 0;
    capture.begun = false;
    block->lane->give_back(block);
  }
}

// Of those that have a segment, the one whose segment is the earliest; their number: none has.
size_t LaneMerge::earliest() const {
  size_t found = captures_.size();
  for (size_t i = 0; i < captures_.size(); i++) {
    if (!captures_[i].has_segment()) continue;
    if (found == captures_.size() || captures_[i].position_ns() < captures_[found].position_ns()) {
      found = i;
    }
  }
  return found;
}

// Up to which clock the segments of `next` come before those of the others; `by_known`: also before
// those that others have not sent yet.
int64_t LaneMerge::bound_ns(const Capture& next, bool by_known) const {
  int64_t bound = INT64_MAX;
  for (const Capture& capture : captures_) {
    if (&capture == &next || (!by_known && !capture.has_segment())) continue;
    bound = std::min(bound, capture.position_ns());
  }
  return bound;
}

// When `next` waits no longer for threads that are behind it.
LaneMerge::Clock::time_point LaneMerge::patience_ends(const Capture& next) const {
  Clock::time_point since = next.front().since;
  for (const Capture& capture : captures_) {
    const bool is_behind = !capture.has_segment() && capture.known_ns < next.position_ns();
    if (is_behind) since = std::max(since, capture.sent_at);
  }
  return since + kPatience;
}

void LaneMerge::take_up_to(Capture& capture, int64_t bound_ns) {
  if (!capture.begun) begin(capture);
  PacketBlock& block = *capture.front().block;
  const auto first = block.segments.begin() + capture.taken;
  const auto last =
      std::find_if(first, block.segments.begin() + block.count,
                   [bound_ns](const Segment& segment) { return segment.clock_ns > bound_ns; });
  shard_.take({first, last});
  take_notes(block);
  capture.taken += static_cast<uint32_t>(last - first);
}

void LaneMerge::begin(Capture& capture) {
  shard_.begin(*capture.front().block);
  capture.begun = true;
}

// They are for the thread that sent the segments.
void LaneMerge::take_notes(PacketBlock& block) {
  shard_.take_unread_notes(notes_);
  for (const UnreadNote& note : notes_) {
    if (block.unread.size() < kUnreadNotesMax) block.unread.push_back(note);
  }
}

}  // namespace tcp_sniffer
