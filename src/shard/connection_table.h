#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "shard/connection.h"
#include "shard/huge_array.h"

namespace tcp_sniffer {

// The connections of one shard, by key: open addressing with linear probing over the stored 64-bit
// hash, keys compared whole. Connection objects come from slabs and are reused, so after warm-up
// nothing is allocated; the slots double when 5/8 are taken.
//
// The hash is keyed with a secret of the run, so the wire can not build long probe chains. One of
// more than kProbesMax comes about by chance in a table that is nearly due to double (a few times
// in 100,000 connections): then it doubles now. In a table less than a quarter full it is no
// chance: refused, and counted by the caller.
//
// Single thread. Pointers to connections stay valid until erase.
class ConnectionTable {
 public:
  ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // Starts loading what find will need.
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[index_of(hash)]); }
  void prefetch_connection(uint64_t hash) const {
    const Slot& slot = slots_[index_of(hash)];
    if (slot.hash != hash || slot.connection == nullptr) return;
    const char* bytes = reinterpret_cast<const char*>(slot.connection);
    for (size_t line = 0; line < sizeof(Connection); line += 64) __builtin_prefetch(bytes + line);
  }

  Connection* find(uint64_t hash, const FlowKey& key) const {
    for (size_t i = index_of(hash);; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.connection == nullptr) return nullptr;
      if (slot.hash == hash && slot.connection->identity.key == key) return slot.connection;
    }
  }

  // A fresh connection for a key that is not there; nullptr when its chain is too long.
  Connection* insert(uint64_t hash, const FlowKey& key);
  void erase(Connection* connection);

  size_t size() const { return size_; }

 private:
  struct Slot {
    uint64_t hash;
    Connection* connection;
  };
  static constexpr size_t kSlotsMin = 4096;
  static constexpr size_t kSlabConnections = 128;
  static constexpr size_t kNoSlot = ~size_t{0};

  size_t index_of(uint64_t hash) const { return hash & mask_; }
  size_t free_slot(uint64_t hash) const;  // kNoSlot: the chain is too long
  void double_slots();
  Connection* take_object();

  HugeArray<Slot> slots_;
  size_t mask_;
  size_t size_ = 0;
  std::vector<std::unique_ptr<Connection[]>> slabs_;
  std::vector<Connection*> free_;
};

}  // namespace tcp_sniffer
