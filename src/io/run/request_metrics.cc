#include "io/run/request_metrics.h"

#include <string>
#include <utility>

#include "core/field/field_value.h"
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
  metric_family::Labels labels = {{"host", std::string(set.host.text())}};
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
  series.for_each_count([&](const LabelSet& set, size_t number, size_t status_class) {
    const uint64_t value =
        sum_of_requests(sources, [&](const RequestMeter& meter) { return meter.count(number); });
    if (value == 0) return;
    auto labels = labels_of(series, set, kMethodLabels[set.method]);
    labels.push_back({"status_class", std::string(kStatusClassLabels[status_class])});
    metric_family::add(requests, std::move(labels), static_cast<double>(value));
  });
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
  series.for_each_detail([&](const LabelSet& set, uint32_t number) {
    const auto total = [&](const auto& read) {
      return sum_of_requests(sources,
                             [&](const RequestMeter& meter) { return read(meter.detail(number)); });
    };
    using Detail = RequestMeter::Detail;
    constexpr auto kOrder = std::memory_order_relaxed;
    const auto in_bucket = [&](size_t bucket) {
      return total([&](const Detail& detail) { return detail.durations[bucket].load(kOrder); });
    };
    const auto labels = labels_of(series, set, {});
    metric_family::add_histogram(durations, labels, in_bucket, total([](const Detail& detail) {
                                   return detail.duration_sum_us.load(kOrder);
                                 }));
    metric_family::add(request_bytes, labels, static_cast<double>(total([](const Detail& detail) {
                         return detail.request_bytes.load(kOrder);
                       })));
    metric_family::add(response_bytes, labels, static_cast<double>(total([](const Detail& detail) {
                         return detail.response_bytes.load(kOrder);
                       })));
  });
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
