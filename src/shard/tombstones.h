#pragma once

#include <cstdint>
#include <vector>

#include "core/flow_key.h"
#include "core/limits.h"
#include "shard/connection.h"

namespace tcp_sniffer {

// Connections that ended a moment ago: late retransmissions of their bytes are duplicates and not
// the beginning of new connections. Each is remembered for kTombstoneNs of packet time.
//
//   ring    oldest -> [t][t][t][t][t] <- newest        in the order of their ends
//   slots   open addressing by the flow hash, an index into the ring each
//
// The ring doubles up to kEntriesMax; when that is not enough, the oldest is forgotten early and
// counted, for what comes out may then depend on the shards. Single thread.
class Tombstones {
 public:
  // 18 MiB at most: 26,000 ends a second for 10 s.
  static constexpr size_t kEntriesMax = size_t{1} << 18;

  Tombstones();

  void bury(const Connection& connection, int64_t clock_ns);
  // Whether the segment holds nothing but bytes of a connection that has ended.
  bool covers(const Segment& segment);
  // A new connection begins on the segment's ports.
  void forget(const Segment& segment);
  void clear();

  uint64_t forgotten_early() const { return forgotten_early_; }

 private:
  struct Entry {
    FlowKey key;
    bool known[2];
    bool valid;
    uint32_t final_sequence[2];
    uint64_t hash;
    int64_t expires_ns;
  };
  static constexpr size_t kEntriesMin = 1024;
  static constexpr uint32_t kEmpty = 0xffffffff;

  Entry* find(uint64_t hash, const FlowKey& key, int64_t clock_ns);
  void drop_oldest();
  void erase_slot(uint32_t position);
  void index(uint32_t position);
  void double_ring();
  size_t slot_of(uint64_t hash) const { return (hash >> 16) & (slots_.size() - 1); }

  std::vector<Entry> ring_;
  std::vector<uint32_t> slots_;  // twice as many as entries
  size_t oldest_ = 0;
  size_t count_ = 0;
  uint64_t forgotten_early_ = 0;
};

}  // namespace tcp_sniffer
