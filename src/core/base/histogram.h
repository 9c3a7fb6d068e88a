#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// Upper bounds of the buckets, in microseconds: a tenth of a millisecond to ten seconds, three a
// decade. The last bucket, beyond these, has no bound.
inline constexpr std::array<int64_t, 16> kHistogramBoundsUs = {
    100,    250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,
    50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

// How long something took, counted in fixed buckets. Plain numbers that only the owner touches and
// a copy that others may read, as with Counters: `publish` is called once a block.
class Histogram {
 public:
  static constexpr size_t kBuckets = kHistogramBoundsUs.size() + 1;

  static size_t bucket_of(int64_t duration_us) {
    const auto* bound =
        std::lower_bound(kHistogramBoundsUs.begin(), kHistogramBoundsUs.end(), duration_us);
    return static_cast<size_t>(bound - kHistogramBoundsUs.begin());
  }

  // Negative durations count as none at all.
  void add(int64_t duration_ns, uint64_t times = 1) {
    const int64_t duration_us = std::max<int64_t>(duration_ns, 0) / 1000;
    own_[bucket_of(duration_us)] += times;
    own_sum_us_ += static_cast<uint64_t>(duration_us) * times;
  }

  void publish() {
    for (size_t i = 0; i < kBuckets; i++) {
      published_[i].store(own_[i], std::memory_order_relaxed);
    }
    published_sum_us_.store(own_sum_us_, std::memory_order_relaxed);
  }

  // Any thread; the values are from the last publish. Durations in the bucket, and in none below.
  uint64_t published(size_t bucket) const {
    return published_[bucket].load(std::memory_order_relaxed);
  }
  uint64_t published_sum_us() const { return published_sum_us_.load(std::memory_order_relaxed); }

 private:
  std::array<uint64_t, kBuckets> own_{};
  uint64_t own_sum_us_ = 0;
  alignas(64) std::array<std::atomic<uint64_t>, kBuckets> published_{};
  std::atomic<uint64_t> published_sum_us_{0};
};

}  // namespace tcp_sniffer
