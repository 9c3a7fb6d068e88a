#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/histogram.h"
#include "core/metrics/label_table.h"
#include "core/metrics/routes.h"
#include "core/redaction/patterns.h"

namespace tcp_sniffer {

enum class StatusClass : uint8_t { k1xx, k2xx, k3xx, k4xx, k5xx, kOther, kNone };

// Values of the label `status_class`; `none`: no response is known.
inline constexpr std::array<std::string_view, 7> kStatusClassLabels = {"1xx", "2xx",   "3xx", "4xx",
                                                                       "5xx", "other", "none"};
// Values of the label `method`: RFC 9110 section 9.3 and RFC 5789.
inline constexpr std::array<std::string_view, 10> kMethodLabels = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"};

// Which series the metrics of requests have: one place for all shards, so that the bound is that of
// the run. Any thread, without a lock. All memory is taken by the constructor.
//
// A series is what Prometheus counts as one: a line of the metrics. `series_max` of them are
// divided among
//
// - details: a host's (and route's) histogram of durations, and its bytes. Half of all, in sets of
//   kDetailSeries; the first set is that of the host "other".
// - counts: the rest. A row is a host, a method and a route; it has a count for each status class.
//   A row begins with the right to kPrepaid classes, because the errors of a host must not be
//   counted elsewhere than its successes; for one more it takes a series of a small reserve.
// - "other": up to 70 of the counts are kept for the host "other", which has a row for each method.
//
// 1. There are never more than series_max series.
// 2. Each request has one count: its row's, or that of the host "other" and its method, or at last
//    that of "other" in all three labels.
// 3. A series that is there stays, so no count ever goes back; but those of hosts that are hidden
//    later are served as one.
class RequestSeries {
 public:
  static constexpr uint32_t kNoRow = ~uint32_t{0};
  static constexpr uint32_t kNoDetail = ~uint32_t{0};
  static constexpr std::string_view kOther = "other";
  // Buckets, _sum and _count of a histogram, and the bytes of requests and of responses.
  static constexpr uint32_t kDetailSeries = Histogram::kBuckets + 4;

  struct Settings {
    uint32_t series_max = 0;                  // metricsSeriesMax; at least 1
    std::vector<std::string> routes{};        // metricsRoutes
    bool hides_hosts = false;                 // redactHeaders names Host
    std::vector<std::string> hide_matches{};  // redactPattern
  };

  explicit RequestSeries(const Settings& settings);

  // From here on these hosts are hidden, also those that have series; others are no longer. The
  // other settings stay. One thread.
  void hide(const Settings& settings);

  // ---- what the shards ask

  // Where a request with this start line and Host header (empty: none) belongs.
  uint32_t row_of(std::string_view method, std::string_view target, std::string_view host_header);
  // The number of the count for this outcome of a row's request.
  size_t count_of(uint32_t row, StatusClass status_class) {
    if ((rows_[row].classes.load(std::memory_order_relaxed) & bit_of(status_class)) != 0) [[likely]]
      return place_of(row, status_class);
    return claim(row, status_class);
  }
  // The number of the row's details; kNoDetail: there is no room for any.
  uint32_t detail_of(uint32_t row) const { return rows_[row].detail; }

  size_t counts() const { return rows_.size() * kStatusClassLabels.size(); }
  size_t details() const { return details_max_; }

  // ---- what is served

  bool has_routes() const { return !routes_.empty(); }
  // visit(labels, number of the count, status class) for each count that there may be.
  template <typename Visit>
  void for_each_count(const Visit& visit) const {
    rows_.for_each([&](uint32_t row, const LabelSet& set) {
      const uint8_t classes = set.classes.load(std::memory_order_relaxed);
      for (size_t i = 0; i < kStatusClassLabels.size(); i++) {
        const auto status_class = static_cast<StatusClass>(i);
        if ((classes & bit_of(status_class)) != 0) visit(set, place_of(row, status_class), i);
      }
    });
  }
  // Whether the host is served as kRedacted. Several rows may be, which are one series then.
  bool is_hidden(const LabelSet& set) const;
  // visit(labels, number of the details); the label method has no meaning.
  template <typename Visit>
  void for_each_detail(const Visit& visit) const {
    details_.for_each([&](uint32_t number, const LabelSet& set) { visit(set, number); });
  }
  std::string_view route_text(const LabelSet& set) const {
    return set.route == Routes::kNone ? kOther : routes_.text_of(set.route);
  }

 private:
  static constexpr uint32_t kPrepaid = 4;
  static constexpr uint32_t kOtherRows = kMethodLabels.size();  // numbers of methods

  // A table with rows that are always there in front of those of hosts.
  struct Shares {
    explicit Shares(uint32_t series_max);

    uint32_t details = 0;  // sets
    uint32_t other = 0;    // series
    uint32_t rows = 0;
    uint32_t spare = 0;  // series
  };
  class Rows {
   public:
    explicit Rows(uint32_t hosts_max) : hosts_(hosts_max), hosts_max_(hosts_max) {}

    size_t size() const { return size_t{kOtherRows} + hosts_max_; }
    LabelTable& hosts() { return hosts_; }
    LabelSet& operator[](uint32_t row) {
      return row < kOtherRows ? other_[row] : hosts_[row - kOtherRows];
    }
    const LabelSet& operator[](uint32_t row) const {
      return row < kOtherRows ? other_[row] : hosts_[row - kOtherRows];
    }
    template <typename Visit>
    void for_each(const Visit& visit) const {
      for (uint32_t row = 0; row < kOtherRows; row++) visit(row, other_[row]);
      hosts_.for_each(
          [&](uint32_t number, const LabelSet& set) { visit(number + kOtherRows, set); });
    }

   private:
    std::array<LabelSet, kOtherRows> other_;
    LabelTable hosts_;
    const uint32_t hosts_max_;
  };

  static uint8_t bit_of(StatusClass status_class) {
    return static_cast<uint8_t>(1u << static_cast<uint8_t>(status_class));
  }
  static size_t place_of(uint32_t row, StatusClass status_class) {
    return size_t{row} * kStatusClassLabels.size() + static_cast<size_t>(status_class);
  }
  uint32_t find_row(const HostLabel& host, uint8_t method, uint16_t route);
  uint32_t add_row(const HostLabel& host, uint8_t method, uint16_t route);
  size_t claim(uint32_t row, StatusClass status_class);

  // What is hidden. It is not changed, because threads look at it without a lock.
  struct Hiding {
    explicit Hiding(const Settings& settings);

    bool matches(std::string_view host, const HostLabel& label) const;

    const bool all;
    const std::vector<std::string> expressions;
    const Patterns patterns;
  };

  const Routes routes_;
  // Every one that there was, because a thread may still look at it: as many as a run has had
  // different values of its keys.
  std::vector<std::unique_ptr<const Hiding>> hidings_;
  std::atomic<const Hiding*> hiding_{nullptr};
  const uint32_t details_max_;
  std::atomic<uint32_t> other_left_;  // series that rows of the host "other" may still have
  std::atomic<uint32_t> spare_left_;  // … and the rows of other hosts, beyond those prepaid
  Rows rows_;
  LabelTable details_;
};

uint8_t method_number(std::string_view method);
StatusClass class_of_status(uint16_t status);

}  // namespace tcp_sniffer
