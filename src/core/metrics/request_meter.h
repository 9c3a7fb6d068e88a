#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/histogram.h"
#include "core/message/message.h"
#include "core/metrics/request_series.h"

namespace tcp_sniffer {

// What one shard counts of its requests, in the series that all shards share, which outlive it. Its
// memory is taken by the constructor. One thread counts at a time; any thread may read at any time.
class RequestMeter {
 public:
  static constexpr size_t kReasons = static_cast<size_t>(Incomplete::kParseError) + 1;

  explicit RequestMeter(RequestSeries& series);

  uint32_t row_of(std::string_view method, std::string_view target, std::string_view host_header) {
    return series_.row_of(method, target, host_header);
  }
  // Each of them once for a request: it was given out; and its final response was, or none will
  // come that can be distinguished from others.
  void add_request(uint32_t row, uint64_t body_size);
  // `duration_ns`: the request's first byte to the response's last.
  void add_response(uint32_t row, uint16_t status, int64_t duration_ns, uint64_t body_size);
  void add_unanswered(uint32_t row, Orphan orphan);

  // ---- any thread
  struct Detail {
    std::array<std::atomic<uint64_t>, Histogram::kBuckets> durations{};  // not cumulative
    std::atomic<uint64_t> duration_sum_us{0};
    std::atomic<uint64_t> request_bytes{0};
    std::atomic<uint64_t> response_bytes{0};
  };
  uint64_t count(size_t number) const { return counts_[number].load(std::memory_order_relaxed); }
  const Detail& detail(size_t number) const { return details_[number]; }
  // Requests without a response, by the cause; kNo: the server ended its stream and sent none.
  uint64_t unanswered(Incomplete cause) const {
    return unanswered_[static_cast<size_t>(cause)].load(std::memory_order_relaxed);
  }

 private:
  // Only the shard writes, so nothing comes between reading and writing.
  static void add(std::atomic<uint64_t>& to, uint64_t amount) {
    to.store(to.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  RequestSeries& series_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::vector<Detail> details_;
  std::array<std::atomic<uint64_t>, kReasons> unanswered_{};
};

}  // namespace tcp_sniffer
