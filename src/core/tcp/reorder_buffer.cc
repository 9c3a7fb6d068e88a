#include "core/tcp/reorder_buffer.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/limits.h"

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
  pool_.release(order_memory_);
}

// Index of the first range that ends at or after `offset`: the one that can be extended to the
// right, overlapped, or the next one.
uint32_t ReorderBuffer::first_range_reaching(uint64_t offset) const {
  const Range* first = ranges();
  // New bytes are nearly always after everything that is here.
  if (range_count_ == 0 || first[range_count_ - 1].end < offset) return range_count_;
  const Range* found = std::lower_bound(first, first + range_count_, offset,
                                        [](const Range& r, uint64_t o) { return r.end < o; });
  return static_cast<uint32_t>(found - first);
}

// Place of the first mark that ends after `offset`.
uint32_t ReorderBuffer::first_mark_behind(uint64_t offset) const {
  if (mark_count_ == 0 || mark(mark_count_ - 1).end() <= offset) return mark_count_;
  const uint32_t* first = order();
  const uint32_t* found =
      std::lower_bound(first, first + mark_count_, offset,
                       [&](uint32_t number, uint64_t o) { return marks()[number].end() <= o; });
  return static_cast<uint32_t>(found - first);
}

ReorderBuffer::Result ReorderBuffer::insert(uint64_t offset, std::span<const uint8_t> data,
                                            uint64_t lost, uint64_t head, const SegmentMeta& meta,
                                            uint64_t span_max) {
  Result result;
  const uint64_t data_end = offset + data.size();
  const uint64_t end = data_end + lost;
  if (end == offset) return result;
  const uint64_t live_end = empty() ? end : std::max(end, ranges()[range_count_ - 1].end);
  if (live_end - head > span_max || !reserve_bookkeeping(offset, end) ||
      !reserve_bytes(offset, data, result.rotated)) {
    result.full = true;
    return result;
  }
  if (!data.empty()) place(offset, data_end, data.data(), meta, result);
  if (lost > 0) place(data_end, end, nullptr, meta, result);
  add_range(offset, end);
  DEBUG_CHECK(buffered_ <= used_ && used_ <= bytes_.capacity);
  DEBUG_CHECK(range_count_ <= kRangesMax && mark_count_ <= kMarksMax);
  return result;
}

// Room for the range that [offset, end) may become, and for the marks that it brings: one a hole
// that it fills, one more where its cut-off tail begins, and two where it covers a part of what was
// cut off.
bool ReorderBuffer::reserve_bookkeeping(uint64_t offset, uint64_t end) {
  const uint32_t first = first_range_reaching(offset);
  uint32_t last = first;
  while (last < range_count_ && ranges()[last].start <= end) last++;
  // Bytes that touch a range become part of it: what fills a hole always finds its place.
  if (last == first && range_count_ == kRangesMax) return false;
  const uint32_t new_marks = last - first + 2 + (lost_marks_ > 0 ? 2 : 0);
  if (mark_count_ + new_marks > kMarksMax) return false;
  if (!pool_.grow(range_memory_, (range_count_ + 1) * sizeof(Range),
                  range_count_ * sizeof(Range))) {
    return false;
  }
  // The marks that were made and are not in use are free.
  const uint32_t marks_wanted = std::max(marks_made_, mark_count_ + new_marks);
  if (!pool_.grow(mark_memory_, marks_wanted * sizeof(Mark), marks_made_ * sizeof(Mark))) {
    return false;
  }
  const size_t order_wanted = (mark_count_ + new_marks) * sizeof(uint32_t);
  if (first_order_ * sizeof(uint32_t) + order_wanted <= order_memory_.capacity) return true;
  // The front was delivered. Moved only when that frees as much as it copies.
  if (first_order_ >= mark_count_ + new_marks && first_order_ > 0) {
    std::memmove(order_memory_.data, order(), mark_count_ * sizeof(uint32_t));
    first_order_ = 0;
    return true;
  }
  return pool_.grow(order_memory_, first_order_ * sizeof(uint32_t) + order_wanted,
                    (first_order_ + mark_count_) * sizeof(uint32_t));
}

// Bytes of [start, end) that are here.
uint64_t ReorderBuffer::known_bytes(uint64_t start, uint64_t end) const {
  uint64_t known = 0;
  if (lost_marks_ > 0) {
    for (uint32_t i = first_mark_behind(start); i < mark_count_ && mark(i).start < end; i++) {
      if (!mark(i).lost()) known += std::min(end, mark(i).end()) - std::max(start, mark(i).start);
    }
    return known;
  }
  for (uint32_t i = first_range_reaching(start); i < range_count_ && ranges()[i].start < end; i++) {
    known += std::min(end, ranges()[i].end) - std::max(start, ranges()[i].start);
  }
  return known;
}

