#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/limits.h"
#include "core/segment.h"

namespace tcp_sniffer {

// Tells a frame that was captured twice (a mirror port sees it come and go, a bridge on both of
// its sides, the pseudo-device `any` on each device) from a segment that was sent twice: the copy
// is the same IP packet – the same identification, or the same TCP timestamp where there is none –
// and comes within kDuplicateFrameNs. A sender takes a new identification for a retransmission,
// and waits at least a round trip.
//
// Asked only about segments whose bytes had come before, so it costs nothing while streams are in
// order: it looks back in the block that is being processed, and at the end of a block it
// keeps notes of the last kLookBack segments. Where blocks end makes no difference.
class RecentSegments {
 public:
  // Is block[index], whose payload had come before, such a copy?
  bool is_copy(std::span<const Segment> block, size_t index) const {
    const Note wanted = note_of(block[index]);
    if (wanted.ip_id == 0 && wanted.timestamp_value == 0) return false;
    const size_t in_block = std::min(index, kLookBack);
    for (size_t i = 1; i <= in_block; i++) {
      if (same(note_of(block[index - i]), wanted)) return true;
    }
    const size_t before = std::min(kLookBack - in_block, noted_);
    for (size_t i = 1; i <= before; i++) {
      if (same(notes_[(noted_ - i) % kLookBack], wanted)) return true;
    }
    return false;
  }

  // The block is done.
  void remember(std::span<const Segment> block) {
    for (const Segment& segment : block.last(std::min(block.size(), kLookBack))) {
      notes_[noted_++ % kLookBack] = note_of(segment);
    }
  }

 private:
  // Copies of a frame follow it closely; this is a burst of several connections.
  static constexpr size_t kLookBack = 64;

  struct Note {
    uint64_t flow_hash;
    int64_t time_ns;
    uint32_t sequence;
    uint32_t acknowledgment;
    uint32_t payload_size;
    uint32_t timestamp_value;
    uint16_t ip_id;
    uint8_t flags;
    Side side;
  };

  static Note note_of(const Segment& segment) {
    return {segment.flow_hash,
            segment.time_ns,
            segment.sequence,
            segment.acknowledgment,
            segment.payload_wire_size,
            segment.timestamp_value,
            segment.ip_id,
            segment.flags,
            segment.side};
  }
  static bool same(const Note& a, const Note& b) {
    const int64_t apart = a.time_ns < b.time_ns ? b.time_ns - a.time_ns : a.time_ns - b.time_ns;
    return a.flow_hash == b.flow_hash && a.sequence == b.sequence && a.side == b.side &&
           a.acknowledgment == b.acknowledgment && a.payload_size == b.payload_size &&
           a.timestamp_value == b.timestamp_value && a.ip_id == b.ip_id && a.flags == b.flags &&
           apart <= kDuplicateFrameNs;
  }

  std::array<Note, kLookBack> notes_{};
  size_t noted_ = 0;
};

}  // namespace tcp_sniffer
