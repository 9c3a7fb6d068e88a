#include "io/read_ahead.h"

#include <pthread.h>

namespace tcp_sniffer {

void ReadAhead::start() {
  stop();
  stopping_.store(false, std::memory_order_relaxed);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "read-ahead");
}

void ReadAhead::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  pool_.wake();
  thread_.join();
  Chunk chunk;
  while (chunks_.try_dequeue(chunk)) {
    if (chunk.piece != nullptr) chunk.piece->release();
  }
}

bool ReadAhead::take(Chunk& chunk, int64_t timeout_us) {
  return chunks_.try_dequeue(chunk) || chunks_.wait_dequeue_timed(chunk, timeout_us);
}

CapturePiece* ReadAhead::wait_for_piece() {
  while (!stopping_.load(std::memory_order_acquire)) {
    if (CapturePiece* piece = pool_.take(pool_.piece_size())) return piece;
    pool_.wait(pool_.piece_size(), 100);
  }
  return nullptr;
}

void ReadAhead::run() {
  for (;;) {
    CapturePiece* piece = wait_for_piece();
    if (piece == nullptr) return;
    size_t end = kHeadroom;
    ReadStatus status = ReadStatus::kData;
    while (status == ReadStatus::kData && end < piece->capacity &&
           !stopping_.load(std::memory_order_relaxed)) {
      const ReadResult result = reader_.read({piece->data + end, piece->capacity - end});
      status = result.status;
      if (status == ReadStatus::kData) end += result.size;
    }
    piece->size = end;
    if (end > kHeadroom) {
      chunks_.enqueue({piece, ReadStatus::kData, reader_.file_bytes()});
    } else {
      piece->release();
    }
    if (status != ReadStatus::kData) {
      chunks_.enqueue({nullptr, status, reader_.file_bytes()});
      return;
    }
    if (stopping_.load(std::memory_order_acquire)) return;
  }
}

}  // namespace tcp_sniffer
