#include "core/base/buffer_pool.h"

#include <cstring>

#include "core/base/check.h"
#include "core/base/large_memory.h"

namespace tcp_sniffer {

BufferPool::~BufferPool() {
  drop_idle_above(0);
}

// No buffer of this size is idle.
Buffer BufferPool::allocate_fresh(size_t index) {
  const size_t capacity = kSizeMin << index;
  if (used_bytes_ + idle_bytes_ + capacity > limit_bytes_ && !drop_idle(capacity)) {
    refuse();
    return {};
  }
  auto* data = static_cast<uint8_t*>(take_memory(capacity));
  if (data == nullptr) {
    refuse();
    return {};
  }
  used_bytes_ += capacity;
  DEBUG_CHECK(used_bytes_ + idle_bytes_ <= limit_bytes_);
  return {data, capacity};
}

// To the system.
void BufferPool::give_back(const Buffer& buffer) {
  give_memory_back(buffer.data, buffer.capacity);
}

bool BufferPool::charge(size_t bytes) {
  if (used_bytes_ + idle_bytes_ + bytes > limit_bytes_ && !drop_idle(bytes)) return false;
  used_bytes_ += bytes;
  return true;
}

bool BufferPool::grow(Buffer& buffer, size_t size, size_t used) {
  if (size <= buffer.capacity) return true;
  Buffer larger = allocate(size);
  if (!larger) return false;
  if (used > 0) std::memcpy(larger.data, buffer.data, used);
  release(buffer);
  buffer = larger;
  return true;
}

void BufferPool::check_invariants() const {
  size_t idle_bytes = 0;
  for (size_t index = 0; index < kClasses; index++) {
    for (const Idle* idle = idle_[index]; idle != nullptr; idle = idle->next) {
      idle_bytes += kSizeMin << index;
    }
  }
  require(idle_bytes == idle_bytes_, "pool: idle bytes are not those of its idle buffers");
  require(idle_bytes_ <= idle_bytes_max(), "pool: more idle than it may keep");
  require(used_bytes_ <= limit_bytes_ && idle_bytes_ <= limit_bytes_ - used_bytes_,
          "pool: more than its limit");
}

// Frees idle buffers until `needed` more bytes fit under the limit.
bool BufferPool::drop_idle(size_t needed) {
  if (needed > limit_bytes_ || used_bytes_ > limit_bytes_ - needed) {
    drop_idle_above(0);
    return false;
  }
  drop_idle_above(limit_bytes_ - needed - used_bytes_);
  return true;
}

// The largest go first.
void BufferPool::drop_idle_above(size_t bytes_max) {
  for (size_t index = kClasses; index-- > 0 && idle_bytes_ > bytes_max;) {
    while (idle_[index] != nullptr && idle_bytes_ > bytes_max) {
      Idle* idle = idle_[index];
      idle_[index] = idle->next;
      idle_bytes_ -= kSizeMin << index;
      give_memory_back(idle, kSizeMin << index);
    }
  }
}

}  // namespace tcp_sniffer
