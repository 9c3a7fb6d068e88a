#include "shard/connection_table.h"

#include "core/limits.h"

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
  Connection* connection = take_object();
  *connection = {};
  connection->hash = hash;
  connection->identity.key = key;
  slots_[i] = {hash, connection};
  size_++;
  return connection;
}

size_t ConnectionTable::free_slot(uint64_t hash) const {
  size_t i = index_of(hash);
  for (uint32_t probes = 0; slots_[i].connection != nullptr; i = (i + 1) & mask_) {
    if (++probes >= kProbesMax) return kNoSlot;
  }
  return i;
}

void ConnectionTable::erase(Connection* connection) {
  size_t hole = index_of(connection->hash);
  while (slots_[hole].connection != connection) hole = (hole + 1) & mask_;
  // Backward shift: what probed past the hole moves into it, so no tombstones are needed.
  for (size_t i = (hole + 1) & mask_; slots_[i].connection != nullptr; i = (i + 1) & mask_) {
    const size_t home = index_of(slots_[i].hash);
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = {};
  size_--;
  free_.push_back(connection);
}

void ConnectionTable::double_slots() {
  HugeArray<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.connection == nullptr) continue;
    size_t i = index_of(slot.hash);
    while (slots_[i].connection != nullptr) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

Connection* ConnectionTable::take_object() {
  if (free_.empty()) {
    slabs_.push_back(std::make_unique<Connection[]>(kSlabConnections));
    free_.reserve(slabs_.size() * kSlabConnections);
    for (size_t i = kSlabConnections; i-- > 0;) free_.push_back(&slabs_.back()[i]);
  }
  Connection* connection = free_.back();
  free_.pop_back();
  return connection;
}

}  // namespace tcp_sniffer
