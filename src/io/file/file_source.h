#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/base/problem.h"
#include "io/capture/packet_source.h"
#include "io/file/byte_reader.h"
#include "io/file/file_input.h"
#include "io/file/file_parts.h"
#include "io/file/frame_cutter.h"
#include "io/file/piece_pool.h"

namespace tcp_sniffer {

// The frames of capture files (pcap and pcapng, also gzip or zstd) as one stream, in the order
// given. `-` is standard input, whose frames are delivered as they arrive.
//
// With `parts`, plain files of some size are not read here but by the threads, each of which offers
// its part when it has its turn (`offer`): kIdle then means that the part is used up.
//
// Damage ends the stream with kError after everything before it was delivered.
//
// The pool must outlive this object. Thread safety: `wake` from any thread and from signal
// handlers, the byte counts from any thread; everything else by one thread at a time: the
// capture thread or, in a team, the thread that is at the source.
class FileSource final : public FileInput {
 public:
  // `parts` and `names` may be nullptr, and otherwise outlive this object.
  FileSource(std::vector<std::string> paths, PiecePool& pool, FileParts* parts = nullptr,
             LinkNames* names = nullptr);
  ~FileSource() override;
  // Why no capture can be read from `path`, as far as it can be known without waiting for bytes.
  // Nothing: it may be one.
  static std::optional<Problem> problem_of(const std::string& path);
  // Why `path` cannot be opened; nothing when it may be. Opens nothing, so that a FIFO's writer
  // sees nothing.
  static std::optional<Problem> missing(const std::string& path);

  // Whether `path` is a regular file (or standard input comes from one) that needs no
  // decompressing, so that it can be read in parts. A pipe is not touched.
  static bool is_plain(const std::string& path);

  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  SourceStatus poll(FrameSink& sink) override;
  const Problem& problem() const override { return problem_; }

  // What the caller has read beforehand, when it is of the file that is being read. Taken over in
  // any case. At most one before each row of polls.
  void offer(const FileParts::Chunk& chunk);
  // Whether the next bytes have to be offered.
  bool wants_parts() const { return in_parts_; }

  void wait(int timeout_ms) override;
  void wake() noexcept override { pool_.wake(); }

  uint64_t bytes_read() const override { return bytes_read_.load(std::memory_order_relaxed); }
  uint64_t bytes_total() const override { return bytes_total_; }

 private:
  enum class Refill : uint8_t { kMore, kIdle, kFileEnd, kFailed };

  bool open_next(FrameSink& sink);
  Refill refill();
  Refill refill_from_chunk();
  Refill ended(ReadStatus status);
  bool end_file();
  void fail(const std::string& words);

  PiecePool& pool_;
  FileParts* const parts_;
  std::vector<std::string> paths_;
  size_t next_path_ = 0;

  ByteReader reader_;
  bool in_parts_ = false;   // this file is
  FileParts::Chunk chunk_;  // the one on offer; its piece is taken first, its status then
  bool has_chunk_ = false;
  FrameCutter cutter_;
  bool waiting_for_piece_ = false;
  bool failed_ = false;
  Problem problem_;

  uint64_t bytes_total_ = 0;
  uint64_t bytes_of_ended_files_ = 0;
  std::atomic<uint64_t> bytes_read_{0};
};

// A problem of a capture file, in words that follow its name.
Problem problem_about(const std::string& path, const std::string& words);

}  // namespace tcp_sniffer
