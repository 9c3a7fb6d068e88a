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
  Buffer memory;  // empty when somebody has taken it over: then only release() may follow

  std::string_view text() const {
    return {reinterpret_cast<const char*>(memory.data) + front_, size_};
  }
  size_t size() const { return size_; }
  size_t room() const { return memory.capacity - front_ - size_; }

  // Makes room for `size` bytes of body in all. `with_front`: with room before them, when the body
  // is large. False: over the memory limit, nothing has changed.
  bool reserve(BufferPool& pool, size_t size, bool with_front) {
    const size_t front = with_front && may_have_front(pool, size) ? kBodyFront : 0;
    Buffer larger = pool.allocate(front + size);
    if (!larger) return false;
    if (size_ > 0) std::memcpy(larger.data + front, text().data(), size_);
    pool.release(memory);
    memory = larger;
    front_ = static_cast<uint32_t>(front);
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
    if (rest.reserve(pool, kept.size(), false)) {
      rest.append(kept);
      release(pool);
      *this = rest;
    } else {
      std::memmove(memory.data + front_, kept.data(), kept.size());
      cut(kept.size());
    }
  }
  void release(BufferPool& pool) {
    pool.release(memory);
    size_ = front_ = 0;
  }

 private:
  // Where it costs no larger buffer, or memory is plentiful.
  static bool may_have_front(const BufferPool& pool, size_t size) {
    if (size < kLargeBody || size > BufferPool::kSizeMax - kBodyFront) return false;
    const size_t with_front = BufferPool::capacity_of(kBodyFront + size);
    return with_front == BufferPool::capacity_of(size) || pool.has_plenty(with_front);
  }

  uint32_t size_ = 0;
  uint32_t front_ = 0;
};

}  // namespace tcp_sniffer
