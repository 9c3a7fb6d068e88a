#include "core/reorder_buffer.h"

#include <algorithm>
#include <cstring>

namespace tcp_sniffer {

namespace {

uint64_t differing_bytes(const uint8_t* a, const uint8_t* b, uint64_t size) {
  if (std::memcmp(a, b, static_cast<size_t>(size)) == 0) return 0;
  uint64_t count = 0;
  for (uint64_t i = 0; i < size; i++) count += a[i] != b[i];
  return count;
}

}  // namespace

ReorderBuffer::~ReorderBuffer() {
  pool_.release(bytes_);
  pool_.release(range_memory_);
  pool_.release(mark_memory_);
}

// Index of the first range that ends at or behind `offset`: the one that can be extended to the
// right, overlapped, or the next one.
uint32_t ReorderBuffer::first_range_reaching(uint64_t offset) const {
  const Range* first = ranges();
  // New bytes are nearly always behind everything that is here.
  if (range_count_ == 0 || first[range_count_ - 1].end < offset) return range_count_;
  const Range* found = std::lower_bound(first, first + range_count_, offset,
                                        [](const Range& r, uint64_t o) { return r.end < o; });
  return static_cast<uint32_t>(found - first);
}

ReorderBuffer::Result ReorderBuffer::insert(uint64_t offset, std::span<const uint8_t> data,
                                            uint64_t lost, uint64_t head, const SegmentMeta& meta,
                                            uint64_t capacity_max) {
  Result result;
  const uint64_t data_end = offset + data.size();
  const uint64_t end = data_end + lost;
  if (end == offset) return result;
  if (!reserve_bookkeeping(offset, end) ||
      !make_room(offset, end, head, capacity_max, result.rotated)) {
    result.full = true;
    return result;
  }
  if (!data.empty()) place(offset, data_end, data.data(), false, meta, result);
  if (lost > 0) place(data_end, end, nullptr, true, meta, result);
  return result;
}

// Makes [offset, end) addressable: as it is, by rotating, or by a larger buffer.
bool ReorderBuffer::make_room(uint64_t offset, uint64_t end, uint64_t head, uint64_t capacity_max,
                              bool& rotated) {
  const uint64_t capacity = std::min<uint64_t>(bytes_.capacity, capacity_max);
  if (bytes_ && offset >= base_ && end - base_ <= capacity) return true;
  const uint64_t live_end = empty() ? end : std::max(end, ranges()[range_count_ - 1].end);
  const uint64_t needed = live_end - head;
  if (needed > capacity_max) return false;
  if (empty() && bytes_ && needed <= bytes_.capacity) {
    base_ = head;
    return true;
  }
  // A quarter more than is needed now, so that the next rotation is that many bytes away and
  // copying stays linear while the head follows the bytes that come.
  Buffer next = pool_.allocate(static_cast<size_t>(std::min(needed + needed / 4, capacity_max)));
  if (!next) next = pool_.allocate(static_cast<size_t>(needed));
  if (!next) return false;
  for (uint32_t i = 0; i < range_count_; i++) {
    const Range& range = ranges()[i];
    std::memcpy(next.data + (range.start - head), bytes_.data + (range.start - base_),
                static_cast<size_t>(range.end - range.start));
  }
  rotated = static_cast<bool>(bytes_);
  pool_.release(bytes_);
  bytes_ = next;
  base_ = head;
  return true;
}

// Room for the range that [offset, end) may become, and for a mark per hole that it fills.
bool ReorderBuffer::reserve_bookkeeping(uint64_t offset, uint64_t end) {
  const uint32_t first = first_range_reaching(offset);
  uint32_t last = first;
  while (last < range_count_ && ranges()[last].start <= end) last++;
  const uint32_t holes = last - first + 2;  // around and between, and one for the lost tail
  // Bytes that touch a range become part of it: what fills a hole always finds its place.
  if (last == first && range_count_ == kRangesMax) return false;
  // One more for a moment, when only the lost tail reaches the next range.
  if ((range_count_ + 1) * sizeof(Range) > range_memory_.capacity &&
      !pool_.grow(range_memory_, (range_count_ + 1) * sizeof(Range),
                  range_count_ * sizeof(Range))) {
    return false;
  }
  if (free_mark_count_ >= holes) return true;
  const uint32_t wanted = marks_made_ + holes - free_mark_count_;
  if (wanted > kMarksMax) return false;
  return wanted * sizeof(Mark) <= mark_memory_.capacity ||
         pool_.grow(mark_memory_, wanted * sizeof(Mark), marks_made_ * sizeof(Mark));
}

uint32_t ReorderBuffer::take_mark(uint64_t start, uint64_t end, bool lost,
                                  const SegmentMeta& meta) {
  uint32_t index = free_mark_;
  if (index != kNoMark) {
    free_mark_ = marks()[index].next;
    free_mark_count_--;
  } else {
    index = marks_made_++;
  }
  Mark& mark = marks()[index];
  mark.meta = meta;
  mark.start = start;
  mark.size = static_cast<uint32_t>(end - start);
  mark.next = kNoMark;
  mark.lost = lost;
  if (lost) {
    lost_marks_++;
  } else {
    buffered_ += end - start;
  }
  return index;
}

void ReorderBuffer::store(uint64_t start, uint64_t end, const uint8_t* source) {
  if (source == nullptr) return;
  std::memcpy(bytes_.data + (start - base_), source, static_cast<size_t>(end - start));
}

// Bytes [start, end) of range `range` came again.
void ReorderBuffer::count_overlap(const Range& range, uint64_t start, uint64_t end,
                                  const uint8_t* data, Result& result) const {
  if (data == nullptr) return;
  result.duplicate += end - start;
  if (lost_marks_ == 0) {
    result.conflicting += differing_bytes(bytes_.data + (start - base_), data, end - start);
    return;
  }
  // What the snaplen cut off has no bytes to compare with.
  for (uint32_t i = range.first_mark;; i = marks()[i].next) {
    const Mark& mark = marks()[i];
    const uint64_t from = std::max(start, mark.start);
    const uint64_t to = std::min(end, mark.start + mark.size);
    if (!mark.lost && from < to) {
      result.conflicting +=
          differing_bytes(bytes_.data + (from - base_), data + (from - start), to - from);
    }
    if (i == range.last_mark) return;
  }
}

// Fills the holes within [start, end) from `data`, whose first byte belongs to `start`.
void ReorderBuffer::place(uint64_t start, uint64_t end, const uint8_t* data, bool lost,
                          const SegmentMeta& meta, Result& result) {
  const auto source = [&](uint64_t at) { return data == nullptr ? nullptr : data + (at - start); };
  uint64_t at = start;
  uint32_t i = first_range_reaching(at);
  while (at < end) {
    if (i == range_count_ || at < ranges()[i].start) {
      // A hole in front of range i (or behind all): a new range, or range i grows to the left.
      const bool joins_next = i < range_count_ && end >= ranges()[i].start;
      const uint64_t stop = joins_next ? ranges()[i].start : end;
      store(at, stop, source(at));
      if (!lost) result.accepted += stop - at;
      const uint32_t mark = take_mark(at, stop, lost, meta);
      if (joins_next) {
        marks()[mark].next = ranges()[i].first_mark;
        ranges()[i].first_mark = mark;
        ranges()[i].start = at;
      } else {
        insert_range(i, {at, stop, mark, mark});
      }
      at = stop;
      continue;
    }
    const uint64_t overlap_end = std::min(end, ranges()[i].end);
    if (overlap_end > at) count_overlap(ranges()[i], at, overlap_end, source(at), result);
    at = overlap_end;
    if (at == end) return;
    // At the right edge of range i: it grows up to the next range.
    const bool has_next = i + 1 < range_count_;
    const uint64_t stop = has_next ? std::min(end, ranges()[i + 1].start) : end;
    store(at, stop, source(at));
    if (!lost) result.accepted += stop - at;
    const uint32_t mark = take_mark(at, stop, lost, meta);
    Range& range = ranges()[i];
    marks()[range.last_mark].next = mark;
    range.last_mark = mark;
    range.end = stop;
    if (has_next && stop == ranges()[i + 1].start) {
      const Range next = ranges()[i + 1];
      marks()[range.last_mark].next = next.first_mark;
      range.last_mark = next.last_mark;
      range.end = next.end;
      erase_range(i + 1);
    }
    at = stop;
  }
}

void ReorderBuffer::insert_range(uint32_t index, const Range& range) {
  Range* at = ranges() + index;
  std::memmove(at + 1, at, (range_count_ - index) * sizeof(Range));
  *at = range;
  range_count_++;
}

void ReorderBuffer::erase_range(uint32_t index) {
  Range* at = ranges() + index;
  std::memmove(at, at + 1, (range_count_ - index - 1) * sizeof(Range));
  range_count_--;
}

ReorderBuffer::Run ReorderBuffer::front_run() const {
  const Mark& mark = marks()[ranges()[0].first_mark];
  return {bytes_.data + (mark.start - base_), mark.size, mark.lost, mark.meta};
}

void ReorderBuffer::consume(uint32_t size) {
  Range& range = ranges()[0];
  const uint32_t index = range.first_mark;
  Mark& mark = marks()[index];
  if (!mark.lost) buffered_ -= size;
  range.start += size;
  if (size < mark.size) {
    mark.start += size;
    mark.size -= size;
    return;
  }
  lost_marks_ -= mark.lost;
  const uint32_t next = mark.next;
  mark.next = free_mark_;
  free_mark_ = index;
  free_mark_count_++;
  if (range.start == range.end) {
    erase_range(0);
  } else {
    range.first_mark = next;
  }
}

}  // namespace tcp_sniffer
