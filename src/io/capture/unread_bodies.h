#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/limits.h"
#include "core/net/packet_block.h"
#include "core/net/segment.h"

namespace tcp_sniffer {

// What a capture thread need not copy. A shard tells which bytes of a direction are body that
// nobody will look at (UnreadNote, with the blocks that come back); a segment within them is handed
// over with its first bytes only (Segment::withheld), and the shard counts the rest.
//
// A note is believed only as long as nothing can have come between: every byte from where the shard
// stood when it wrote the note up to the segment must have been handed over, in order and whole.
// So the shard stands exactly where the segment begins. Behind a hole, a SYN, a FIN or a dropped
// segment bytes are copied until the shard has told anew. Segments that lie wholly before the next
// byte (repeated, or seen twice) are copied and change nothing.
//
// Directly mapped: two directions with the same place push each other out, and are copied. Belongs
// to one dispatcher.
class UnreadBodies {
 public:
  void learn(std::span<const UnreadNote> notes) {
    for (const UnreadNote& note : notes) {
      Entry& entry = at(note.flow_hash, note.side);
      if (!entry.is_of(note.flow_hash, note.key, note.side)) continue;
      entry.from = note.from;
      entry.to = note.to;
      entry.noted = true;
    }
  }

  // Whether nobody will look at the payload of this segment, the next one of its direction.
  bool covers(const Segment& segment) const {
    if (segment.payload_size < kPayloadMin || (segment.flags & ~(kTcpAck | kTcpPsh)) != 0 ||
        segment.payload_size != segment.payload_wire_size) {
      return false;
    }
    const Entry& entry = entries_[index(segment.flow_hash, segment.side)];
    return entry.noted && entry.next == segment.sequence &&
           entry.is_of(segment.flow_hash, segment.key, segment.side) &&
           is_in_order(entry.run_begin, entry.from) && is_in_order(entry.from, segment.sequence) &&
           is_in_order(segment.sequence + segment.payload_size, entry.to);
  }

  // The segment goes to its shard.
  void hand_over(const Segment& segment) {
    const bool is_plain = (segment.flags & (kTcpSyn | kTcpFin | kTcpRst)) == 0;
    if (is_plain && segment.payload_wire_size == 0) return;
    Entry& entry = at(segment.flow_hash, segment.side);
    if (!entry.is_of(segment.flow_hash, segment.key, segment.side)) {
      if (!is_plain || segment.payload_size < kPayloadMin) return;
      entry = {segment.flow_hash,
               segment.key,
               segment.side,
               true,
               false,
               segment.sequence,
               segment.sequence,
               0,
               0};
    }
    if (!is_plain) {
      entry = {};
      return;
    }
    const uint32_t end = segment.sequence + segment.payload_wire_size;
    if (segment.payload_size != segment.payload_wire_size) {
      entry.run_begin = entry.next = end;
    } else if (segment.sequence == entry.next) {
      entry.next = end;
      // Sequence numbers can only be compared within half their range.
      if (end - entry.run_begin > kRunMax) entry.run_begin = end - kRunMax;
    } else if (!is_in_order(end, entry.next)) {
      entry.run_begin = segment.sequence;
      entry.next = end;
    }
  }

 private:
  static constexpr size_t kEntries = 1024;
  static constexpr uint32_t kRunMax = 1u << 30;
  // Below, a copy costs no more than the looking up.
  static constexpr uint32_t kPayloadMin = 4 * kPayloadHeadBytes;

  struct Entry {
    uint64_t flow_hash = 0;
    FlowKey key;
    Side side = Side::kLow;
    bool is_used = false;
    bool noted = false;
    uint32_t run_begin = 0;  // [run_begin, next) was handed over in order and whole
    uint32_t next = 0;
    uint32_t from = 0;  // noted: [from, to) is not looked at, and all before was taken
    uint32_t to = 0;

    bool is_of(uint64_t hash, const FlowKey& of, Side sender) const {
      return is_used && flow_hash == hash && side == sender && key == of;
    }
  };

  static bool is_in_order(uint32_t a, uint32_t b) { return static_cast<int32_t>(b - a) >= 0; }
  static size_t index(uint64_t flow_hash, Side side) {
    return (flow_hash ^ static_cast<uint64_t>(side)) % kEntries;
  }
  Entry& at(uint64_t flow_hash, Side side) { return entries_[index(flow_hash, side)]; }

  std::array<Entry, kEntries> entries_{};
};

}  // namespace tcp_sniffer
