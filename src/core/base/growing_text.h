#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "core/base/buffer_pool.h"

namespace tcp_sniffer {

// Bytes that grow, in memory of the shard's pool. Plain data: its holder releases it.
struct GrowingText {
  Buffer memory;
  size_t size = 0;

  std::string_view text() const { return {reinterpret_cast<const char*>(memory.data), size}; }
  // False: over the memory limit, nothing was added. `size_hint`: what it will grow to.
  bool append(BufferPool& pool, std::string_view bytes, size_t size_hint = 0) {
    const size_t needed = size + bytes.size();
    if (needed > memory.capacity &&
        !pool.grow(memory, needed > size_hint ? needed : size_hint, size)) {
      return false;
    }
    if (!bytes.empty()) std::memcpy(memory.data + size, bytes.data(), bytes.size());
    size = needed;
    return true;
  }
  void release(BufferPool& pool) {
    pool.release(memory);
    size = 0;
  }
};

}  // namespace tcp_sniffer
