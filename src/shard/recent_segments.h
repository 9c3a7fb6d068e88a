#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/base/limits.h"
#include "core/net/segment.h"

namespace tcp_sniffer {

// Distinguishes a frame that was captured twice (a mirror port sees it come and go, a bridge on
// both of its sides, the pseudo-device `any` on each device) from a segment that was sent twice.
// The copy is the same IP packet: it has the same identification, or the same TCP timestamp where
// there is none, and comes within kDuplicateFrameNs. A sender takes a new identification for a
// retransmission, and waits at least a round trip.
//
// Also counts the bytes of a repeated segment that differ from the first copy, which was delivered:
// among the first kCompared bytes of the last kLookBack segments of the shard.
//
// Used only for segments whose bytes had come before, so it costs nothing while streams are in
// order. It looks back in the block that is being processed, and at the end of a block it keeps
// notes of the last kLookBack segments. The result does not depend on where blocks end.
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

  // How many of the bytes of block[index], which had come before, are not what they were then.
  uint64_t conflicting_bytes(std::span<const Segment> block, size_t index) const {
    const Segment& again = block[index];
    const size_t in_block = std::min(index, kLookBack);
    const size_t before = std::min(kLookBack - in_block, noted_);
    // The first copy is the oldest one.
    for (size_t i = before; i >= 1; i--) {
      const Note& note = notes_[(noted_ - i) % kLookBack];
      if (note.flow_hash != again.flow_hash || note.side != again.side) continue;
      const uint8_t* bytes = compared_[(noted_ - i) % kLookBack].data();
      const uint64_t overlap = overlap_of(note.sequence, note.compared_size, again);
      if (overlap > 0) return differing(note.sequence, bytes, again, overlap);
    }
    for (size_t i = in_block; i >= 1; i--) {
      const Segment& first = block[index - i];
      if (first.flow_hash != again.flow_hash || first.side != again.side) continue;
      const uint64_t overlap = overlap_of(first.sequence, compared_size(first), again);
      if (overlap > 0) return differing(first.sequence, first.payload, again, overlap);
    }
    return 0;
  }

  // The block is done.
  void remember(std::span<const Segment> block) {
    for (const Segment& segment : block.last(std::min(block.size(), kLookBack))) {
      const size_t at = noted_++ % kLookBack;
      notes_[at] = note_of(segment);
      notes_[at].compared_size = compared_size(segment);
      if (notes_[at].compared_size == kCompared) {  // a constant size is copied faster
        std::memcpy(compared_[at].data(), segment.payload, kCompared);
      } else if (notes_[at].compared_size > 0) {
        std::memcpy(compared_[at].data(), segment.payload, notes_[at].compared_size);
      }
    }
  }

 private:
  // Copies of a frame follow it closely; this is a burst of several connections.
  static constexpr size_t kLookBack = 64;
  // Copying so much costs next to nothing.
  static constexpr uint32_t kCompared = kPayloadHeadBytes;

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
    uint32_t compared_size = 0;
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

  // What a RST carries is no data, and a single byte may be a keep-alive probe's octet of garbage.
  static uint32_t compared_size(const Segment& segment) {
    if ((segment.flags & kTcpRst) != 0 || segment.payload_wire_size == 1) return 0;
    return std::min(segment.payload_size, kCompared);
  }
  // How many of the `size` bytes from `sequence` on `again` contains, too.
  static uint64_t overlap_of(uint32_t sequence, uint32_t size, const Segment& again) {
    const auto ahead = static_cast<int32_t>(again.sequence - sequence);
    const int64_t begin = std::max<int64_t>(ahead, 0);
    const int64_t end = std::min<int64_t>(size, int64_t{ahead} + compared_size(again));
    return end > begin ? static_cast<uint64_t>(end - begin) : 0;
  }
  static uint64_t differing(uint32_t sequence, const uint8_t* first, const Segment& again,
                            uint64_t overlap) {
    const auto ahead = static_cast<int32_t>(again.sequence - sequence);
    const uint8_t* a = first + std::max(ahead, 0);
    const uint8_t* b = again.payload + std::max(-ahead, 0);
    uint64_t count = 0;
    for (uint64_t i = 0; i < overlap; i++) count += a[i] != b[i];
    return count;
  }

  std::array<Note, kLookBack> notes_{};
  std::array<std::array<uint8_t, kCompared>, kLookBack> compared_;
  size_t noted_ = 0;
};

}  // namespace tcp_sniffer
