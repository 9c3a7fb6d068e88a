#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "core/base/histogram.h"
#include "core/base/pulse.h"
#include "io/base/problem.h"
#include "shard/line_output.h"

namespace tcp_sniffer {

// A thread that takes finished lines to where they go, and what the rest of the run asks of it:
// the end of the lines, giving up, and figures. Line blocks come through the merged queue of all
// shards. The functions may be called by any thread.
class OutputThread {
 public:
  enum class End : uint8_t { kNone, kReaderLeft, kFailed };

  explicit OutputThread(LineQueue& queue) : queue_(queue) {}
  virtual ~OutputThread() = default;
  OutputThread(const OutputThread&) = delete;
  OutputThread& operator=(const OutputThread&) = delete;

  // The last block was put into the queue: the thread ends after it.
  void end_of_input() { put_into<LineBlock*>(queue_, nullptr); }
  // Whether it has: everything was written, or discarded and counted.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // From here on nothing is written; what is under way is given up at a message's end.
  void abort() { aborted_.store(true, std::memory_order_seq_cst); }
  // Whether the output has whole messages only, and no write is under way. After abort() it stays
  // so: then the process may end without cutting a message.
  virtual bool between_messages() const = 0;

  // Grows while the thread goes on, also while it waits for the reader.
  uint64_t beats() const { return pulse_.beats(); }

  End end() const { return end_.load(std::memory_order_acquire); }
  const Problem& problem() const { return problem_; }  // after end() is kFailed
  uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  // Because the disk was full.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  uint64_t discarded() const { return discarded_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // From the last byte of a message to the moment at which it was written, in the time of the
  // packets' clock: meaningful live only.
  const Histogram& delays() const { return delays_; }

 protected:
  // Of a figure, which the thread alone changes.
  static void add(std::atomic<uint64_t>& to, uint64_t amount) {
    to.store(to.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  // Nothing more will be written.
  bool ended() const { return aborted_.load(std::memory_order_seq_cst) || end() != End::kNone; }

  LineQueue& queue_;
  std::thread thread_;
  bool input_ended_ = false;  // the thread's
  Pulse pulse_;
  std::atomic<bool> aborted_{false};
  std::atomic<bool> done_{false};
  std::atomic<End> end_{End::kNone};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> discarded_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> bytes_{0};
  Histogram delays_;
  Problem problem_;
};

}  // namespace tcp_sniffer
