#pragma once

#include <cstdint>

#include "core/base/limits.h"
#include "core/net/flow_key.h"
#include "shard/connection.h"
#include "shard/huge_array.h"

namespace tcp_sniffer {

// Connections that ended a moment ago: late retransmissions of their bytes are duplicates and not
// the beginning of new connections. Each is remembered for kTombstoneNs of packet time.
//
//   set    | tag tag tag … | expiry expiry … |   one cache line: nearly every look ends here
//          | grave | grave | grave | …           the keys, compared whole, and the final offsets
//
// The flow hash gives the set of eight and the tag in it; what has expired is free. When no entry
// of a set has expired the table doubles. At its largest size the oldest of the set is forgotten
// early. This is counted, because the output may then depend on the number of shards. Single
// thread.
class Tombstones {
 public:
  // 32 MiB at most: 26,000 ends a second for 10 s fill it by half.
  static constexpr size_t kSetsMax = size_t{1} << 16;

  Tombstones();

  void prefetch(uint64_t hash) const { __builtin_prefetch(&sets_[set_of(hash)]); }

  void bury(const Connection& connection, int64_t clock_ns);
  // Whether the segment holds nothing but bytes of a connection that has ended.
  bool covers(const Segment& segment) const;
  // Whether the segment was captured before the connection on its ports ended.
  bool is_before_the_end(const Segment& segment) const;
  // A new connection begins on the segment's ports.
  void forget(const Segment& segment);
  void clear();

  uint64_t forgotten_early() const { return forgotten_early_; }

 private:
  static constexpr size_t kWays = 8;
  static constexpr size_t kSetsMin = 64;

  struct Grave {
    FlowKey key;
    uint32_t final_sequence[2];
    // fine_ticks() of its last segment; below them bit SIDE: the direction was captured.
    uint32_t end_and_known;
  };
  static_assert(sizeof(Grave) == 56);
  struct alignas(64) Set {
    uint32_t tag[kWays];     // 0: never used
    uint32_t expiry[kWays];  // in ticks
    Grave graves[kWays];
  };

  // Packet time in ticks of 2^27 ns (134 ms); compared by difference, so wrapping is harmless.
  static uint32_t ticks(int64_t clock_ns) { return static_cast<uint32_t>(clock_ns >> 27); }
  // Packet time in ticks of 2^13 ns (8 µs) from bit 2 on, which wrap after two hours.
  static uint32_t fine_ticks(int64_t time_ns) { return static_cast<uint32_t>(time_ns >> 13) << 2; }
  static constexpr uint32_t kLifeTicks = static_cast<uint32_t>(kTombstoneNs >> 27) + 1;
  static bool lives(const Set& set, size_t way, uint32_t now) {
    return set.tag[way] != 0 && static_cast<int32_t>(set.expiry[way] - now) > 0;
  }
  // The half of the hash that connections keep.
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash) | 1; }
  // From the same bits as the tag, so that a table can double without the whole hash.
  size_t set_of(uint64_t hash) const { return set_of_tag(tag_of(hash)); }
  size_t set_of_tag(uint32_t tag) const { return (tag >> 1) & (sets_.size() - 1); }

  // Nearly always none: eight comparisons at once.
  static bool may_hold(const Set& set, uint32_t tag) {
    uint32_t found = 0;
    for (const uint32_t other : set.tag) found |= other == tag ? 1U : 0U;
    return found != 0;
  }

  const Grave* grave_of(const Segment& segment) const;
  bool place(uint32_t tag, uint32_t expiry, const Grave& grave, uint32_t now);
  void double_sets(uint32_t now);

  HugeArray<Set> sets_;
  uint64_t forgotten_early_ = 0;
};

}  // namespace tcp_sniffer
