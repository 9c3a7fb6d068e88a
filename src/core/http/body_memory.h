#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// The kept bytes of a body, in one buffer of the shard's pool. A large body may have room before
// it. There the output puts what a record has before its body, and the body is not copied once more
// (Message::body_memory).
//
//     | kBodyFront, or none | text() | room for more |
//     memory.data                                    memory.capacity
//
// Its holder releases it. Less than 4 GiB, as maxBodySize is.
class BodyMemory {
 public:
  Buffer memory;       // empty when somebody has taken it over: then only release() may follow
  uint16_t ahead = 0;  // the place of its message in BodiesAhead, from 1 on; 0: none

  std::string_view text() const {
    return {reinterpret_cast<const char*>(memory.data) + front_, size_};
  }
  size_t size() const { return size_; }
  size_t room() const { return memory.capacity - front_ - size_; }

  // Room before a large body.
  enum class Front : uint8_t {
    kNone,
    kWhereFree,  // where it costs no larger buffer
    kPreferred,  // or memory is plentiful
  };

  // Makes room for `size` bytes of body in all, and before them. False: over the memory limit,
  // nothing has changed.
  bool reserve(BufferPool& pool, size_t size, Front wanted) {
    const size_t front = may_have_front(pool, size, wanted) ? kBodyFront : 0;
    Buffer larger = pool.allocate(front + size);
    if (!larger) return false;
    if (size_ > 0) std::memcpy(larger.data + front, text().data(), size_);
    pool.release(memory);
    memory = larger;
    front_ = static_cast<uint16_t>(front);
    return true;
  }
  // At most room() bytes.
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(memory.data + front_ + size_, bytes.data(), bytes.size());
    size_ += static_cast<uint32_t>(bytes.size());
  }
  // Takes the bytes after the first `size` away.
  void cut(size_t size) { size_ = static_cast<uint32_t>(size); }
  // Takes the first `size` bytes away, and gives memory back when it can.
  void remove_front(BufferPool& pool, size_t size) {
    BodyMemory rest;
    const std::string_view kept = text().substr(size);
    if (kept.empty()) return release(pool);
    if (rest.reserve(pool, kept.size(), Front::kNone)) {
      rest.append(kept);
      rest.ahead = ahead;
      release(pool);
      *this = rest;
    } else {
      std::memmove(memory.data + front_, kept.data(), kept.size());
      cut(kept.size());
    }
  }
  void release(BufferPool& pool) {
    pool.release(memory);
    size_ = 0;
    front_ = 0;
  }

 private:
  static bool may_have_front(const BufferPool& pool, size_t size, Front wanted) {
    if (wanted == Front::kNone) return false;
    if (size < kLargeBody || size > BufferPool::kSizeMax - kBodyFront) return false;
    const size_t with_front = BufferPool::capacity_of(kBodyFront + size);
    return with_front == BufferPool::capacity_of(size) ||
           (wanted == Front::kPreferred && pool.has_plenty(with_front));
  }

  uint16_t front_ = 0;
  uint32_t size_ = 0;
};

}  // namespace tcp_sniffer
