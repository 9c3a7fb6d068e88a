#include "shard/connection_table.h"

#include <new>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace tcp_sniffer {

ConnectionTable::ConnectionTable() : slots_(kSlotsMin), mask_(kSlotsMin - 1) {}

Connection* ConnectionTable::insert(uint64_t hash, const FlowKey& key) {
  if ((size_ + 1) * 8 > slots_.size() * 5) double_slots();
  size_t i = free_slot(hash);
  while (i == kNoSlot && size_ * 4 > slots_.size()) {
    double_slots();
    i = free_slot(hash);
  }
  if (i == kNoSlot) return nullptr;
  slots_[i] = {static_cast<uint32_t>(hash), take_object()};
  auto* connection = new (object(slots_[i].object)) Connection();
  connection->hash = static_cast<uint32_t>(hash);
  connection->identity.key = key;
  size_++;
  return connection;
}

size_t ConnectionTable::free_slot(uint64_t hash) const {
  size_t i = index_of(hash);
  for (uint32_t probes = 0; slots_[i].object != 0; i = (i + 1) & mask_) {
    if (++probes >= kProbesMax) return kNoSlot;
  }
  return i;
}

void ConnectionTable::erase(Connection* connection) {
  size_t hole = index_of(connection->hash);
  while (object(slots_[hole].object) != connection) hole = (hole + 1) & mask_;
  connection->hash = slots_[hole].object;
  connection->by_activity.next = free_;
  free_ = connection;
  // Backward shift: what probed past the hole moves into it, so no tombstones are needed.
  for (size_t i = (hole + 1) & mask_; slots_[i].object != 0; i = (i + 1) & mask_) {
    const size_t home = index_of(slots_[i].hash);
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = {};
  size_--;
}

void ConnectionTable::check_invariants() const {
  size_t taken = 0;
  for (size_t i = 0; i < slots_.size(); i++) {
    const Slot& slot = slots_[i];
    if (slot.object == 0) continue;
    taken++;
    require(slot.object <= used_, "table: a slot names an object that was never made");
    require(object(slot.object)->hash == slot.hash,
            "table: a slot has another hash than its object");
    for (size_t at = index_of(slot.hash); at != i; at = (at + 1) & mask_) {
      require(slots_[at].object != 0, "table: a free slot stands before one of the chain");
    }
  }
  size_t free_objects = 0;
  for (const Connection* at = free_; at != nullptr; at = at->by_activity.next) free_objects++;
  require(taken == size_ && size_ * 8 <= slots_.size() * 5, "table: not as full as it says");
  require(taken + free_objects == used_, "table: some objects are neither in use nor free");
}

void ConnectionTable::double_slots() {
  HugeArray<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.object == 0) continue;
    size_t i = index_of(slot.hash);
    while (slots_[i].object != 0) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

uint32_t ConnectionTable::take_object() {
  if (free_ != nullptr) {
    const Connection* connection = free_;
    free_ = connection->by_activity.next;
    return connection->hash;
  }
  if (used_ == slabs_.size() * kSlabConnections) slabs_.emplace_back(kSlabConnections);
  return ++used_;
}

}  // namespace tcp_sniffer
