#include "core/net/defragmenter.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace tcp_sniffer {

Defragmenter::Defragmenter(const DefragmentLimits& limits)
    : limits_(limits),
      datagrams_(std::max<size_t>(limits.datagrams_max, 1)),
      buckets_(std::bit_ceil(datagrams_.size() * 2), kNone) {
  for (uint32_t i = 0; i < datagrams_.size(); ++i) {
    datagrams_[i].next_in_bucket = i + 1 < datagrams_.size() ? i + 1 : kNone;
  }
  free_ = 0;
}

Defragmenter::~Defragmenter() = default;

FragmentFate Defragmenter::add(const Fragment& fragment, int64_t clock_ns, Fragment& header,
                               std::span<const uint8_t>& payload) {
  // The fragment may lie in the datagram handed out last: its memory goes back only afterwards.
  Buffer previous = std::move(handed_out_);
  const size_t previous_class = handed_out_class_;
  expire(clock_ns);
  const FragmentFate fate = take(fragment, clock_ns, header, payload);
  if (previous) give_back(std::move(previous), previous_class);
  return fate;
}

FragmentFate Defragmenter::take(const Fragment& fragment, int64_t clock_ns, Fragment& header,
                                std::span<const uint8_t>& payload) {
  uint32_t wire_size = std::max(fragment.wire_size, static_cast<uint32_t>(fragment.data.size()));
  if (fragment.more && wire_size % 8 != 0) {
    // Only the last fragment may have an odd size. Hosts cut the others (IPv4) or refuse them
    // (RFC 8200 section 4.5).
    wire_size = fragment.ip_version == 4 ? wire_size / 8 * 8 : 0;
  }
  if (wire_size == 0 || fragment.offset > kDatagramSizeMax ||
      wire_size > kDatagramSizeMax - fragment.offset) {
    return drop(counters_.dropped_invalid);
  }
  const Key key = make_key(fragment);
  const uint64_t hash = XXH3_64bits_withSeed(&key, sizeof(key), limits_.hash_seed);
  uint32_t index = find(key, hash);
  if (index == kNone) {
    index = create(key, hash, clock_ns);
  } else if (datagrams_[index].state == State::kFinished) {
    return drop(counters_.dropped_late);
  } else if (datagrams_[index].state == State::kDiscarded) {
    return drop(counters_.dropped_overlap);
  }
  const FragmentFate fate = store(index, fragment, wire_size, clock_ns);
  if (fate == FragmentFate::kCompleted) finish(index, clock_ns, header, payload);
  return fate;
}

FragmentFate Defragmenter::store(uint32_t index, const Fragment& fragment, uint32_t wire_size,
                                 int64_t clock_ns) {
  Datagram& datagram = datagrams_[index];
  const uint32_t begin = fragment.offset;
  const uint32_t end = begin + wire_size;
  const uint32_t reached =
      datagram.range_count == 0 ? 0 : datagram.ranges[datagram.range_count - 1u].end;
  const bool contradicts =
      fragment.more ? datagram.total_size != 0 && end > datagram.total_size
                    : end < reached || (datagram.total_size != 0 && end != datagram.total_size);
  if (contradicts) return drop(counters_.dropped_invalid);

  if (fragment.ip_version == 6 && overlaps(datagram, begin, end)) {
    if (!is_copy(datagram, fragment, end)) discard(index, clock_ns);
    return drop(counters_.dropped_overlap);
  }
  const bool tells_end = !fragment.more && datagram.total_size == 0;
  if (covers(datagram, begin, end) && !tells_end) return drop(counters_.dropped_overlap);

  if (!has_room_for_range(datagram, begin, end) || !reserve(index, end)) {
    give_up(index, counters_.dropped_limit);
    return drop(counters_.dropped_limit);
  }
  copy_new_bytes(datagram, fragment, end);
  insert_range(datagram, begin, end);
  if (!fragment.more) datagram.total_size = end;
  if (begin == 0 && !datagram.has_first) {
    datagram.has_first = true;
    datagram.first = fragment;
  }
  const bool complete = datagram.range_count == 1 && datagram.ranges[0].begin == 0 &&
                        datagram.ranges[0].end == datagram.total_size;
  if (complete) return FragmentFate::kCompleted;
  ++datagram.frames;
  ++counters_.held;
  return FragmentFate::kHeld;
}

