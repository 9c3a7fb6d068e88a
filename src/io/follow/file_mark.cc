#include "io/follow/file_mark.h"

#define XXH_INLINE_ALL
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

namespace tcp_sniffer {

namespace {

size_t first_bytes(int fd, uint8_t* into) {
  size_t size = 0;
  while (size < FileMark::kBytesMax) {
    const ssize_t got =
        pread(fd, into + size, FileMark::kBytesMax - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  return size;
}

}  // namespace

void FileMark::take(int fd) {
  uint8_t bytes[kBytesMax];
  size_ = first_bytes(fd, bytes);
  hash_ = XXH3_64bits(bytes, size_);
}

bool FileMark::fits(int fd) {
  uint8_t bytes[kBytesMax];
  const size_t size = first_bytes(fd, bytes);
  if (size < size_ || XXH3_64bits(bytes, size_) != hash_) return false;
  if (size > size_) {
    size_ = size;
    hash_ = XXH3_64bits(bytes, size);
  }
  return true;
}

}  // namespace tcp_sniffer
