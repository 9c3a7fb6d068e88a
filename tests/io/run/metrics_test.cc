// The metrics as a Prometheus server sees them.

#include "io/run/metrics.h"

#include <map>

#include "io/output/output_writer.h"
#include "support/live_lab.h"
#include "support/scrape.h"

namespace tcp_sniffer::metrics_test {
namespace {

using scrape::get;
using scrape::Samples;
using scrape::samples_of;

class MetricsTest : public testing::Test {
 protected:
  Samples scraped() {
    const std::string answer = get(server_.port(), "/metrics");
    EXPECT_EQ(answer.find("HTTP/1.1 200"), 0u) << answer.substr(0, 200);
    return samples_of(answer);
  }
  void start() {
    MetricsSources sources;
    sources.captures.push_back({&frames_});
    sources.shards = {{&shards_[0], &latencies_[0]}, {&shards_[1], &latencies_[1]}};
    sources.writer = &writer_;
    sources.lines = &lines_;
    ASSERT_FALSE(server_.start("127.0.0.1:0", std::move(sources)));
    ASSERT_GT(server_.port(), 0);
  }

  LineQueue lines_;
  OutputWriter writer_{OutputWriter::Settings{}, lines_};
  FrameCounters frames_;
  ShardCounters shards_[2];
  Histogram latencies_[2];
  MetricsServer server_;
};

TEST_F(MetricsTest, EveryCounterOfTheLedgerIsServedForEveryThread) {
  for (size_t i = 0; i < FrameCounters::kSize; i++) {
    frames_.set(static_cast<FrameCounter>(i), 1000 + i);
  }
  for (size_t s = 0; s < 2; s++) {
    for (size_t i = 0; i < ShardCounters::kSize; i++) {
      shards_[s].set(static_cast<ShardCounter>(i), 10000 * (s + 1) + i);
    }
    shards_[s].publish();
  }
  frames_.publish();
  start();
  const auto samples = scraped();
  const auto name = [](const CounterInfo& info) {
    const bool gauge = info.meaning.ends_with("(g)");
    std::string label(info.label == "parseError" ? "parse_error" : info.label);
    return "tcp_sniffer_" + std::string(info.group) + "_" + label + (gauge ? "" : "_total");
  };
  for (size_t i = 0; i < FrameCounters::kSize; i++) {
    const std::string key = name(kFrameCounters[i]) + "{capture=\"0\"}";
    ASSERT_TRUE(samples.contains(key)) << key;
    EXPECT_EQ(samples.at(key), static_cast<double>(1000 + i)) << key;
  }
  for (size_t s = 0; s < 2; s++) {
    for (size_t i = 0; i < ShardCounters::kSize; i++) {
      const std::string key = name(kShardCounters[i]) + "{shard=\"" + std::to_string(s) + "\"}";
      ASSERT_TRUE(samples.contains(key)) << key;
      EXPECT_EQ(samples.at(key), static_cast<double>(10000 * (s + 1) + i)) << key;
    }
  }
}

TEST_F(MetricsTest, WhatIsNotPublishedIsNotServed) {
  frames_.set(FrameCounter::received, 5);
  start();
  EXPECT_EQ(scraped().at("tcp_sniffer_frames_received_total{capture=\"0\"}"), 0);
  frames_.publish();
  EXPECT_EQ(scraped().at("tcp_sniffer_frames_received_total{capture=\"0\"}"), 5);
}

TEST_F(MetricsTest, WithoutKafkaThereIsNothingOfIt) {
  start();
  for (const auto& [name, value] : scraped()) EXPECT_EQ(name.find("kafka"), std::string::npos);
}

TEST_F(MetricsTest, HistogramsAreCumulativeAndInSeconds) {
  latencies_[1].add(50'000);          // 50 µs: the first bucket
  latencies_[1].add(100'000);         // a bound belongs to its bucket
  latencies_[1].add(-1'000'000);      // answered before it was asked
  latencies_[1].add(3'000'000, 4);    // 3 ms
  latencies_[1].add(60'000'000'000);  // beyond all bounds
  latencies_[1].publish();
  start();
  const auto samples = scraped();
  const auto bucket = [&](const std::string& bound) {
    return samples.at("tcp_sniffer_latency_seconds_bucket{shard=\"1\",le=\"" + bound + "\"}");
  };
  EXPECT_EQ(bucket("0.0001"), 3);
  EXPECT_EQ(bucket("0.0025"), 3);
  EXPECT_EQ(bucket("0.005"), 7);
  EXPECT_EQ(bucket("10"), 7);
  EXPECT_EQ(bucket("+Inf"), 8);
  EXPECT_EQ(samples.at("tcp_sniffer_latency_seconds_count{shard=\"1\"}"), 8);
  EXPECT_NEAR(samples.at("tcp_sniffer_latency_seconds_sum{shard=\"1\"}"), 60.01215, 1e-6);
  EXPECT_EQ(samples.at("tcp_sniffer_latency_seconds_count{shard=\"0\"}"), 0);
}

TEST_F(MetricsTest, AnAddressThatIsTakenIsAnError) {
  start();
  MetricsServer second;
  MetricsSources sources;
  sources.writer = &writer_;
  sources.lines = &lines_;
  const std::string address = "127.0.0.1:" + std::to_string(server_.port());
  const std::optional<Problem> problem = second.start(address, std::move(sources));
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->message(),
            "metricsListen: nothing can be served on " + address + ": Address already in use");
  const std::optional<Problem> foreseen = MetricsServer::problem_of(address);
  ASSERT_TRUE(foreseen);
  EXPECT_EQ(foreseen->message(), problem->message());
}

TEST_F(MetricsTest, AnAddressThatIsFreeHasNoProblem) {
  for (const char* free : {"127.0.0.1:0", "[::1]:0"}) {
    EXPECT_FALSE(MetricsServer::problem_of(free)) << free;
  }
}

TEST_F(MetricsTest, EveryMetricHasAHelpTextAndAType) {
  start();
  const std::string answer = get(server_.port(), "/metrics");
  std::map<std::string, int> described = scrape::descriptions_of(answer);
  for (const auto& [key, value] : samples_of(answer)) {
    std::string name = key.substr(0, key.find('{'));
    for (const std::string_view part : {"_bucket", "_count", "_sum"}) {
      if (name.ends_with(part) && described.contains(name.substr(0, name.size() - part.size()))) {
        name.resize(name.size() - part.size());
      }
    }
    EXPECT_EQ(described[name], 2) << name;
  }
}

class LiveMetrics : public LiveLab {};

TEST_F(LiveMetrics, ARunServesItsLedgerOnLoopback) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--metrics-listen", "9464",
                                "--capture-threads", "2", "--shards", "2"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  Load load;
  load.exchanges = 500;
  EXPECT_EQ(send(load).exchanges, 500u);
  EXPECT_TRUE(until([&] { return sniffer.lines() >= 1000; }));
  std::string answer;
  server_.run([&] { answer = get(9464, "/metrics"); });
  const auto samples = samples_of(answer);
  const auto sum = [&](const std::string& name) { return scrape::sum(samples, name); };
  EXPECT_EQ(sum("tcp_sniffer_messages_written_total"), 1000);
  EXPECT_EQ(sum("tcp_sniffer_latency_seconds_count"), 500);
  EXPECT_EQ(sum("tcp_sniffer_http_requests_total"), 500);
  EXPECT_EQ(sum("tcp_sniffer_http_request_duration_seconds_count"), 500);
  scrape::expect_served(samples, scrape::named_in_rules_and_dashboard());
  EXPECT_EQ(samples.at("tcp_sniffer_output_messages_total"), 1000);
  EXPECT_EQ(samples.at("tcp_sniffer_delay_seconds_count"), 1000);
  EXPECT_EQ(sum("tcp_sniffer_interface_up"), 2);
  EXPECT_TRUE(samples.contains("tcp_sniffer_kernel_dropped_total{capture=\"1\"}"));
  EXPECT_TRUE(samples.contains("tcp_sniffer_shard_queue_blocks{capture=\"1\",shard=\"1\"}"));
  // From outside nothing answers.
  bool reachable = true;
  client_.run([&] {
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9464);
    inet_pton(AF_INET, kServer4, &to.sin_addr);
    reachable = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  });
  EXPECT_FALSE(reachable);
  EXPECT_EQ(sniffer.stop().code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::metrics_test
