#pragma once

#include <cstdint>
#include <span>

#include "core/buffer_pool.h"
#include "core/limits.h"

namespace tcp_sniffer {

// What is remembered of the segment that brought a run of stream bytes.
struct SegmentMeta {
  int64_t time_ns = 0;        // packet time
  uint64_t frame = 0;         // frame number in the input
  uint64_t acknowledged = 0;  // offset in the peer's stream that it acknowledges; 0 = none known
};

// Bytes of one direction of a connection that can not be delivered yet: they lie behind a hole,
// or wait for the other direction. Exists only while there are such bytes.
//
//            base              head                                    base + capacity
//   buffer A  |  delivered, dead |....hole....|#range#|..hole..|##range##|   free   |
//                                               marks: [seg][seg]  [segment]
//
// Two flat buffers that rotate, never a ring: when a segment does not fit, a buffer B is taken
// (the same size when dropping the dead front is enough, else larger), the live ranges are copied
// and A is given back. Positions are 64-bit stream offsets; only copying turns them into indices.
// The bookkeeping (ranges, marks) is apart from the bytes.
//
// Invariants:
// 1. ranges are sorted, disjoint and never touch; at most kRangesMax.
// 2. every byte of a range belongs to exactly one mark, and the marks of a range are a list in
//    stream order without holes: the first copy of a byte wins, a later one only fills holes.
// 3. insert takes a segment wholly or not at all (kFull), so nothing is half booked.
//
// Owned by one connection's stream; all memory comes from the shard's pool, which must outlive it.
class ReorderBuffer {
 public:
  explicit ReorderBuffer(BufferPool& pool) : pool_(pool) {}
  ~ReorderBuffer();
  ReorderBuffer(const ReorderBuffer&) = delete;
  ReorderBuffer& operator=(const ReorderBuffer&) = delete;

  struct Result {
    bool full = false;         // nothing was taken
    uint64_t accepted = 0;     // bytes that were new
    uint64_t duplicate = 0;    // bytes that were there
    uint64_t conflicting = 0;  // of the duplicate ones: those that differ
    bool rotated = false;
  };

  // Places the bytes [offset, offset + data.size()), followed by `lost` bytes that the segment had
  // but the capture cut off (snaplen): those are stored as known to be missing.
  // `head` <= offset is the stream's next offset to deliver; `capacity_max` bounds the buffer.
  Result insert(uint64_t offset, std::span<const uint8_t> data, uint64_t lost, uint64_t head,
                const SegmentMeta& meta, uint64_t capacity_max);

  bool empty() const { return range_count_ == 0; }
  uint32_t range_count() const { return range_count_; }
  // First offset that is here; only when not empty.
  uint64_t front() const { return ranges()[0].start; }
  // End of the first contiguous range; only when not empty.
  uint64_t front_end() const { return ranges()[0].end; }
  // Bytes stored, those known to be missing not counted.
  uint64_t buffered_bytes() const { return buffered_; }

  // The first segment's stretch of bytes, at front().
  struct Run {
    const uint8_t* data = nullptr;  // valid until the next call that is not const
    uint32_t size = 0;
    bool lost = false;  // the bytes were cut off by the snaplen: data is no data
    SegmentMeta meta;
  };
  Run front_run() const;

  // Takes `size` bytes, at most front_run().size, from the front.
  void consume(uint32_t size);

 private:
  struct Range {
    uint64_t start;
    uint64_t end;
    uint32_t first_mark;
    uint32_t last_mark;
  };
  struct Mark {
    SegmentMeta meta;
    uint64_t start;
    uint32_t size;
    uint32_t next;
    bool lost;
  };
  static constexpr uint32_t kNoMark = 0xffffffff;

  Range* ranges() { return reinterpret_cast<Range*>(range_memory_.data); }
  const Range* ranges() const { return reinterpret_cast<const Range*>(range_memory_.data); }
  Mark* marks() { return reinterpret_cast<Mark*>(mark_memory_.data); }
  const Mark* marks() const { return reinterpret_cast<const Mark*>(mark_memory_.data); }

  uint32_t first_range_reaching(uint64_t offset) const;
  bool make_room(uint64_t offset, uint64_t end, uint64_t head, uint64_t capacity_max,
                 bool& rotated);
  bool reserve_bookkeeping(uint64_t offset, uint64_t end);
  uint32_t take_mark(uint64_t start, uint64_t end, bool lost, const SegmentMeta& meta);
  void store(uint64_t start, uint64_t end, const uint8_t* source);
  void place(uint64_t start, uint64_t end, const uint8_t* data, bool lost, const SegmentMeta& meta,
             Result& result);
  void count_overlap(const Range& range, uint64_t start, uint64_t end, const uint8_t* data,
                     Result& result) const;
  void insert_range(uint32_t index, const Range& range);
  void erase_range(uint32_t index);

  BufferPool& pool_;
  Buffer bytes_;
  Buffer range_memory_;
  Buffer mark_memory_;
  uint64_t base_ = 0;
  uint64_t buffered_ = 0;
  uint32_t range_count_ = 0;
  uint32_t marks_made_ = 0;  // marks ever taken from mark_memory_, free ones included
  uint32_t free_mark_ = kNoMark;
  uint32_t free_mark_count_ = 0;
  uint32_t lost_marks_ = 0;
};

}  // namespace tcp_sniffer
