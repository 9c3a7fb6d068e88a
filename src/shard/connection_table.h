#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/connection.h"
#include "shard/huge_array.h"

namespace tcp_sniffer {

inline void prefetch_to_write(const char* at) {
#if defined(__x86_64__)
  // The compiler takes it for newer processors only; those that do not know it pass over it.
  __asm__ volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

// The connections of one shard, by key: open addressing with linear probing over the low half of
// the 64-bit hash, which is stored, keys compared whole. (The high half chose the shard.)
// Connection objects come from slabs and are reused, so after warm-up nothing is allocated; a slot
// names its object by number, which makes it 8 bytes; the slots double when 5/8 are taken.
//
// The hash is keyed with a secret of the run, so the wire cannot build long probe chains. A chain
// longer than kProbesMax can occur by chance in a table that is nearly due to double (a few times
// in 100,000 connections): then it doubles now. In a table less than a quarter full it is not
// chance: the connection is refused, and the caller counts it.
//
// Single thread. Pointers to connections stay valid until erase.
class ConnectionTable {
 public:
  ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // Starts loading what find will need.
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[index_of(hash)]); }
  void prefetch_connection(uint64_t hash) {
    const Slot& slot = slots_[index_of(hash)];
    if (slot.object == 0 || slot.hash != static_cast<uint32_t>(hash)) return;
    prefetch(*object(slot.object));
  }
  // All of it, for writing: a segment writes most cache lines of its connection, and in a team of
  // threads they may be in another processor's cache.
  static void prefetch(const Connection& connection) {
    const char* bytes = reinterpret_cast<const char*>(&connection);
    for (size_t line = 0; line < sizeof(Connection); line += 64) prefetch_to_write(bytes + line);
    prefetch_to_write(bytes + sizeof(Connection) - 1);
  }

  Connection* find(uint64_t hash, const FlowKey& key) {
    for (size_t i = index_of(hash);; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.object == 0) return nullptr;
      if (slot.hash != static_cast<uint32_t>(hash)) continue;
      Connection* connection = object(slot.object);
      if (connection->identity.key == key) return connection;
    }
  }

  // A fresh connection for a key that is not there; nullptr when its chain is too long.
  Connection* insert(uint64_t hash, const FlowKey& key);
  void erase(Connection* connection);

  size_t size() const { return size_; }

  // Aborts when an invariant is broken. Walks over all slots and free objects: for tests.
  void check_invariants() const;

 private:
  struct Slot {
    uint32_t hash;
    uint32_t object;  // its number, from 1; 0: the slot is free
  };
  static constexpr size_t kSlotsMin = 4096;
  // Whole huge pages (94 MiB); memory is touched as the connections come.
  static constexpr uint32_t kSlabConnections = 262144;
  static constexpr size_t kNoSlot = ~size_t{0};

  size_t index_of(uint64_t hash) const { return hash & mask_; }
  Connection* object(uint32_t number) {
    return &slabs_[(number - 1) / kSlabConnections][(number - 1) % kSlabConnections];
  }
  const Connection* object(uint32_t number) const {
    return &slabs_[(number - 1) / kSlabConnections][(number - 1) % kSlabConnections];
  }
  size_t free_slot(uint64_t hash) const;  // kNoSlot: the chain is too long
  void double_slots();
  uint32_t take_object();

  HugeArray<Slot> slots_;
  size_t mask_;
  size_t size_ = 0;
  std::vector<HugeArray<Connection>> slabs_;
  uint32_t used_ = 0;  // objects that ever were in use: those numbered 1 to here
  // The free ones of them, linked by by_activity.next; each has its number in `hash` meanwhile.
  Connection* free_ = nullptr;
};

}  // namespace tcp_sniffer
