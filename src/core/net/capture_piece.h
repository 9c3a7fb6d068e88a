#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// A piece of a capture file in memory, shared by the packet blocks of several shards whose
// segments point into it. The source that filled it owns the memory; `references` counts the
// users, and the last one to let go may hand it back through `recycle`.
//
// Thread safety: `references` is atomic (release on drop, acquire by the last); the bytes are
// written before the first block that refers to them is sent and never afterwards.
struct CapturePiece {
  uint8_t* data = nullptr;
  size_t capacity = 0;
  size_t size = 0;
  std::atomic<uint32_t> references{0};

  void (*recycle)(CapturePiece* piece) = nullptr;  // any thread; called when references reach 0
  void* owner = nullptr;                           // for recycle

  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(this);
  }
};

}  // namespace tcp_sniffer
