#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "core/base/pulse.h"

namespace tcp_sniffer {

// A thread that takes frames from a source to the shards, and how it ended.
class CaptureThread {
 public:
  struct Work {
    // Takes the frames to the end of the input, and then sends the shards the end. False: the
    // source failed.
    std::function<bool()> run;
    // After an exception in it: sends the end to the shards, which wait for it.
    std::function<void()> end_after_fault = [] {};
    // Both are called on the thread, as in RunHost.
    std::function<void()> on_end;
    std::function<void(const char*)> on_fault;
  };

  // `cpu` is the one to run on, or -1. Throws std::system_error when the system refuses the thread.
  void start(Work work, int cpu);
  // Whether it has ended. Any thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  void join() { thread_.join(); }
  // For the work: one more turn of its loop, at least every kPulse.
  void beat() noexcept { pulse_.beat(); }
  uint64_t beats() const { return pulse_.beats(); }
  // Whether its source failed. After done() is true.
  bool failed() const { return failed_; }

 private:
  void run() noexcept;

  Work work_;
  Pulse pulse_;
  bool failed_ = false;  // before done_
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tcp_sniffer
