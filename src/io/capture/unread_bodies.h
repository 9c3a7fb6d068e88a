#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/limits.h"
#include "core/net/packet_block.h"
#include "core/net/segment.h"

namespace tcp_sniffer {

// What a capture thread need not copy. A shard notes which bytes of a direction belong to a body
// that is not needed (UnreadNote, with the blocks that come back). A segment within them is handed
// over with its first bytes only (Segment::withheld), and the shard counts the rest.
//
// A note is believed only while the shard must be exactly where the segment begins: every byte from
// the place of the note up to the segment must have been handed over, in order and whole. After a
// hole, a SYN, a FIN or a dropped segment, bytes are copied until the shard sends a new note.
// Segments that are wholly before the next byte (repeated, or seen twice) are copied and change
// nothing.
//
// Directly mapped: two directions with the same place replace each other, and are copied. Belongs
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

  // Whether the payload of this segment, the next one of its direction, is not needed.
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
