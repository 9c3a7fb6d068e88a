#pragma once

#include <cstddef>
#include <string_view>

namespace tcp_sniffer {

// Where a line writer puts its bytes: a window of memory that grows on demand. The line is one
// contiguous run of bytes from `begin_` to `end_`; its owner carries it on to the
// output (shard/line_output.h).
//
// Use: `char* out = sink.reserve(n)`, write at most n bytes from out, then `sink.commit(end)`.
// reserve may move the bytes already written; pointers into the line do not survive it.
class LineSink {
 public:
  // Memory for at least `size` more bytes after those committed.
  char* reserve(size_t size) {
    if (static_cast<size_t>(limit_ - end_) < size) grow(size);
    return end_;
  }
  void commit(char* end) { end_ = end; }

  // Appends bytes in the memory where they lie, if its owner offered it and the line moves there.
  // False: nothing was done, and the bytes are to be copied.
  virtual bool take_over([[maybe_unused]] std::string_view bytes) { return false; }

  size_t size() const { return static_cast<size_t>(end_ - begin_); }
  const char* begin() const { return begin_; }

 protected:
  LineSink() = default;
  ~LineSink() = default;

  char* begin_ = nullptr;
  char* end_ = nullptr;
  char* limit_ = nullptr;

 private:
  // Cold: makes room for `size` more bytes, keeping [begin_, end_). Never fails; what it takes
  // counts against the memory limit.
  virtual void grow(size_t size) = 0;
};

}  // namespace tcp_sniffer