void Defragmenter::finish(uint32_t index, int64_t clock_ns, Fragment& header,
                          std::span<const uint8_t>& payload) {
  Datagram& datagram = datagrams_[index];
  ++counters_.completed;
  counters_.merged += datagram.frames;
  counters_.held -= datagram.frames;
  datagram.frames = 0;
  handed_out_ = std::move(datagram.bytes);
  handed_out_class_ = datagram.size_class;
  payload = {handed_out_.get(), std::min(datagram.total_size, datagram.cut_at)};
  header = datagram.first;
  header.offset = 0;
  header.more = false;
  header.data = payload;
  header.wire_size = datagram.total_size;
  unlink(open_, index);
  datagram.state = State::kFinished;
  datagram.deadline_ns = clock_ns + limits_.duplicate_window_ns;
  append(finished_, index);
}

// --- Received ranges -------------------------------------------------------------------------

bool Defragmenter::overlaps(const Datagram& datagram, uint32_t begin, uint32_t end) {
  for (uint32_t i = 0; i < datagram.range_count; ++i) {
    if (datagram.ranges[i].begin < end && begin < datagram.ranges[i].end) return true;
  }
  return false;
}

bool Defragmenter::covers(const Datagram& datagram, uint32_t begin, uint32_t end) {
  for (uint32_t i = 0; i < datagram.range_count; ++i) {
    if (datagram.ranges[i].begin <= begin && end <= datagram.ranges[i].end) return true;
  }
  return false;
}

bool Defragmenter::is_copy(const Datagram& datagram, const Fragment& fragment, uint32_t end) {
  if (!covers(datagram, fragment.offset, end)) return false;
  if (fragment.offset >= datagram.cut_at) return true;
  const size_t comparable =
      std::min<size_t>(fragment.data.size(), datagram.cut_at - fragment.offset);
  return std::memcmp(datagram.bytes.get() + fragment.offset, fragment.data.data(), comparable) == 0;
}

bool Defragmenter::has_room_for_range(const Datagram& datagram, uint32_t begin, uint32_t end) {
  if (datagram.range_count < kRangesMax) return true;
  for (uint32_t i = 0; i < datagram.range_count; ++i) {
    if (datagram.ranges[i].begin <= end && begin <= datagram.ranges[i].end) return true;
  }
  return false;
}

void Defragmenter::insert_range(Datagram& datagram, uint32_t begin, uint32_t end) {
  // Ranges are sorted and never touch: those that touch the new one become part of it.
  uint32_t first = 0;
  while (first < datagram.range_count && datagram.ranges[first].end < begin) ++first;
  uint32_t behind = first;
  for (; behind < datagram.range_count && datagram.ranges[behind].begin <= end; ++behind) {
    begin = std::min<uint32_t>(begin, datagram.ranges[behind].begin);
    end = std::max<uint32_t>(end, datagram.ranges[behind].end);
  }
  Range* ranges = datagram.ranges.data();
  std::memmove(ranges + first + 1, ranges + behind,
               (datagram.range_count - behind) * sizeof(Range));
  ranges[first] = {static_cast<uint16_t>(begin), static_cast<uint16_t>(end)};
  datagram.range_count = static_cast<uint16_t>(datagram.range_count + 1 - (behind - first));
}

