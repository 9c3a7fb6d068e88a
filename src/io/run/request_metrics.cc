#include "io/run/request_metrics.h"

#include <array>
#include <map>
#include <string>
#include <utility>

#include "core/field/field_words.h"
#include "io/run/metric_family.h"

namespace tcp_sniffer {

namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Sources = MetricsSources;

// The causes of `incomplete` in their order, and the counters that stand in it, too.
constexpr auto kFirstCause = static_cast<uint8_t>(Incomplete::kGap);
constexpr auto kLastCause = static_cast<uint8_t>(Incomplete::kParseError);

metric_family::Labels labels_of(const RequestSeries& series, const LabelSet& set,
                                std::string_view method) {
  const std::string_view host = series.is_hidden(set) ? kRedacted : set.host.text();
  metric_family::Labels labels = {{"host", std::string(host)}};
  if (!method.empty()) labels.push_back({"method", std::string(method)});
  if (series.has_routes()) labels.push_back({"route", std::string(series.route_text(set))});
  return labels;
}

// The sum over all shards.
template <typename Read>
uint64_t sum(const Sources& sources, const Read& read) {
  uint64_t total = 0;
  for (const Sources::ShardView& shard : sources.shards) total += read(shard);
  return total;
}

template <typename Read>
uint64_t sum_of_requests(const Sources& sources, const Read& read) {
  return sum(sources, [&](const Sources::ShardView& shard) { return read(*shard.requests); });
}

void collect_incomplete(const Sources& sources, std::vector<MetricFamily>& families) {
  MetricFamily incomplete = metric_family::family(
      "tcp_sniffer_http_messages_incomplete_total",
      "messages of which bytes are missing, by the cause; as long as it grows, the metrics of "
      "requests are not complete either",
      MetricType::Counter);
  for (uint8_t cause = kFirstCause; cause <= kLastCause; cause++) {
    const auto counter = static_cast<ShardCounter>(
        static_cast<uint8_t>(ShardCounter::incomplete_gap) + cause - kFirstCause);
    const uint64_t value = sum(sources, [&](const Sources::ShardView& shard) {
      return shard.counters->published(counter);
    });
    metric_family::add(incomplete,
                       {{"reason", std::string(incomplete_word(static_cast<Incomplete>(cause)))}},
                       static_cast<double>(value));
  }
  families.push_back(std::move(incomplete));
}

void collect_counts(const Sources& sources, std::vector<MetricFamily>& families) {
  const RequestSeries& series = *sources.requests;
  MetricFamily requests = metric_family::family(
      "tcp_sniffer_http_requests_total",
      "requests whose response has ended, or will not come; status_class none: no response is "
      "known",
      MetricType::Counter);
  std::map<metric_family::Labels, uint64_t> of_hidden;
  series.for_each_count([&](const LabelSet& set, size_t number, size_t status_class) {
    const uint64_t value =
        sum_of_requests(sources, [&](const RequestMeter& meter) { return meter.count(number); });
    if (value == 0) return;
    auto labels = labels_of(series, set, kMethodLabels[set.method]);
    labels.push_back({"status_class", std::string(kStatusClassLabels[status_class])});
    if (labels.front().value == kRedacted) {
      of_hidden[std::move(labels)] += value;
    } else {
      metric_family::add(requests, std::move(labels), static_cast<double>(value));
    }
  });
  for (const auto& [labels, value] : of_hidden) {
    metric_family::add(requests, labels, static_cast<double>(value));
  }
  families.push_back(std::move(requests));

  MetricFamily unanswered = metric_family::family(
      "tcp_sniffer_http_requests_without_response_total",
      "requests with status_class none, by the reason; noResponse: the server ended the "
      "connection, others: the response was not captured",
      MetricType::Counter);
  for (uint8_t cause = 0; cause <= kLastCause; cause++) {
    const auto reason = static_cast<Incomplete>(cause);
    const uint64_t value = sum_of_requests(
        sources, [&](const RequestMeter& meter) { return meter.unanswered(reason); });
    const std::string_view word = reason == Incomplete::kNo ? orphan_word(Orphan::Kind::kNoResponse)
                                                            : incomplete_word(reason);
    metric_family::add(unanswered, {{"reason", std::string(word)}}, static_cast<double>(value));
  }
  families.push_back(std::move(unanswered));
}

// What is served of details.
struct Sums {
  std::array<uint64_t, Histogram::kBuckets> durations{};
  uint64_t duration_sum_us = 0;
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;

  void add(const RequestMeter::Detail& detail) {
    constexpr auto kOrder = std::memory_order_relaxed;
    for (size_t i = 0; i < durations.size(); i++) durations[i] += detail.durations[i].load(kOrder);
    duration_sum_us += detail.duration_sum_us.load(kOrder);
    request_bytes += detail.request_bytes.load(kOrder);
    response_bytes += detail.response_bytes.load(kOrder);
  }
};

void collect_details(const Sources& sources, std::vector<MetricFamily>& families) {
  const RequestSeries& series = *sources.requests;
  MetricFamily durations = metric_family::family(
      "tcp_sniffer_http_request_duration_seconds",
      "from a request's first byte to its response's last", MetricType::Histogram);
  MetricFamily request_bytes =
      metric_family::family("tcp_sniffer_http_request_bytes_total",
                            "bytes of the bodies of requests, as sent", MetricType::Counter);
  MetricFamily response_bytes = metric_family::family(
      "tcp_sniffer_http_response_bytes_total",
      "bytes of the bodies of responses whose request is known, as sent", MetricType::Counter);
  const auto serve = [&](const metric_family::Labels& labels, const Sums& sums) {
    metric_family::add_histogram(
        durations, labels, [&](size_t bucket) { return sums.durations[bucket]; },
        sums.duration_sum_us);
    metric_family::add(request_bytes, labels, static_cast<double>(sums.request_bytes));
    metric_family::add(response_bytes, labels, static_cast<double>(sums.response_bytes));
  };
  std::map<metric_family::Labels, Sums> of_hidden;
  series.for_each_detail([&](const LabelSet& set, uint32_t number) {
    const auto labels = labels_of(series, set, {});
    const bool is_hidden = labels.front().value == kRedacted;
    Sums own;
    Sums& sums = is_hidden ? of_hidden[labels] : own;
    for (const Sources::ShardView& shard : sources.shards) sums.add(shard.requests->detail(number));
    if (!is_hidden) serve(labels, sums);
  });
  for (const auto& [labels, sums] : of_hidden) serve(labels, sums);
  for (MetricFamily* each : {&durations, &request_bytes, &response_bytes}) {
    families.push_back(std::move(*each));
  }
}

}  // namespace

void collect_http(const MetricsSources& sources, std::vector<MetricFamily>& families) {
  collect_incomplete(sources, families);
  if (sources.requests == nullptr) return;
  collect_counts(sources, families);
  collect_details(sources, families);
}

}  // namespace tcp_sniffer
