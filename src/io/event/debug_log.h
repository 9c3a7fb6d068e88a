#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tcp/segment_trace.h"
#include "io/base/problem.h"

namespace tcp_sniffer {

// The file `debugLog` (debug, hexDump): one line per segment, its bytes below it with hexDump.
//
// Each shard writes through a section of its own, which collects the text of a block of segments
// and appends it with one write, so that lines of several shards never mix. A segment's text waits
// for the disk on the shard's thread: this is for finding faults, not for speed. When the file
// takes no more (disk full), the rest is left out and error() is the reason; the capture goes on.
//
// Opened before the threads start; outlives the shards.
class DebugLog {
 public:
  // Text collected before it is written even in the middle of a block.
  static constexpr size_t kSectionBytes = size_t{256} << 10;

  explicit DebugLog(bool hex_dump) : hex_dump_(hex_dump) {}
  ~DebugLog();
  DebugLog(const DebugLog&) = delete;
  DebugLog& operator=(const DebugLog&) = delete;

  // Why open(path) would fail, found out without making or emptying the file; nothing: no
  // obstacle is known.
  static std::optional<Problem> problem_of(const std::string& path);

  // Makes the file, or empties it; mode 0600, because it may hold what people sent. Nothing:
  // it is open.
  std::optional<Problem> open(const std::string& path);

  // The section of one more shard. Valid as long as the log.
  SegmentTrace* add_section();

  // The errno of the first write that failed; 0: none. Any thread.
  int error() const { return error_.load(std::memory_order_relaxed); }

 private:
  class Section;

  void append(const std::string& text);

  const bool hex_dump_;
  int fd_ = -1;
  std::atomic<int> error_{0};
  std::vector<std::unique_ptr<SegmentTrace>> sections_;
};

}  // namespace tcp_sniffer