void Defragmenter::copy_new_bytes(Datagram& datagram, const Fragment& fragment, uint32_t end) {
  uint32_t at = fragment.offset;
  const uint32_t captured_end = fragment.offset + static_cast<uint32_t>(std::min<size_t>(
                                                      fragment.data.size(), end - fragment.offset));
  for (uint32_t i = 0; i <= datagram.range_count && at < end; ++i) {
    const bool behind_all = i == datagram.range_count;
    const uint32_t gap_end = behind_all ? end : std::min<uint32_t>(end, datagram.ranges[i].begin);
    if (at < gap_end) {
      const uint32_t copy_end = std::clamp(captured_end, at, gap_end);
      std::memcpy(datagram.bytes.get() + at, fragment.data.data() + (at - fragment.offset),
                  copy_end - at);
      if (copy_end < gap_end) datagram.cut_at = std::min(datagram.cut_at, copy_end);
    }
    if (!behind_all) at = std::max<uint32_t>(at, datagram.ranges[i].end);
  }
}

// --- Giving up -------------------------------------------------------------------------------

FragmentFate Defragmenter::drop(uint64_t& reason) {
  ++reason;
  ++counters_.dropped;
  return FragmentFate::kDropped;
}

void Defragmenter::release_frames(Datagram& datagram, uint64_t& reason) {
  reason += datagram.frames;
  counters_.dropped += datagram.frames;
  counters_.held -= datagram.frames;
  datagram.frames = 0;
  if (datagram.bytes) give_back(std::move(datagram.bytes), datagram.size_class);
}

void Defragmenter::give_up(uint32_t index, uint64_t& reason) {
  release_frames(datagrams_[index], reason);
  unlink(open_, index);
  remove(index);
}

void Defragmenter::discard(uint32_t index, int64_t clock_ns) {
  // RFC 5722 section 4: the slot stays, to refuse the fragments yet to come.
  release_frames(datagrams_[index], counters_.dropped_overlap);
  unlink(open_, index);
  datagrams_[index].state = State::kDiscarded;
  datagrams_[index].deadline_ns = clock_ns + limits_.timeout_ns;
  append(discarded_, index);
}

void Defragmenter::expire(int64_t clock_ns) {
  while (open_.oldest != kNone && datagrams_[open_.oldest].deadline_ns <= clock_ns) {
    give_up(open_.oldest, counters_.dropped_timeout);
  }
  forget_expired(discarded_, clock_ns);
  forget_expired(finished_, clock_ns);
}

void Defragmenter::flush() {
  while (open_.oldest != kNone) give_up(open_.oldest, counters_.dropped_at_end);
  while (forget_oldest(discarded_) || forget_oldest(finished_)) {
  }
}

bool Defragmenter::forget_oldest(List& list) {
  const uint32_t index = list.oldest;
  if (index == kNone) return false;
  unlink(list, index);
  remove(index);
  return true;
}

void Defragmenter::forget_expired(List& list, int64_t clock_ns) {
  while (list.oldest != kNone && datagrams_[list.oldest].deadline_ns <= clock_ns) {
    forget_oldest(list);
  }
}

// --- Slots -----------------------------------------------------------------------------------

Defragmenter::Key Defragmenter::make_key(const Fragment& fragment) const {
  Key key;
  key.source = fragment.source;
  key.destination = fragment.destination;
  key.id = fragment.id;
  key.tunnel_id = fragment.tunnel.id;
  key.vlan = limits_.key_vlan ? fragment.vlan : uint16_t{0};
  key.tunnel_kind = fragment.tunnel.kind;
  key.ip_version = fragment.ip_version;
  key.protocol = fragment.ip_version == 4 ? fragment.protocol : uint8_t{0};
  return key;
}

uint32_t Defragmenter::find(const Key& key, uint64_t hash) const {
  uint32_t index = buckets_[hash & (buckets_.size() - 1)];
  while (index != kNone) {
    const Datagram& datagram = datagrams_[index];
    if (datagram.hash == hash && std::memcmp(&datagram.key, &key, sizeof(key)) == 0) break;
    index = datagram.next_in_bucket;
  }
  return index;
}

