#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/net/capture_piece.h"
#include "io/file/byte_reader.h"

namespace tcp_sniffer {

// A plain file as consecutive parts, which several threads read in parallel: copying out of the
// page cache is most of the work of a fast pass over a capture, and each thread's part is then in
// its own cache. Parts are numbered through all files; FileTeam keeps their order.
//
//   piece   | headroom: for the part of a frame the last part ended with |  bytes of the file  |
//           0                                                           kHeadroom          capacity
//
// Thread safety: `begin`, `end` and `is_current` by the thread that is at the source; all else from
// any thread.
class FileParts {
 public:
  // Frames of all usual sizes; the part of a larger one is copied otherwise.
  static constexpr size_t kHeadroom = size_t{64} << 10;

  class File;

  struct Part {
    uint64_t number = 0;
    std::shared_ptr<const File> file;  // nullptr: none is read in parts now
    uint64_t offset = 0;
  };

  // What was read of a part.
  struct Chunk {
    CapturePiece* piece = nullptr;  // one reference goes to the taker; nullptr: no bytes
    std::shared_ptr<const File> file;
    // kData: the part is whole and the file goes on. kEnd or kError: nothing comes after this.
    ReadStatus status = ReadStatus::kEnd;
    int error = 0;        // errno, with kError
    uint64_t offset = 0;  // after the last byte, in the file
  };

  // Two of them fit into a second-level cache of 1 MiB. Threads would have to wait for their turns
  // too often with smaller ones.
  static constexpr size_t kPieceSize = size_t{512} << 10;

  // `piece_size`: headroom and part.
  explicit FileParts(size_t piece_size = kPieceSize) : part_size_(piece_size - kHeadroom) {}

  size_t piece_size() const { return part_size_ + kHeadroom; }

  // From now on parts are those of the file that `fd` has open, from `offset` on. The descriptor is
  // copied. False: it cannot be.
  bool begin(int fd, uint64_t offset);
  // The file has ended. Parts of it that are still out will not be used.
  void end();
  bool is_current(const Chunk& chunk) const { return file_ != nullptr && chunk.file == file_; }

  // The next part.
  Part take();
  // Once more a part that was taken before.
  Part part(uint64_t number);
  // How many were taken: the next one's number.
  uint64_t taken();
  // Reads the part into `piece`, whose reference goes into the chunk or, when there are no bytes,
  // back.
  static Chunk read(const Part& part, CapturePiece* piece);

 private:
  Part part_locked(uint64_t number) const;

  const size_t part_size_;
  std::mutex mutex_;
  std::shared_ptr<const File> file_;  // written at the source, under the mutex
  uint64_t next_number_ = 0;
  uint64_t first_number_ = 0;  // of the file
  uint64_t first_offset_ = 0;
};

}  // namespace tcp_sniffer
