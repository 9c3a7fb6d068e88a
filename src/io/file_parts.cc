#include "io/file_parts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace tcp_sniffer {

// A descriptor that lives as long as somebody may read from it.
class FileParts::File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

bool FileParts::begin(int fd, uint64_t offset) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return false;
  auto file = std::make_shared<const File>(copy);
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  next_offset_ = offset;
  return true;
}

void FileParts::end() {
  const std::lock_guard lock(mutex_);
  file_ = nullptr;
}

FileParts::Part FileParts::take() {
  const std::lock_guard lock(mutex_);
  Part part{next_number_++, file_, next_offset_};
  next_offset_ += part_size_;
  return part;
}

FileParts::Chunk FileParts::read(const Part& part, CapturePiece* piece) {
  Chunk chunk{piece, part.file, ReadStatus::kData, 0, part.offset};
  size_t end = kHeadroom;
  while (chunk.status == ReadStatus::kData && end < piece->capacity) {
    const ssize_t got = ::pread(part.file->fd(), piece->data + end, piece->capacity - end,
                                static_cast<off_t>(chunk.offset));
    if (got > 0) {
      end += static_cast<size_t>(got);
      chunk.offset += static_cast<uint64_t>(got);
    } else if (got == 0) {
      chunk.status = ReadStatus::kEnd;
    } else if (errno != EINTR) {
      chunk.status = ReadStatus::kError;
      chunk.error = errno;
    }
  }
  piece->size = end;
  if (end == kHeadroom) {
    piece->release();
    chunk.piece = nullptr;
  }
  return chunk;
}

}  // namespace tcp_sniffer