uint32_t Defragmenter::create(const Key& key, uint64_t hash, int64_t clock_ns) {
  if (free_ == kNone && !forget_oldest(finished_) && !forget_oldest(discarded_)) {
    give_up(open_.oldest, counters_.dropped_limit);
  }
  const uint32_t index = free_;
  Datagram& datagram = datagrams_[index];
  free_ = datagram.next_in_bucket;
  datagram.key = key;
  datagram.hash = hash;
  datagram.deadline_ns = clock_ns + limits_.timeout_ns;
  datagram.frames = 0;
  datagram.total_size = 0;
  datagram.cut_at = kDatagramSizeMax + 1;
  datagram.range_count = 0;
  datagram.state = State::kOpen;
  datagram.has_first = false;
  uint32_t& bucket = buckets_[hash & (buckets_.size() - 1)];
  datagram.next_in_bucket = bucket;
  bucket = index;
  append(open_, index);
  return index;
}

void Defragmenter::remove(uint32_t index) {
  Datagram& datagram = datagrams_[index];
  uint32_t* link = &buckets_[datagram.hash & (buckets_.size() - 1)];
  while (*link != index) link = &datagrams_[*link].next_in_bucket;
  *link = datagram.next_in_bucket;
  datagram.next_in_bucket = free_;
  free_ = index;
}

void Defragmenter::append(List& list, uint32_t index) {
  Datagram& datagram = datagrams_[index];
  datagram.older = list.newest;
  datagram.newer = kNone;
  (list.newest == kNone ? list.oldest : datagrams_[list.newest].newer) = index;
  list.newest = index;
}

void Defragmenter::unlink(List& list, uint32_t index) {
  const Datagram& datagram = datagrams_[index];
  (datagram.older == kNone ? list.oldest : datagrams_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? list.newest : datagrams_[datagram.newer].older) = datagram.older;
}

// --- Memory ----------------------------------------------------------------------------------

bool Defragmenter::reserve(uint32_t index, uint32_t size) {
  Datagram& datagram = datagrams_[index];
  if (datagram.bytes && size <= kClassBytes[datagram.size_class]) return true;
  size_t size_class = 0;
  while (kClassBytes[size_class] < size) ++size_class;
  Buffer larger = take_buffer(size_class, index);
  if (!larger) return false;
  if (datagram.bytes) {
    std::memcpy(larger.get(), datagram.bytes.get(), datagram.ranges[datagram.range_count - 1u].end);
    give_back(std::move(datagram.bytes), datagram.size_class);
  }
  datagram.bytes = std::move(larger);
  datagram.size_class = static_cast<uint8_t>(size_class);
  return true;
}

Defragmenter::Buffer Defragmenter::take_buffer(size_t size_class, uint32_t keep) {
  std::vector<Buffer>& pooled = pool_[size_class];
  while (pooled.empty()) {
    if (memory_bytes_ + kClassBytes[size_class] <= limits_.memory_bytes_max) {
      memory_bytes_ += kClassBytes[size_class];
      return std::make_unique<uint8_t[]>(kClassBytes[size_class]);
    }
    if (!free_pooled() && !evict_oldest(keep)) return nullptr;
  }
  Buffer buffer = std::move(pooled.back());
  pooled.pop_back();
  return buffer;
}

void Defragmenter::give_back(Buffer buffer, size_t size_class) {
  if (memory_bytes_ > limits_.memory_bytes_max) {
    memory_bytes_ -= kClassBytes[size_class];
    return;
  }
  pool_[size_class].push_back(std::move(buffer));
}

bool Defragmenter::free_pooled() {
  for (size_t size_class = kSizeClasses; size_class-- > 0;) {
    if (pool_[size_class].empty()) continue;
    pool_[size_class].pop_back();
    memory_bytes_ -= kClassBytes[size_class];
    return true;
  }
  return false;
}

bool Defragmenter::evict_oldest(uint32_t keep) {
  uint32_t index = open_.oldest;
  if (index != kNone && index == keep) index = datagrams_[index].newer;
  if (index == kNone) return false;
  give_up(index, counters_.dropped_limit);
  return true;
}

}  // namespace tcp_sniffer
