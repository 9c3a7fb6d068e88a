#pragma once

#include <blockingconcurrentqueue.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "core/capture_piece.h"
#include "io/byte_reader.h"
#include "io/piece_pool.h"

namespace tcp_sniffer {

// Reads a file into pieces on a thread of its own, ahead of the one that parses them: copying out
// of the page cache, or inflating, is then no longer on the way of the packets.
//
//   piece   | headroom: for the part of a frame the last piece ended with |  bytes of the file  |
//           0                                                             kHeadroom size
//
// The pieces come from the pool, whose emptiness holds the thread back. One file at a time. The
// owner calls everything but what the class's own thread does; the reader is the thread's from
// start to the last chunk.
class ReadAhead {
 public:
  // Frames of all usual sizes; the part of a larger one is copied otherwise.
  static constexpr size_t kHeadroom = size_t{64} << 10;

  struct Chunk {
    CapturePiece* piece = nullptr;  // one reference goes to the taker
    ReadStatus status = ReadStatus::kEnd;
    uint64_t file_bytes = 0;  // of the file, as it is stored, up to here
  };

  ReadAhead(ByteReader& reader, PiecePool& pool) : reader_(reader), pool_(pool) {}
  ~ReadAhead() { stop(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  void start();
  // Ends the thread and gives back what was read in vain. Safe to call twice.
  void stop();

  // The next chunk, waiting at most `timeout_us`. False: not there yet. The last one of a file has
  // no piece, and a status that says how the file ended.
  bool take(Chunk& chunk, int64_t timeout_us);

 private:
  void run();
  CapturePiece* wait_for_piece();

  ByteReader& reader_;
  PiecePool& pool_;
  moodycamel::BlockingConcurrentQueue<Chunk> chunks_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace tcp_sniffer
