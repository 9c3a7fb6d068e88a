#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "core/base/pulse.h"
#include "io/base/wake_event.h"

namespace tcp_sniffer {

// Takes SIGINT, SIGTERM and SIGHUP on a thread of its own, so that whatever another thread does,
// the process can be ended: the second SIGINT or SIGTERM, and a fault, set a time at which `leave`
// is called. By then the run has ended in order, or some thread of it never will.
//
// Owned by the engine and destroyed after everything else of it. The signals must be blocked in all
// threads (Engine::block_signals).
class SignalWatch {
 public:
  // What an ordered end may take after the second signal: far more than a shard needs for the block
  // that it works on, less than a person waits before using SIGKILL.
  static constexpr std::chrono::milliseconds kPatience{3000};

  SignalWatch() = default;
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Both are called on the watch's thread: `wake` after each signal; `leave` when the time is over,
  // which ends the process. Throws std::system_error when there is no thread for it.
  void start(std::function<void()> wake, std::function<void()> leave);

  // How many came so far. Any thread.
  uint32_t stops() const { return stops_.load(std::memory_order_acquire); }
  uint32_t hang_ups() const { return hang_ups_.load(std::memory_order_acquire); }
  // Whether the process was started with SIGHUP ignored, as nohup does: then it ends nothing.
  bool ignores_hang_ups() const { return ignores_hang_ups_; }

  // Calls `leave` after this time, if that is earlier than what was asked for before. Any thread.
  void leave_after(std::chrono::milliseconds patience);

  // The thread answers with a beat. Any thread.
  void nudge() { changed_.notify(); }
  uint64_t beats() const { return pulse_.beats(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kNever = INT64_MAX;

  void run();
  void take(int signal_fd);

  std::function<void()> wake_;
  std::function<void()> leave_;
  bool ignores_hang_ups_ = false;
  WakeEvent changed_;
  Pulse pulse_;
  std::atomic<uint32_t> stops_{0};
  std::atomic<uint32_t> hang_ups_{0};
  std::atomic<int64_t> leave_at_{kNever};  // of Clock
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace tcp_sniffer