// Room in A for what is new of the data, or in a B.
bool ReorderBuffer::reserve_bytes(uint64_t offset, std::span<const uint8_t> data, bool& rotated) {
  if (used_ + data.size() <= bytes_.capacity) [[likely]]
    return true;
  const uint64_t fresh = data.size() - known_bytes(offset, offset + data.size());
  if (used_ + fresh <= bytes_.capacity) return true;
  const bool had_bytes = static_cast<bool>(bytes_);
  if (!rotate(buffered_ + fresh)) return false;
  rotated = had_bytes;
  return true;
}

// A quarter more than is needed now, so that copying stays linear, however often the head moves; of
// little, which is likely to grow, some times as much.
bool ReorderBuffer::rotate(uint64_t needed) {
  constexpr uint64_t kSmall = 16384;
  const uint64_t wanted = std::max(needed + needed / 4, std::min(needed * 4, kSmall));
  Buffer next = pool_.allocate(static_cast<size_t>(wanted));
  if (!next) return false;
  uint32_t used = 0;
  for (uint32_t i = 0; i < mark_count_; i++) {
    Mark& moved = mark(i);
    if (moved.lost()) continue;
    std::memcpy(next.data + used, bytes_.data + moved.at, moved.size);
    moved.at = used;
    used += moved.size;
  }
  pool_.release(bytes_);
  bytes_ = next;
  used_ = used;
  return true;
}

uint32_t ReorderBuffer::store(const uint8_t* source, uint64_t size) {
  const auto at = static_cast<uint32_t>(used_);
  std::memcpy(bytes_.data + at, source, static_cast<size_t>(size));
  used_ += size;
  buffered_ += size;
  return at;
}

// Fills the holes within [start, end) from `data`, whose first byte belongs to `start`. nullptr:
// the bytes were cut off.
void ReorderBuffer::place(uint64_t start, uint64_t end, const uint8_t* data,
                          const SegmentMeta& meta, Result& result) {
  uint64_t at = start;
  for (uint32_t i = first_mark_behind(at); at < end; i++) {
    const uint8_t* source = data == nullptr ? nullptr : data + (at - start);
    if (i == mark_count_ || at < mark(i).start) {
      const uint64_t stop = i == mark_count_ ? end : std::min(end, mark(i).start);
      add_mark(i, at, stop, source, meta);
      if (data != nullptr) result.accepted += stop - at;
      at = stop;
      continue;
    }
    const Mark& there = mark(i);
    const uint64_t stop = std::min(end, there.end());
    if (data != nullptr && there.lost()) {
      result.accepted += stop - at;
      uncover(i, at, stop, source, meta);
      // A rest of it in front has a place of its own.
      while (mark(i).end() < stop) i++;
    } else if (data != nullptr) {
      result.duplicate += stop - at;
      result.conflicting +=
          differing_bytes(bytes_.data + there.at + (at - there.start), source, stop - at);
    }
    at = stop;
  }
}

// [start, end) of a mark that was cut off has come after all. The rest of the mark, before and
// after these bytes, stays.
void ReorderBuffer::uncover(uint32_t place, uint64_t start, uint64_t end, const uint8_t* source,
                            const SegmentMeta& meta) {
  const Mark whole = mark(place);
  if (end < whole.end()) add_mark(place + 1, end, whole.end(), nullptr, whole.meta);
  if (start > whole.start) {
    mark(place).size = static_cast<uint32_t>(start - whole.start);
    add_mark(place + 1, start, end, source, meta);
    return;
  }
  Mark& covered = mark(place);
  covered.meta = meta;
  covered.size = static_cast<uint32_t>(end - start);
  covered.at = store(source, end - start);
  lost_marks_--;
}

void ReorderBuffer::add_mark(uint32_t place, uint64_t start, uint64_t end, const uint8_t* source,
                             const SegmentMeta& meta) {
  uint32_t number = free_mark_;
  if (number != kNone) {
    free_mark_ = marks()[number].at;
  } else {
    number = marks_made_++;
  }
  Mark& made = marks()[number];
  made.meta = meta;
  made.start = start;
  made.size = static_cast<uint32_t>(end - start);
  if (source == nullptr) {
    made.at = kNone;
    lost_marks_++;
  } else {
    made.at = store(source, end - start);
  }
  insert_order(place, number);
}

