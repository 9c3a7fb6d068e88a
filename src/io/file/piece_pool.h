#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/net/capture_piece.h"
#include "io/base/wake_event.h"

namespace tcp_sniffer {

// What is read is still in the second-level cache when it is parsed.
constexpr size_t kPieceSize = size_t{1} << 18;

// The memory that capture files are read into: a fixed number of pieces, so that a reader that is
// faster than the shards runs out of them and waits. An empty pool is the back-pressure.
//
// A piece is lent with one reference, the reader's. It comes back by itself when the last of its
// users lets go, on that user's thread. The pool must outlive every piece it lent.
//
// Free pieces are bits in a few words: to give one back is one atomic OR, and the lowest free
// piece, the one most likely still in cache, is lent first.
//
// Thread safety: one thread at a time takes and waits; pieces come back from any;
// `wake` may be called from any thread and from signal handlers.
class PiecePool {
 public:
  // At least two pieces: the reader keeps one while it asks for the next.
  explicit PiecePool(size_t pieces, size_t piece_size = kPieceSize);
  ~PiecePool();
  PiecePool(const PiecePool&) = delete;
  PiecePool& operator=(const PiecePool&) = delete;

  // A piece of at least `size` bytes, or nullptr when none is free now. For more than a piece's
  // size the memory is allocated for this once, and only while no other such piece is out: frames
  // larger than a piece must not evade the bound.
  CapturePiece* take(size_t size);

  // Waits until `take(size)` may succeed, `wake` is called or `timeout_ms` have passed (-1: for
  // ever). May return early; the caller asks again.
  void wait(size_t size, int timeout_ms);

  void wake() noexcept { event_.notify(); }
  WakeEvent& event() { return event_; }

  size_t piece_size() const { return piece_size_; }
  size_t pieces() const { return pieces_; }
  size_t free_pieces() const;

 private:
  struct Oversized;

  static void recycle(CapturePiece* piece);
  static void recycle_oversized(CapturePiece* piece);
  CapturePiece* take_oversized(size_t size);
  void came_back();

  const size_t pieces_;
  const size_t piece_size_;
  std::vector<std::unique_ptr<uint8_t[]>> memory_;
  std::unique_ptr<CapturePiece[]> table_;
  std::vector<std::atomic<uint64_t>> free_;  // bit set: the piece is here
  std::atomic<bool> oversized_out_{false};
  std::atomic<bool> waiting_{false};
  WakeEvent event_;
};

}  // namespace tcp_sniffer
