#pragma once

#include <atomic>
#include <cstdint>

namespace tcp_sniffer {

// How many exchanges all shards of a run together may write (`count`). Any thread.
class ExchangeLimit {
 public:
  explicit ExchangeLimit(uint64_t exchanges_max) : max_(exchanges_max) {}

  // Whether one more may be written, which is then counted.
  bool take() {
    if (!begin()) return false;
    end();
    return true;
  }
  // The same of one that is written in parts, until end() is called for it.
  bool begin() { return !reached() && taken_.fetch_add(1, std::memory_order_relaxed) < max_; }
  void end() { ended_.fetch_add(1, std::memory_order_relaxed); }
  bool reached() const { return taken_.load(std::memory_order_relaxed) >= max_; }
  bool all_ended() const { return ended_.load(std::memory_order_relaxed) >= max_; }

 private:
  const uint64_t max_;
  std::atomic<uint64_t> taken_{0};
  std::atomic<uint64_t> ended_{0};
};

}  // namespace tcp_sniffer
