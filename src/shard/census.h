#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace tcp_sniffer {

constexpr uint32_t kShardsMax = 256;

// How many connections each shard has: written by its shard whenever it has opened one and at the
// end of a block, read by the others when they open one. So the sum can overshoot by one for each
// of the shards that open one at the same moment.
class ConnectionCensus {
 public:
  explicit ConnectionCensus(uint32_t shards) : shards_(shards) {}

  void publish(uint32_t shard, uint64_t connections) {
    counts_[shard].value.store(connections, std::memory_order_relaxed);
  }
  // Of all shards but this one.
  uint64_t others(uint32_t shard) const {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shards_; i++) {
      if (i != shard) sum += counts_[i].value.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  struct alignas(64) Count {
    std::atomic<uint64_t> value{0};
  };
  uint32_t shards_;
  std::array<Count, kShardsMax> counts_;
};

}  // namespace tcp_sniffer
