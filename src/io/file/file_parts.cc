#include "io/file/file_parts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace tcp_sniffer {

// A descriptor that stays open as long as a thread may read from it.
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
  first_number_ = next_number_;
  first_offset_ = offset;
  return true;
}

void FileParts::end() {
  const std::lock_guard lock(mutex_);
  file_ = nullptr;
}

FileParts::Part FileParts::take() {
  const std::lock_guard lock(mutex_);
  return part_locked(next_number_++);
}

FileParts::Part FileParts::part(uint64_t number) {
  const std::lock_guard lock(mutex_);
  return part_locked(number);
}

uint64_t FileParts::taken() {
  const std::lock_guard lock(mutex_);
  return next_number_;
}

// Parts that were taken before the file began, or of one that ended, have none.
FileParts::Part FileParts::part_locked(uint64_t number) const {
  if (file_ == nullptr || number < first_number_) return {number, nullptr, 0};
  return {number, file_, first_offset_ + (number - first_number_) * part_size_};
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
