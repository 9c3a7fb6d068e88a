#pragma once

#include <cstdint>
#include <span>

#include "core/base/buffer_pool.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

// Bytes of one direction of a connection that cannot be delivered yet: they come after a hole, or
// wait for the other direction. Exists only while there are such bytes.
//
//   stream     head |....hole....|##3##|..hole..|####1####|###2###|
//                                   │             │         │        marks, in stream order
//   buffer A   |·dead·|####1####|###2###|##3##|     free       |
//
// Two flat buffers that rotate, never a ring. Segments are stored one after the other, as they
// come. When a segment does not fit, a buffer B is taken, a quarter larger than needed, so that the
// next rotation is that many bytes away. What is not delivered yet is copied to it in the order of
// the stream, and A is given back. So memory is taken for what is stored, however far ahead of the
// head it is. Positions are 64-bit stream offsets; only a mark knows where its bytes are stored.
// The bookkeeping (ranges, marks, their order) is apart from the bytes.
//
// Invariants:
// 1. ranges are sorted, disjoint and never touch; at most kRangesMax.
// 2. the marks, in stream order, fill the ranges exactly and do not overlap: the first captured
//    copy of a byte wins, a later one only fills holes and what the snaplen had cut off
//    (but see replace_octets).
// 3. the bytes of a mark are in one piece of A, and no two marks share any:
//    buffered_bytes() <= used_ <= the capacity of A.
// 4. insert takes a segment wholly or not at all (full).
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
  // `head` <= offset is the stream's next offset to deliver; what is here never reaches more than
  // `span_max` beyond it.
  Result insert(uint64_t offset, std::span<const uint8_t> data, uint64_t lost, uint64_t head,
                const SegmentMeta& meta, uint64_t span_max);

  bool empty() const { return range_count_ == 0; }
  uint32_t range_count() const { return range_count_; }
  // First offset that is here; only when not empty.
  uint64_t front() const { return ranges()[0].start; }
  // End of the first contiguous range; only when not empty.
  uint64_t front_end() const { return ranges()[0].end; }
  // End of the last range; only when not empty.
  uint64_t end() const { return ranges()[range_count_ - 1].end; }
  // Bytes stored, those known to be missing not counted.
  uint64_t buffered_bytes() const { return buffered_; }
  // What it has of the pool, this object not counted.
  size_t held_bytes() const {
    return bytes_.capacity + range_memory_.capacity + mark_memory_.capacity +
           order_memory_.capacity;
  }

  // The first segment's stretch of bytes, at front().
  struct Run {
    const uint8_t* data = nullptr;  // valid until the next call that is not const
    uint32_t size = 0;
    bool lost = false;  // the bytes were cut off by the snaplen: data is no data
    SegmentMeta meta;
  };
  Run front_run() const;

  // Copies the bytes at the front that follow each other, as many as there is room for. Returns how
  // many.
  size_t copy_front(std::span<uint8_t> into) const;

  // A byte that came alone after a hole may be a keep-alive probe's octet of garbage, captured
  // before the segment that it repeats: what that has in its place, [offset, offset + data.size()),
  // counts.
  void replace_octets(uint64_t offset, std::span<const uint8_t> data, const SegmentMeta& meta);

  // Takes `size` bytes, at most front_run().size, from the front.
  void consume(uint32_t size);

  // Aborts when an invariant is broken. Linear: for tests.
  void check_invariants() const;

 private:
  struct Range {
    uint64_t start;
    uint64_t end;
  };
  static constexpr uint32_t kNone = 0xffffffff;
  struct Mark {
    SegmentMeta meta;
    uint64_t start;
    uint32_t size;
    uint32_t at;  // index of its first byte in A, kNone: cut off; of a free mark: the next one

    uint64_t end() const { return start + size; }
    bool lost() const { return at == kNone; }
  };

  Range* ranges() { return reinterpret_cast<Range*>(range_memory_.data); }
  const Range* ranges() const { return reinterpret_cast<const Range*>(range_memory_.data); }
  Mark* marks() { return reinterpret_cast<Mark*>(mark_memory_.data); }
  const Mark* marks() const { return reinterpret_cast<const Mark*>(mark_memory_.data); }
  // Numbers of the marks that are in use, in stream order: [first_order_, first_order_ +
  // mark_count_).
  uint32_t* order() { return reinterpret_cast<uint32_t*>(order_memory_.data) + first_order_; }
  const uint32_t* order() const {
    return reinterpret_cast<const uint32_t*>(order_memory_.data) + first_order_;
  }
  Mark& mark(uint32_t place) { return marks()[order()[place]]; }
  const Mark& mark(uint32_t place) const { return marks()[order()[place]]; }

  uint32_t first_range_reaching(uint64_t offset) const;
  uint32_t first_mark_behind(uint64_t offset) const;
  bool reserve_bookkeeping(uint64_t offset, uint64_t end);
  bool reserve_bytes(uint64_t offset, std::span<const uint8_t> data, bool& rotated);
  uint64_t known_bytes(uint64_t start, uint64_t end) const;
  bool rotate(uint64_t needed);
  void place(uint64_t start, uint64_t end, const uint8_t* data, const SegmentMeta& meta,
             Result& result);
  void uncover(uint32_t place, uint64_t start, uint64_t end, const uint8_t* source,
               const SegmentMeta& meta);
  void add_mark(uint32_t place, uint64_t start, uint64_t end, const uint8_t* source,
                const SegmentMeta& meta);
  void insert_order(uint32_t place, uint32_t number);
  void add_range(uint64_t start, uint64_t end);
  uint32_t store(const uint8_t* source, uint64_t size);

  BufferPool& pool_;
  Buffer bytes_;
  Buffer range_memory_;
  Buffer mark_memory_;
  Buffer order_memory_;
  uint64_t used_ = 0;      // bytes of A that were stored, dead ones included
  uint64_t buffered_ = 0;  // those that are not delivered yet
  uint32_t range_count_ = 0;
  uint32_t mark_count_ = 0;
  uint32_t first_order_ = 0;
  uint32_t marks_made_ = 0;  // marks ever taken from mark_memory_, free ones included
  uint32_t free_mark_ = kNone;
  uint32_t lost_marks_ = 0;
};

}  // namespace tcp_sniffer
