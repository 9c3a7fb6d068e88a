#include "shard/tombstones.h"

#include <utility>

namespace tcp_sniffer {

Tombstones::Tombstones() : ring_(kEntriesMin), slots_(kEntriesMin * 2, kEmpty) {}

void Tombstones::clear() {
  slots_.assign(slots_.size(), kEmpty);
  oldest_ = count_ = 0;
}

void Tombstones::bury(const Connection& connection, int64_t clock_ns) {
  while (count_ > 0 && ring_[oldest_].expires_ns <= clock_ns) drop_oldest();
  if (Entry* entry = find(connection.hash, connection.identity.key, clock_ns)) {
    erase_slot(static_cast<uint32_t>(entry - ring_.data()));
  }
  if (count_ == ring_.size()) {
    if (ring_.size() < kEntriesMax) {
      double_ring();
    } else {
      drop_oldest();
      forgotten_early_++;
    }
  }
  const size_t position = (oldest_ + count_) % ring_.size();
  Entry& entry = ring_[position];
  entry.key = connection.identity.key;
  entry.hash = connection.hash;
  entry.expires_ns = clock_ns + kTombstoneNs;
  entry.valid = true;
  for (size_t side = 0; side < 2; side++) {
    const TcpStream& stream = connection.streams[side];
    entry.known[side] = stream.seen;
    entry.final_sequence[side] = stream.sequence_of(stream.head);
  }
  count_++;
  index(static_cast<uint32_t>(position));
}

bool Tombstones::covers(const Segment& segment) {
  if (count_ == 0) return false;
  const Entry* entry = find(segment.flow_hash, segment.key, segment.clock_ns);
  if (entry == nullptr) return false;
  const auto side = static_cast<size_t>(segment.side);
  if (!entry->known[side]) return false;
  const uint32_t end = segment.sequence + segment.payload_wire_size;
  return static_cast<int32_t>(end - entry->final_sequence[side]) <= 0;
}

void Tombstones::forget(const Segment& segment) {
  if (count_ == 0) return;
  if (Entry* entry = find(segment.flow_hash, segment.key, segment.clock_ns)) {
    erase_slot(static_cast<uint32_t>(entry - ring_.data()));
  }
}

Tombstones::Entry* Tombstones::find(uint64_t hash, const FlowKey& key, int64_t clock_ns) {
  const size_t mask = slots_.size() - 1;
  for (size_t i = slot_of(hash); slots_[i] != kEmpty; i = (i + 1) & mask) {
    Entry& entry = ring_[slots_[i]];
    if (entry.hash != hash || !(entry.key == key)) continue;
    return clock_ns < entry.expires_ns ? &entry : nullptr;
  }
  return nullptr;
}

void Tombstones::drop_oldest() {
  if (ring_[oldest_].valid) erase_slot(static_cast<uint32_t>(oldest_));
  oldest_ = (oldest_ + 1) % ring_.size();
  count_--;
}

// Takes the entry out of the slots; its place in the ring stays until it is the oldest.
void Tombstones::erase_slot(uint32_t position) {
  ring_[position].valid = false;
  const size_t mask = slots_.size() - 1;
  size_t hole = slot_of(ring_[position].hash);
  while (slots_[hole] != position) hole = (hole + 1) & mask;
  for (size_t i = (hole + 1) & mask; slots_[i] != kEmpty; i = (i + 1) & mask) {
    const size_t home = slot_of(ring_[slots_[i]].hash);
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = kEmpty;
}

void Tombstones::index(uint32_t position) {
  const size_t mask = slots_.size() - 1;
  size_t i = slot_of(ring_[position].hash);
  while (slots_[i] != kEmpty) i = (i + 1) & mask;
  slots_[i] = position;
}

void Tombstones::double_ring() {
  std::vector<Entry> larger(ring_.size() * 2);
  for (size_t i = 0; i < count_; i++) larger[i] = ring_[(oldest_ + i) % ring_.size()];
  ring_.swap(larger);
  oldest_ = 0;
  slots_.assign(ring_.size() * 2, kEmpty);
  for (size_t i = 0; i < count_; i++) {
    if (ring_[i].valid) index(static_cast<uint32_t>(i));
  }
}

}  // namespace tcp_sniffer
