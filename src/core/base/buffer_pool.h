#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"

namespace tcp_sniffer {

// A piece of memory from a BufferPool. Plain value; its holder gives it back.
struct Buffer {
  uint8_t* data = nullptr;
  size_t capacity = 0;  // a power of two, or 0 for no buffer

  explicit operator bool() const { return data != nullptr; }
};

// The memory of one shard that traffic can make grow: reorder buffers, message arenas, parser
// objects, and by charge() long lines on their way to the output. Sizes are powers of two. A
// released buffer is kept for the next allocation of its size, up to idle_bytes_max() in all: who
// holds many large bodies takes new memory from the system less often, and gives back what it no
// longer needs.
//
// The pool must outlive its buffers. Single thread.
//
// Invariants:
// 1. used_bytes() + idle bytes <= limit_bytes, and idle bytes <= idle_bytes_max(), always.
// 2. allocate never throws and never blocks: it answers with an empty Buffer when the limit is
//    reached, and the caller gives something up.
class BufferPool {
 public:
  static constexpr size_t kSizeMin = 256;
  // Holds a body of maxBodySize at its most, one byte less than 4 GiB.
  static constexpr size_t kSizeMax = size_t{1} << 32;
  static constexpr size_t kIdleBytesMin = size_t{16} << 20;  // that may always be idle

  explicit BufferPool(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // At least `size` bytes, or an empty Buffer: over the limit, or size above kSizeMax.
  Buffer allocate(size_t size) {
    if (size > kSizeMax) return {};
    const size_t index = class_of(size);
    Idle* idle = idle_[index];
    if (idle == nullptr) return allocate_fresh(index);
    const size_t capacity = kSizeMin << index;
    idle_[index] = idle->next;
    idle_bytes_ -= capacity;
    used_bytes_ += capacity;
    DEBUG_CHECK(used_bytes_ + idle_bytes_ <= limit_bytes_);
    return {reinterpret_cast<uint8_t*>(idle), capacity};
  }
  void release(Buffer& buffer) {
    if (!buffer) return;
    DEBUG_CHECK(std::has_single_bit(buffer.capacity) && buffer.capacity >= kSizeMin);
    DEBUG_CHECK(buffer.capacity <= used_bytes_);
    used_bytes_ -= buffer.capacity;
    if (idle_bytes_ + buffer.capacity > idle_bytes_max()) [[unlikely]] {
      give_back(buffer);
      trim_idle();
    } else {
      const size_t index = class_of(buffer.capacity);
      auto* idle = reinterpret_cast<Idle*>(buffer.data);
      idle->next = idle_[index];
      idle_[index] = idle;
      idle_bytes_ += buffer.capacity;
    }
    buffer = {};
  }

  // Grows `buffer` to at least `size`, keeping its first `used` bytes. False: not enough memory,
  // the buffer is unchanged.
  bool grow(Buffer& buffer, size_t size, size_t used);

  // The capacity of the buffer that allocate(size) gives; `size` is at most kSizeMax.
  static constexpr size_t capacity_of(size_t size) {
    return size <= kSizeMin ? kSizeMin : std::bit_ceil(size);
  }

  // Memory that others hold, under the same limit. False: over it, nothing was charged.
  bool charge(size_t bytes);
  void uncharge(size_t bytes) {
    used_bytes_ -= bytes;
    trim_idle();
  }
  // Both in one step, so that idle buffers stay: `bytes` in the place of those charged before.
  // False: over the limit, nothing is charged any more.
  bool recharge(size_t before, size_t bytes) {
    used_bytes_ -= before;
    const bool fits = charge(bytes);
    trim_idle();
    return fits;
  }

  size_t used_bytes() const { return used_bytes_; }
  size_t idle_bytes() const { return idle_bytes_; }
  // Half of what is in use, kIdleBytesMin at least.
  size_t idle_bytes_max() const { return std::max(kIdleBytesMin, used_bytes_ / 2); }
  // Steps in which memory runs short. Large bodies get none of the last eighth, small ones none
  // of the last sixteenth.
  bool spares(size_t size, bool small) const {
    return size <= kSizeMax &&
           used_bytes_ + capacity_of(size) <= limit_bytes_ - limit_bytes_ / (small ? 16 : 8);
  }
  // Memory is plentiful: `size` bytes that have not come yet may be taken at once.
  bool has_plenty(size_t size) const {
    return size <= kSizeMax && used_bytes_ + capacity_of(size) <= limit_bytes_ / 4;
  }
  // Counts a body that got none as a refusal. After one, memory is short …
  void refuse() {
    refusals_++;
    short_ = true;
  }
  // … and idle connections are given up until a quarter is free again.
  bool is_short() {
    short_ = short_ && excess() > 0;
    return short_;
  }
  // Above this, connections that hold far more than they delivered are given up.
  bool is_tight() const { return used_bytes_ > limit_bytes_ - limit_bytes_ / 16 * 3; }
  // Above this, new connections are refused until others, of any kind, have been given up. What is
  // left is for the heads and holes of the connections that are being read.
  bool exhausted() const { return used_bytes_ > limit_bytes_ - limit_bytes_ / 32; }
  // Bytes to be given back until a quarter is free.
  size_t excess() const {
    const size_t goal = limit_bytes_ / 4 * 3;
    return used_bytes_ > goal ? used_bytes_ - goal : 0;
  }
  size_t limit_bytes() const { return limit_bytes_; }
  // Aborts when an invariant is broken. Walks over all idle buffers: for tests.
  void check_invariants() const;
  uint64_t refusals() const { return refusals_; }

 private:
  static constexpr size_t kClasses = 25;  // 2^8 … 2^32
  static_assert(kSizeMin << (kClasses - 1) == kSizeMax);

  struct Idle {
    Idle* next;
  };

  static size_t class_of(size_t size) {
    return size <= kSizeMin ? 0 : static_cast<size_t>(std::bit_width(size - 1)) - 8;
  }
  Buffer allocate_fresh(size_t index);
  static void give_back(const Buffer& buffer);
  bool drop_idle(size_t needed);
  void drop_idle_above(size_t bytes_max);
  void trim_idle() {
    if (idle_bytes_ > idle_bytes_max()) [[unlikely]]
      drop_idle_above(idle_bytes_max());
  }

  size_t limit_bytes_;
  size_t used_bytes_ = 0;
  size_t idle_bytes_ = 0;
  uint64_t refusals_ = 0;
  bool short_ = false;
  std::array<Idle*, kClasses> idle_{};
};

}  // namespace tcp_sniffer