// Makes room on the shorter side, where there is any.
void ReorderBuffer::insert_order(uint32_t place, uint32_t number) {
  if (first_order_ > 0 && place < mark_count_ / 2) {
    first_order_--;
    std::memmove(order(), order() + 1, place * sizeof(uint32_t));
  } else {
    uint32_t* at = order() + place;
    std::memmove(at + 1, at, (mark_count_ - place) * sizeof(uint32_t));
  }
  order()[place] = number;
  mark_count_++;
}

// [start, end) is here now: a range of its own, or joined with those that it touches.
void ReorderBuffer::add_range(uint64_t start, uint64_t end) {
  const uint32_t first = first_range_reaching(start);
  uint32_t last = first;
  while (last < range_count_ && ranges()[last].start <= end) last++;
  Range* at = ranges() + first;
  if (last == first) {
    std::memmove(at + 1, at, (range_count_ - first) * sizeof(Range));
    *at = {start, end};
    range_count_++;
    return;
  }
  at->start = std::min(start, at->start);
  at->end = std::max(end, ranges()[last - 1].end);
  if (last == first + 1) return;
  std::memmove(at + 1, ranges() + last, (range_count_ - last) * sizeof(Range));
  range_count_ -= last - first - 1;
}

ReorderBuffer::Run ReorderBuffer::front_run() const {
  const Mark& first = mark(0);
  return {first.lost() ? nullptr : bytes_.data + first.at, first.size, first.lost(), first.meta};
}

size_t ReorderBuffer::copy_front(std::span<uint8_t> into) const {
  size_t size = 0;
  for (uint32_t place = 0; place < mark_count_ && size < into.size(); place++) {
    const Mark& next = mark(place);
    if (next.lost() || next.start != front() + size) break;
    const size_t part = std::min<size_t>(next.size, into.size() - size);
    std::memcpy(into.data() + size, bytes_.data + next.at, part);
    size += part;
  }
  return size;
}

void ReorderBuffer::replace_octets(uint64_t offset, std::span<const uint8_t> data,
                                   const SegmentMeta& meta) {
  const uint64_t end = offset + data.size();
  for (uint32_t i = first_range_reaching(offset + 1); i < range_count_; i++) {
    const uint64_t start = ranges()[i].start;
    if (start >= end) break;
    if (start <= offset) continue;
    Mark& octet = mark(first_mark_behind(start));
    if (octet.size != 1 || octet.lost()) continue;
    bytes_.data[octet.at] = data[static_cast<size_t>(start - offset)];
    octet.meta = meta;
  }
}

void ReorderBuffer::consume(uint32_t size) {
  Range& range = ranges()[0];
  const uint32_t number = order()[0];
  Mark& first = marks()[number];
  DEBUG_CHECK(size <= first.size);
  if (!first.lost()) buffered_ -= size;
  range.start += size;
  if (size < first.size) {
    first.start += size;
    first.size -= size;
    if (!first.lost()) first.at += size;
    return;
  }
  lost_marks_ -= first.lost();
  first.at = free_mark_;
  free_mark_ = number;
  first_order_++;
  mark_count_--;
  if (range.start == range.end) {
    range_count_--;
    std::memmove(ranges(), ranges() + 1, range_count_ * sizeof(Range));
  }
  if (mark_count_ == 0) used_ = first_order_ = 0;
}

void ReorderBuffer::check_invariants() const {
  require(range_count_ <= kRangesMax, "ranges: too many");
  require(mark_count_ <= kMarksMax && mark_count_ <= marks_made_, "marks: too many");
  require(buffered_ <= used_ && used_ <= bytes_.capacity, "bytes: more than there is room");
  uint32_t range = 0;
  uint32_t lost = 0;
  uint64_t stored = 0;
  uint64_t at = range_count_ > 0 ? ranges()[0].start : 0;
  for (uint32_t i = 0; i < mark_count_; i++) {
    const Mark& here = mark(i);
    require(here.size > 0 && here.start == at, "marks: a hole or an overlap within a range");
    require(here.lost() || here.at + uint64_t{here.size} <= used_, "marks: bytes beyond the end");
    lost += here.lost();
    if (!here.lost()) stored += here.size;
    at = here.end();
    require(at <= ranges()[range].end, "marks: one reaches beyond its range");
    if (at < ranges()[range].end) continue;
    range++;
    if (range == range_count_) continue;
    require(ranges()[range].start > at, "ranges: they overlap or touch");
    at = ranges()[range].start;
  }
  require(range == range_count_, "ranges: one without its marks");
  require(lost == lost_marks_ && stored == buffered_, "counts: not those of the marks");
  uint32_t free_marks = 0;
  for (uint32_t i = free_mark_; i != kNone; i = marks()[i].at) free_marks++;
  require(free_marks == marks_made_ - mark_count_, "marks: some are neither in use nor free");
}

}  // namespace tcp_sniffer
