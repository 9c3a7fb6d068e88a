#include "io/file/piece_pool.h"

#include <algorithm>
#include <bit>

namespace tcp_sniffer {

namespace {
constexpr size_t kBits = 64;
}

struct PiecePool::Oversized : CapturePiece {
  std::unique_ptr<uint8_t[]> memory;
};

PiecePool::PiecePool(size_t pieces, size_t piece_size)
    : pieces_(std::max<size_t>(pieces, 2)),
      piece_size_(piece_size),
      table_(std::make_unique<CapturePiece[]>(pieces_)),
      free_((pieces_ + kBits - 1) / kBits) {
  memory_.reserve(pieces_);
  for (size_t i = 0; i < pieces_; ++i) {
    // Not zeroed: a page costs nothing until the first file bytes are read into it.
    memory_.push_back(std::make_unique_for_overwrite<uint8_t[]>(piece_size_));
    CapturePiece& piece = table_[i];
    piece.data = memory_.back().get();
    piece.capacity = piece_size_;
    piece.recycle = &PiecePool::recycle;
    piece.owner = this;
    free_[i / kBits].fetch_or(uint64_t{1} << (i % kBits), std::memory_order_relaxed);
  }
}

PiecePool::~PiecePool() = default;

CapturePiece* PiecePool::take(size_t size) {
  if (size > piece_size_) return take_oversized(size);
  for (size_t word = 0; word < free_.size(); ++word) {
    // Only this thread clears bits, so a bit that is seen set stays set until it is taken here.
    const uint64_t bits = free_[word].load(std::memory_order_acquire);
    if (bits == 0) continue;
    const auto bit = static_cast<size_t>(std::countr_zero(bits));
    free_[word].fetch_and(~(uint64_t{1} << bit), std::memory_order_relaxed);
    CapturePiece& piece = table_[word * kBits + bit];
    piece.size = 0;
    piece.references.store(1, std::memory_order_relaxed);
    return &piece;
  }
  return nullptr;
}

CapturePiece* PiecePool::take_oversized(size_t size) {
  if (oversized_out_.load(std::memory_order_acquire)) return nullptr;
  oversized_out_.store(true, std::memory_order_relaxed);
  auto* oversized = new Oversized;
  oversized->memory = std::make_unique_for_overwrite<uint8_t[]>(size);
  oversized->data = oversized->memory.get();
  oversized->capacity = size;
  oversized->references.store(1, std::memory_order_relaxed);
  oversized->recycle = &PiecePool::recycle_oversized;
  oversized->owner = this;
  return oversized;
}

void PiecePool::recycle(CapturePiece* piece) {
  auto* pool = static_cast<PiecePool*>(piece->owner);
  const auto index = static_cast<size_t>(piece - pool->table_.get());
  // Sequentially consistent here and in wait(): either the waiter sees the bit, or this thread
  // sees that there is a waiter.
  pool->free_[index / kBits].fetch_or(uint64_t{1} << (index % kBits), std::memory_order_seq_cst);
  pool->came_back();
}

void PiecePool::recycle_oversized(CapturePiece* piece) {
  auto* pool = static_cast<PiecePool*>(piece->owner);
  delete static_cast<Oversized*>(piece);
  pool->oversized_out_.store(false, std::memory_order_seq_cst);
  pool->came_back();
}

void PiecePool::came_back() {
  if (!waiting_.load(std::memory_order_seq_cst)) return;
  waiting_.store(false, std::memory_order_relaxed);
  event_.notify();
}

void PiecePool::wait(size_t size, int timeout_ms) {
  waiting_.store(true, std::memory_order_seq_cst);
  const bool available =
      size > piece_size_ ? !oversized_out_.load(std::memory_order_seq_cst) : free_pieces() > 0;
  if (!available) event_.wait(-1, timeout_ms);
  waiting_.store(false, std::memory_order_relaxed);
}

size_t PiecePool::free_pieces() const {
  size_t count = 0;
  for (const auto& word : free_) {
    count += static_cast<size_t>(std::popcount(word.load(std::memory_order_seq_cst)));
  }
  return count;
}

}  // namespace tcp_sniffer
