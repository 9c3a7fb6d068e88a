#pragma once

#include <atomic>
#include <cstdint>

namespace tcp_sniffer {

// How many exchanges all shards of a run together may write (`count`). Any thread.
class ExchangeLimit {
 public:
  explicit ExchangeLimit(uint64_t exchanges_max) : max_(exchanges_max) {}

  // Whether one more may be written, which is then counted.
  bool take() { return !reached() && taken_.fetch_add(1, std::memory_order_relaxed) < max_; }
  bool reached() const { return taken_.load(std::memory_order_relaxed) >= max_; }

 private:
  const uint64_t max_;
  std::atomic<uint64_t> taken_{0};
};

}  // namespace tcp_sniffer
