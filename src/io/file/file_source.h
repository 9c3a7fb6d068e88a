#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/base/problem.h"
#include "io/capture/packet_source.h"
#include "io/file/byte_reader.h"
#include "io/file/file_parts.h"
#include "io/file/pcap_format.h"
#include "io/file/pcapng_format.h"
#include "io/file/piece_pool.h"

namespace tcp_sniffer {

// The frames of capture files (pcap and pcapng, also gzip or zstd) as one stream, in the order
// given. `-` is standard input, whose frames are delivered as they arrive.
//
//   piece   |  frames delivered  |  frame  |  frame  |  part of a fra|   room   |
//           0                    begin_                              end_       capacity
//
// The file is read straight into pieces of the pool and the frames point into them; the part of a
// frame at a piece's end is copied to the head of the next piece, and nothing else is copied. When
// this object is the only holder of the piece, it is filled again while it is still in cache.
//
// With `parts`, plain files of some size are not read here but by the threads, each of which offers
// its part when it has its turn (`offer`): kIdle then means that the part is used up.
//
// Invariants: (1) this object holds one reference on its current piece; (2) bytes below `end_` are
// never written while there is another reference; (3) a burst is within one piece.
//
// kIdle means that no piece is free or that standard input has nothing now. The caller must then
// let go of what it holds itself (an open block keeps pieces out), and may `wait`. Damage ends the
// stream with kError after everything before it was delivered.
//
// The pool must outlive this object. Thread safety: `wake` from any thread and from signal
// handlers, the byte counts from any thread; everything else by one thread at a time: the
// capture thread or, in a team, the thread that is at the source.
class FileSource final : public PacketSource {
 public:
  // `parts` may be nullptr, and otherwise outlives this object.
  FileSource(std::vector<std::string> paths, PiecePool& pool, FileParts* parts = nullptr);
  ~FileSource() override;
  // Why no capture can be read from `path`, as far as it can be told without waiting for bytes.
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
  // Why poll() returned kError: the file, and what is wrong with it.
  const Problem& problem() const { return problem_; }

  // What the caller has read beforehand, when it is of the file that is being read. Taken over in
  // any case. At most one before each row of polls.
  void offer(const FileParts::Chunk& chunk);
  // Whether the next bytes have to be offered.
  bool wants_parts() const { return in_parts_; }

  // After kIdle: until there may be more, `wake` is called or `timeout_ms` have passed (-1: for
  // ever). May return early.
  void wait(int timeout_ms);
  void wake() noexcept { pool_.wake(); }

  // Progress, in bytes of the files as they are stored. The total is 0 when it is not known, as
  // for standard input.
  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  uint64_t bytes_total() const { return bytes_total_; }

 private:
  enum class Refill : uint8_t { kMore, kIdle, kFileEnd, kFailed };

  bool open_next(FrameSink& sink);
  bool find_format();
  size_t parse_burst();
  template <typename Format>
  size_t parse_burst(Format& format);
  Refill refill();
  Refill refill_from_chunk();
  void take_chunk();
  void join_chunk();
  void move_to_large_piece(size_t fresh_size);
  Refill ended(ReadStatus status);
  bool make_room();
  bool end_file();
  void fail(const std::string& words);
  std::string at_byte() const;

  PiecePool& pool_;
  FileParts* const parts_;
  std::vector<std::string> paths_;
  size_t next_path_ = 0;

  ByteReader reader_;
  bool in_parts_ = false;   // this file is
  FileParts::Chunk chunk_;  // the one on offer; its piece is taken first, its status then
  bool has_chunk_ = false;
  std::variant<std::monostate, PcapFormat, PcapngFormat> format_;
  CapturePiece* piece_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t wanted_ = 0;          // bytes from `begin_` that the next step needs
  uint64_t skip_ = 0;          // bytes of the file still to be passed over
  uint64_t begin_offset_ = 0;  // where in the (inflated) file `begin_` is
  uint64_t skip_offset_ = 0;   // where the passage that is passed over began
  bool waiting_for_piece_ = false;
  bool failed_ = false;
  Problem problem_;

  uint64_t bytes_total_ = 0;
  uint64_t bytes_of_ended_files_ = 0;
  std::atomic<uint64_t> bytes_read_{0};

  std::array<Frame, kFramesPerBurst> frames_;
};

}  // namespace tcp_sniffer
