#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tcp_sniffer {

enum class ReadStatus : uint8_t {
  kData,
  kNotReady,  // a pipe or terminal has nothing now; wait for `fd()`
  kEnd,
  kError,  // `error()` describes it
};

struct ReadResult {
  ReadStatus status = ReadStatus::kEnd;
  size_t size = 0;
};

// The bytes of one file or of standard input, decompressed when its content is gzip or zstd (the
// name does not matter; several members or frames after each other are one stream).
//
// Plain files are read straight into the caller's memory. Nothing blocks on a pipe: `read` returns
// kNotReady instead, so that a waiting reader can be woken.
//
// Thread safety: none; one thread.
class ByteReader {
 public:
  ByteReader();
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  // `-` is standard input. False: `error()` is the reason.
  bool open(const std::string& path);
  // Reads from a descriptor, which it closes at the end, as from a file that was opened.
  bool take(int fd);
  // The file may still be written: kEnd then means that there is nothing more now, wherever the
  // file is cut. Later calls go on when there is.
  void set_growing() { growing_ = true; }
  // Goes to this byte of a file that was opened and needs no decompressing. False: it cannot.
  bool skip_plain(uint64_t offset);
  void close();
  bool is_open() const { return fd_ >= 0; }

  // Reads at least one byte and at most `into.size()` (not 0), whatever is there.
  ReadResult read(std::span<uint8_t> into);

  // Where the bytes begin, when this is a regular file that needs no decompressing and nothing was
  // read of it yet; -1 otherwise.
  int64_t plain_file_offset() const;

  const std::string& error() const { return error_; }
  int fd() const { return fd_; }

  // Bytes taken from the file itself so far: for a compressed file, compressed ones.
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  class Inflater;
  class GzipInflater;
  class ZstdInflater;

  bool begin();
  ReadResult read_file(std::span<uint8_t> into);
  ReadResult find_kind();
  ReadResult read_inflated(std::span<uint8_t> into);
  ReadResult fail(std::string text);

  int fd_ = -1;
  bool is_stdin_ = false;
  bool may_block_ = false;
  bool growing_ = false;
  bool kind_known_ = false;
  uint8_t head_[4] = {};  // the first bytes, read to know the kind and not yet handed out
  size_t head_size_ = 0;
  uint64_t file_bytes_ = 0;

  std::unique_ptr<Inflater> inflater_;
  std::vector<uint8_t> packed_;  // compressed bytes, [packed_begin_, packed_end_) still to inflate
  size_t packed_begin_ = 0;
  size_t packed_end_ = 0;
  std::string error_;
};

}  // namespace tcp_sniffer
