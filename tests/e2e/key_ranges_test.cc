// Every numeric key at both ends of its range, with traffic that the key decides over. A key of
// config_keys.cc without an entry here fails the test.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/config/config_keys.h"
#include "support/capture_maker.h"
#include "support/key_range.h"
#include "support/key_range_limits.h"
#include "support/key_range_times.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::key_ranges_test {
namespace {

using namespace key_range;
using namespace key_range_limits;
using namespace key_range_times;

void check_ports(const End& end) {
  const auto port = static_cast<uint16_t>(end.number());
  EXPECT_EQ(end.read(exchanges(2, "body", port)).messages.size(), 4u);
  EXPECT_EQ(end.read(exchanges(2)).messages.size(), 0u);
}

void check_pin_cpus(const End& end) {
  const TemporaryFolder folder;
  write_file(folder / "capture.pcap", exchanges(2).bytes());
  const Finished run = run_sniffer(
      {"-r", (folder / "capture.pcap").string(), "--format", "ndjson", end.flag(), end.text()});
  if (run.exit.code == 0) {
    EXPECT_EQ(lines_of(run.out).size(), 4u);
  } else {
    EXPECT_EQ(run.exit.code, 2);
    EXPECT_NE(run.err.find("is no CPU that this process may use"), std::string::npos) << run.err;
  }
}

void check_sample_rate(const End& end) {
  const Outcome outcome = end.read(exchanges(50));
  EXPECT_EQ(outcome.messages.size(), end.at_most ? 100u : 0u);
  EXPECT_EQ(outcome.stopped["frames"]["not_sampled"] == 0, end.at_most);
}

void check_sample_exchanges(const End& end) {
  const Outcome outcome = end.read(exchanges(50));
  EXPECT_EQ(outcome.messages.size(), end.at_most ? 100u : 0u);
  EXPECT_EQ(outcome.stopped["messages"]["sampled_out"], end.at_most ? 0u : 100u);
}

void check_sample_seed(const End& end) {
  const Outcome outcome = end.read(exchanges(200), {"--sample-rate", "0.5"});
  EXPECT_GT(outcome.messages.size(), 100u);
  EXPECT_LT(outcome.messages.size(), 300u);
}

void check_trusted_proxies(const End& end) {
  CaptureMaker maker;
  auto connection = maker.open();
  std::string list = "192.0.2.200";
  for (int i = 100; i > 0; --i) list += ", 192.0.2." + std::to_string(i);
  maker.segment(connection, CaptureMaker::kClient,
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + list + "\r\n\r\n");
  const Outcome outcome = end.read(maker);
  ASSERT_EQ(outcome.messages.size(), 1u);
  EXPECT_EQ(outcome.messages[0]["client"], end.at_most ? "192.0.2.100" : "10.0.0.0");
}

void check_flush_every(const End& end) {
  const CaptureMaker maker = exchanges(100);
  const Outcome outcome = end.read(maker);
  EXPECT_EQ(outcome.messages.size(), 200u);
  EXPECT_EQ(sorted_lines(outcome.run.out), sorted_lines(end.read(maker).run.out));
}

void check_shards(const End& end) {
  EXPECT_EQ(end.read(exchanges(100)).messages.size(), 200u);
  // Not in a team: a thread for each of them.
  EXPECT_EQ(end.read(exchanges(100), {"--flush-every", "100"}).messages.size(), 200u);
}

// None, or more than there are; a run that it ends is in terminal_test.cc.
void check_count(const End& end) {
  EXPECT_EQ(end.read(exchanges(10)).messages.size(), 20u);
}

void check_verbose(const End& end) {
  const TemporaryFolder folder;
  write_file(folder / "capture.pcap", exchanges(10).bytes());
  const Finished run = run_sniffer({"-r", (folder / "capture.pcap").string(), "--format", "pretty",
                                    "--utc", end.flag(), end.text()});
  EXPECT_EQ(run.out.find("  > GET ") != std::string::npos, end.at_most);
  expect_ledger_closes(event_named(run.err, "stopped"));
}

using Check = std::function<void(const End&)>;

const std::map<std::string_view, Check>& checks() {
  static const std::map<std::string_view, Check> all = {
      {"ports", check_ports},
      {"pinCpus", check_pin_cpus},
      {"sampleRate", check_sample_rate},
      {"sampleExchanges", check_sample_exchanges},
      {"sampleSeed", check_sample_seed},
      {"tunnelDepth", check_tunnel_depth},
      {"trustedProxies", check_trusted_proxies},
      {"maxBodySize", check_max_body_size},
      {"extractMaxBytes", [](const End& end) { check_extract_max(end, 1); }},
      {"extractMaxFiles", [](const End& end) { check_extract_max(end, 1); }},
      {"gapTimeoutMs", check_gap_timeout},
      {"connectionIdleTimeoutMs", check_idle_timeout},
      {"flushEvery", check_flush_every},
      {"maxConcurrentConnections", check_connections},
      {"memoryLimit", check_memory_limit},
      {"reassemblyBufferSize", check_reassembly_buffer},
      {"maxHeaderBytes", check_max_header_bytes},
      {"maxHeaders", check_max_headers},
      {"maxOutstandingRequests", check_outstanding},
      {"shards", check_shards},
      {"partialAfterMs", check_partial_after},
      {"drainTimeoutMs", check_drain_timeout},
      {"statsIntervalMs", check_stats_interval},
      {"duration", check_duration},
      {"followIdle", check_follow_idle},
      {"count", check_count},
      {"verbose", check_verbose},
      {"metricsSeriesMax", check_metrics_series_max},
      {"kafkaConnectTimeoutMs", check_kafka_connect_timeout},
  };
  return all;
}

// Those that only a live capture uses have theirs in live_key_ranges_test.cc.
constexpr std::string_view kLiveKeys[] = {"snaplen", "bufferSizeMiB", "captureThreads",
                                          "noPacketsWarningMs"};

bool is_live(std::string_view name) {
  return std::find(std::begin(kLiveKeys), std::end(kLiveKeys), name) != std::end(kLiveKeys);
}

TEST(KeyRanges, EveryNumericKeyHasAnEntry) {
  size_t numeric = 0;
  for (const KeySpec& key : config_keys()) {
    if (!is_numeric(key)) continue;
    numeric++;
    EXPECT_TRUE(checks().contains(key.name) != is_live(key.name)) << key.name;
    EXPECT_EQ(key.live_only, is_live(key.name)) << key.name;
  }
  EXPECT_EQ(checks().size() + std::size(kLiveKeys), numeric);
}

class KeyRange : public testing::TestWithParam<std::string_view> {};

TEST_P(KeyRange, LeastValueIsServed) {
  const KeySpec* key = find_key(GetParam());
  ASSERT_NE(key, nullptr);
  checks().at(GetParam())({*key, false});
}

TEST_P(KeyRange, LargestValueIsServed) {
  const KeySpec* key = find_key(GetParam());
  ASSERT_NE(key, nullptr);
  checks().at(GetParam())({*key, true});
}

std::vector<std::string_view> checked_keys() {
  std::vector<std::string_view> names;
  for (const auto& [name, check] : checks()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Keys, KeyRange, testing::ValuesIn(checked_keys()),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace tcp_sniffer::key_ranges_test
