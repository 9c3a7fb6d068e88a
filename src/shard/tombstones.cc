#include "shard/tombstones.h"

namespace tcp_sniffer {

Tombstones::Tombstones() : sets_(kSetsMin) {}

void Tombstones::clear() {
  sets_ = HugeArray<Set>(kSetsMin);
}

void Tombstones::bury(const Connection& connection, int64_t clock_ns) {
  Grave grave{connection.identity.key, {0, 0}, fine_ticks(connection.last_clock_ns)};
  for (size_t side = 0; side < 2; side++) {
    const TcpStream& stream = connection.streams[side];
    if (stream.seen) grave.end_and_known |= uint32_t{1} << side;
    grave.final_sequence[side] = stream.sequence_of(stream.head);
  }
  const uint32_t tag = tag_of(connection.hash);
  const uint32_t now = ticks(clock_ns);
  while (!place(tag, now + kLifeTicks, grave, now)) {
    if (sets_.size() < kSetsMax) {
      double_sets(now);
      continue;
    }
    Set& set = sets_[set_of_tag(tag)];
    size_t oldest = 0;
    for (size_t way = 1; way < kWays; way++) {
      if (static_cast<int32_t>(set.expiry[way] - set.expiry[oldest]) < 0) oldest = way;
    }
    set.tag[oldest] = 0;
    forgotten_early_++;
  }
}

// Into the place of an earlier end of the same connection's key, or a free one.
bool Tombstones::place(uint32_t tag, uint32_t expiry, const Grave& grave, uint32_t now) {
  Set& set = sets_[set_of_tag(tag)];
  const bool may_be_here = may_hold(set, tag);
  size_t chosen = kWays;
  for (size_t way = 0; way < kWays; way++) {
    if (!lives(set, way, now)) {
      if (chosen == kWays) chosen = way;
      if (!may_be_here) break;
    } else if (set.tag[way] == tag && set.graves[way].key == grave.key) {
      chosen = way;
      break;
    }
  }
  if (chosen == kWays) return false;
  set.tag[chosen] = tag;
  set.expiry[chosen] = expiry;
  set.graves[chosen] = grave;
  return true;
}

// Every entry keeps its way: the entries of one new set all come from the same old one.
void Tombstones::double_sets(uint32_t now) {
  HugeArray<Set> old(sets_.size() * 2);
  old.swap(sets_);
  for (const Set& set : old) {
    for (size_t way = 0; way < kWays; way++) {
      if (!lives(set, way, now)) continue;
      Set& wider = sets_[set_of_tag(set.tag[way])];
      wider.tag[way] = set.tag[way];
      wider.expiry[way] = set.expiry[way];
      wider.graves[way] = set.graves[way];
    }
  }
}

const Tombstones::Grave* Tombstones::grave_of(const Segment& segment) const {
  const uint32_t tag = tag_of(segment.flow_hash);
  const uint32_t now = ticks(segment.clock_ns);
  const Set& set = sets_[set_of_tag(tag)];
  if (!may_hold(set, tag)) return nullptr;
  for (size_t way = 0; way < kWays; way++) {
    if (set.tag[way] != tag || !lives(set, way, now)) continue;
    if (set.graves[way].key == segment.key) return &set.graves[way];
  }
  return nullptr;
}

bool Tombstones::covers(const Segment& segment) const {
  const Grave* const grave = grave_of(segment);
  if (grave == nullptr) return false;
  const auto side = static_cast<size_t>(segment.side);
  const uint32_t end = segment.sequence + segment.payload_wire_size;
  return (grave->end_and_known >> side & 1) != 0 &&
         static_cast<int32_t>(end - grave->final_sequence[side]) <= 0;
}

bool Tombstones::is_before_the_end(const Segment& segment) const {
  const Grave* const grave = grave_of(segment);
  if (grave == nullptr) return false;
  const uint32_t end = grave->end_and_known & ~uint32_t{3};
  return static_cast<int32_t>(fine_ticks(segment.time_ns) - end) < 0;
}

void Tombstones::forget(const Segment& segment) {
  const uint32_t tag = tag_of(segment.flow_hash);
  Set& set = sets_[set_of_tag(tag)];
  if (!may_hold(set, tag)) return;
  for (size_t way = 0; way < kWays; way++) {
    if (set.tag[way] == tag && set.graves[way].key == segment.key) set.tag[way] = 0;
  }
}

}  // namespace tcp_sniffer
