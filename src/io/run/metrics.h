#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/counters.h"
#include "core/base/histogram.h"
#include "core/metrics/request_meter.h"
#include "core/metrics/request_series.h"
#include "io/base/problem.h"
#include "io/capture/live_source.h"
#include "io/follow/follow_counters.h"
#include "io/output/kafka_writer.h"
#include "io/output/output_thread.h"
#include "shard/packet_lane.h"

namespace tcp_sniffer {

// What the metrics are made of: parts of the engine, of which only published figures are read.
struct MetricsSources {
  struct Capture {
    const FrameCounters* counters = nullptr;
    const LiveSource* live = nullptr;        // nullptr: files
    std::vector<const PacketLane*> lanes{};  // to the shards, in their order
    bool one_of_several = false;             // interfaces: its figures name it
    const FollowCounters* follow = nullptr;  // nullptr: no captures are followed
  };
  struct ShardView {
    const ShardCounters* counters = nullptr;
    const Histogram* latencies = nullptr;
    const RequestMeter* requests = nullptr;  // with MetricsSources::requests
  };
  std::vector<Capture> captures;
  std::vector<ShardView> shards;
  const RequestSeries* requests = nullptr;  // nullptr: they are not counted (metricsSeriesMax 0)
  const OutputThread* writer = nullptr;
  const KafkaWriter* kafka = nullptr;  // nullptr: the output is none
  const LineQueue* lines = nullptr;
};

// Serves the figures of a run as Prometheus text under /metrics, on threads of its own. A scrape
// takes from the data path only what its threads publish anyway, without a lock.
//
// Every counter of the ledger is a metric of its own, `tcp_sniffer_<group>_<name>`, with the label
// `capture` or `shard`; gauges have no `_total`. Its meaning is the metric's help text. The metrics
// of requests are in request_metrics.h.
//
// The sources must outlive it.
class MetricsServer {
 public:
  // A scrape every second on two connections is far more than a Prometheus server does.
  static constexpr int kThreads = 2;
  // A client that sends nothing gives its thread back after this long.
  static constexpr int kRequestTimeoutMs = 5000;
  // At the end clients have so long to read what they asked for.
  static constexpr int kAnswerPatienceMs = 200;

  MetricsServer();
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // Why nothing can be served on `listen`, found out by taking the address for a moment. Nothing:
  // no obstacle is known.
  static std::optional<Problem> problem_of(const std::string& listen);

  // `listen` is ADDRESS:PORT, port 0 for any. Nothing: it serves. Throws when the address is good
  // and the system refuses a thread.
  std::optional<Problem> start(const std::string& listen, MetricsSources sources);
  // The port it listens on; 0 before start.
  int port() const;

 private:
  class Collector;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace tcp_sniffer
