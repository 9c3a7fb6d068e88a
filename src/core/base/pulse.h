#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tcp_sniffer {

// The longest time that a thread waits for work before it beats again.
inline constexpr std::chrono::milliseconds kPulse{1000};

// Shows other threads that one goes on: it beats in each turn of its loop, and at least every
// kPulse while it waits. One thread beats; any thread looks.
class Pulse {
 public:
  void beat() noexcept { beats_.store(beats() + 1, std::memory_order_relaxed); }
  uint64_t beats() const noexcept { return beats_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> beats_{0};
};

}  // namespace tcp_sniffer
