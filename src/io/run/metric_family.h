#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/base/histogram.h"

// What metrics are put together from, in the words of prometheus-cpp.
namespace tcp_sniffer::metric_family {

using Labels = std::vector<prometheus::ClientMetric::Label>;

inline prometheus::MetricFamily family(std::string name, std::string help,
                                       prometheus::MetricType type) {
  return {std::move(name), std::move(help), type, {}};
}

inline void add(prometheus::MetricFamily& to, Labels labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  metric.gauge.value = value;
  to.metric.push_back(std::move(metric));
}

// `in_bucket(i)`: how many durations are in the bucket, and in none below.
template <typename InBucket>
void add_histogram(prometheus::MetricFamily& to, Labels labels, const InBucket& in_bucket,
                   uint64_t sum_us) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  uint64_t count = 0;
  for (size_t i = 0; i < Histogram::kBuckets; i++) {
    count += in_bucket(i);
    const bool bounded = i < kHistogramBoundsUs.size();
    metric.histogram.bucket.push_back({count, bounded
                                                  ? static_cast<double>(kHistogramBoundsUs[i]) / 1e6
                                                  : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = static_cast<double>(sum_us) / 1e6;
  to.metric.push_back(std::move(metric));
}

inline void add_histogram(prometheus::MetricFamily& to, Labels labels, const Histogram& histogram) {
  add_histogram(
      to, std::move(labels), [&](size_t bucket) { return histogram.published(bucket); },
      histogram.published_sum_us());
}

}  // namespace tcp_sniffer::metric_family
