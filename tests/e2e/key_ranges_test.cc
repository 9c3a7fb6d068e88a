// Every numeric key at both ends of its range, with traffic that the key decides over. A key of
// config_keys.cc without an entry here fails the test.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/config/config_keys.h"
#include "support/key_range.h"
#include "support/program_lab.h"
#include "support/run_program.h"
#include "support/scrape.h"

namespace tcp_sniffer::key_ranges_test {
namespace {

using namespace key_range;

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

void check_tunnel_depth(const End& end) {
  for (const uint64_t beyond : {0, 1}) {
    CaptureMaker maker;
    maker.set_nesting(static_cast<uint32_t>(end.number() + beyond));
    auto connection = maker.open();
    maker.exchange(connection, "/nested", "body");
    const Outcome outcome = end.read(maker);
    EXPECT_EQ(outcome.messages.size(), beyond == 0 ? 2u : 0u);
    EXPECT_EQ(outcome.stopped["frames"]["tunnel_too_deep"], beyond == 0 ? 0u : maker.frames());
  }
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

// Lengths up to the largest that the wire can announce, of which little comes.
void check_max_body_size(const End& end) {
  const std::string part(40'000, 'b');
  for (const char* length : {"Content-Length: 3000000000", "Content-Length: 4294967296",
                             "Content-Length: 9223372036854775807", "Transfer-Encoding: chunked"}) {
    CaptureMaker maker;
    auto connection = maker.open();
    const bool chunked = length[0] == 'T';
    maker.send(connection, CaptureMaker::kClient,
               "POST /large HTTP/1.1\r\n" + std::string(length) + "\r\n\r\n" +
                   (chunked ? "3fffffffffffffff\r\n" : "") + part);
    auto whole = maker.open();
    maker.exchange(whole, "/whole", part);
    for (const char* memory : {"16M", "1G", "64G"}) {
      const Outcome outcome = end.read(maker, {"--memory-limit", memory});
      ASSERT_EQ(outcome.messages.size(), 3u) << length;
      for (const Json& message : outcome.messages) {
        if (message.value("path", "") == "/whole") continue;
        const bool upload = message["direction"] == "request";
        EXPECT_EQ(message.value("body", ""), end.at_most ? part : "") << length << " " << memory;
        EXPECT_EQ(message.value("incomplete", ""), upload ? "shutdown" : "") << length;
      }
    }
  }
}

void check_extract_max(const End& end, uint64_t written_at_least) {
  const TemporaryFolder bodies;
  const Outcome outcome = end.read(exchanges(5, "b"), {"--extract-dir", bodies.path().string()});
  const auto& extracted = outcome.stopped["extracted"];
  EXPECT_EQ(extracted["files"], end.at_most ? 5u : written_at_least);
  EXPECT_EQ(extracted["limited"], end.at_most ? 0u : 5u - written_at_least);
}

// A hole in a stream whose other direction is not captured.
void check_gap_timeout(const End& end) {
  CaptureMaker maker;
  auto connection = maker.connection();
  maker.segment(connection, CaptureMaker::kServer,
                "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + std::string(100, 'a'));
  maker.lose(connection, CaptureMaker::kServer, 100);
  maker.segment(connection, CaptureMaker::kServer, std::string(100, 'b'));
  maker.segment(connection, CaptureMaker::kServer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc");
  const Outcome outcome = end.read(maker);
  ASSERT_EQ(outcome.messages.size(), 2u);
  EXPECT_EQ(outcome.stopped["bytes"]["missing"], 100);
}

void check_idle_timeout(const End& end) {
  CaptureMaker maker;
  auto connection = maker.open();
  for (const char* path : {"/1", "/2", "/3"}) {
    maker.exchange(connection, path, "body");
    maker.wait_us(3'000'000'000);
  }
  const Outcome outcome = end.read(maker);
  EXPECT_EQ(outcome.messages.size(), 6u);
  EXPECT_EQ(outcome.stopped["connections"]["opened"], end.at_most ? 1 : 3);
}

void check_flush_every(const End& end) {
  const CaptureMaker maker = exchanges(100);
  const Outcome outcome = end.read(maker);
  EXPECT_EQ(outcome.messages.size(), 200u);
  EXPECT_EQ(sorted_lines(outcome.run.out), sorted_lines(end.read(maker).run.out));
}

void check_connections(const End& end) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 50; i++) connections.push_back(maker.open());
  for (auto& connection : connections) maker.exchange(connection, "/one", "body");
  const Outcome outcome = end.read(maker, {"--shards", "0"});
  EXPECT_EQ(outcome.messages.size(), 100u);
  EXPECT_EQ(outcome.stopped["connections"]["evicted"] == 0, end.at_most);
}

void check_memory_limit(const End& end) {
  CaptureMaker maker;
  const std::string half(524'288, 'p');
  for (int i = 0; i < 40; i++) {
    auto connection = maker.open();
    maker.send(connection, CaptureMaker::kClient,
               "POST /half HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + half);
  }
  const Outcome outcome = end.read(maker, {"--shards", "0"});
  EXPECT_EQ(outcome.messages.size(), 40u);
  EXPECT_EQ(outcome.stopped["memory"]["refusals"] == 0, end.at_most);
}

// A hole that is filled when 100 KB wait behind it.
void check_reassembly_buffer(const End& end) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient,
                "POST /late HTTP/1.1\r\nContent-Length: 100100\r\n\r\n");
  const auto hole = connection;
  maker.lose(connection, CaptureMaker::kClient, 100);
  maker.send(connection, CaptureMaker::kClient, std::string(100'000, 'b'));
  maker.put(hole, CaptureMaker::kClient, hole.next[CaptureMaker::kClient], std::string(100, 'a'),
            CaptureMaker::kAck);
  const Outcome outcome =
      end.read(maker, {"--gap-policy", "buffer", "--memory-limit", "2G", "--max-body-size", "1M"});
  ASSERT_EQ(outcome.messages.size(), 1u);
  EXPECT_EQ(outcome.messages[0].contains("incomplete"), !end.at_most);
  EXPECT_EQ(outcome.stopped["bytes"]["missing"], end.at_most ? 0 : 100);
  EXPECT_EQ(outcome.messages[0]["bodySize"], 100'100);
}

void check_head(const End& end, std::string_view head, const Arguments& arguments) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.send(connection, CaptureMaker::kClient,
             "GET /head HTTP/1.1\r\n" + std::string(head) + "\r\n");
  maker.segment(connection, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
  const Outcome outcome = end.read(maker, arguments);
  ASSERT_EQ(outcome.messages.size(), 2u);
  EXPECT_EQ(outcome.messages[0].value("incomplete", ""), end.at_most ? "" : "limit");
}

void check_max_header_bytes(const End& end) {
  const size_t size = kSanitized ? 1'000'000 : 20'000'000;
  std::string head;
  for (size_t i = 0; head.size() < size; i++) {
    head += "x-" + std::to_string(i) + ": " + std::string(1000, 'v') + "\r\n";
  }
  check_head(end, head, {"--max-headers", "100000"});
}

void check_max_headers(const End& end) {
  for (const bool same_name : {false, true}) {
    std::string head;
    for (int i = 0; i < 100'000; i++) {
      head += "x" + (same_name ? std::string() : std::to_string(i)) + ": v\r\n";
    }
    check_head(end, head, {"--max-header-bytes", "64M"});
  }
}

// One request more than may wait. Half of the answers, as many requests again, so that the ring
// goes round, and the other answers.
void check_outstanding(const End& end) {
  const uint64_t most = end.number();
  CaptureMaker maker;
  auto connection = maker.open();
  const auto send = [&](CaptureMaker::From from, uint64_t first, uint64_t behind) {
    std::string text;
    for (uint64_t i = first; i < behind; i++) {
      text += from == CaptureMaker::kClient ? "GET /" + std::to_string(i) + " HTTP/1.1\r\n\r\n"
                                            : "HTTP/1.1 204 " + std::to_string(i) + "\r\n\r\n";
    }
    maker.send(connection, from, text);
  };
  const uint64_t half = most / 2;
  send(CaptureMaker::kClient, 0, most);
  send(CaptureMaker::kServer, 0, half);
  send(CaptureMaker::kClient, most, most + half + 1);
  send(CaptureMaker::kServer, half, most + half + 1);
  const Outcome outcome = end.read(maker, {"--shards", "0"});
  EXPECT_EQ(outcome.messages.size(), 2 * (most + half + 1));
  EXPECT_EQ(outcome.stopped["http"]["requests_forgotten"], 1);
  uint64_t paired = 0;
  for (const Json& message : outcome.messages) {
    if (message["direction"] != "response" || !message.contains("exchange")) continue;
    EXPECT_EQ(message["statusText"], std::to_string(message["exchange"].get<uint64_t>()));
    paired++;
  }
  EXPECT_EQ(paired, most + half);
}

void check_shards(const End& end) {
  EXPECT_EQ(end.read(exchanges(100)).messages.size(), 200u);
  // Not in a team: a thread for each of them.
  EXPECT_EQ(end.read(exchanges(100), {"--flush-every", "100"}).messages.size(), 200u);
}

// A response whose body arrives over two hours: whole, or in two parts.
void check_partial_after(const End& end) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient, "GET / HTTP/1.1\r\n\r\n");
  maker.segment(connection, CaptureMaker::kServer,
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
  for (int i = 0; i < 4; i++) {
    maker.wait_us(1'800'000'000);
    maker.acknowledge(connection, CaptureMaker::kClient);
  }
  maker.segment(connection, CaptureMaker::kServer, "cd");
  const Outcome outcome = end.read(maker, {"--connection-idle-timeout-ms", "7200000"});
  EXPECT_EQ(outcome.messages.size(), end.at_most ? 3u : 2u);
  EXPECT_EQ(outcome.with("lastPart"), end.at_most ? 1u : 0u);
}

// Told to stop in the middle of its input, with a reader that reads.
void check_drain_timeout(const End& end) {
  Pipe in = make_pipe();
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", "ndjson", "--stats-interval-ms", "100", end.flag(),
                       end.text()}),
              {in.read_end.get(), out.get(), err.get()});
  const std::string bytes = exchanges(10).bytes();
  ASSERT_EQ(::write(in.write_end.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_TRUE(until([&] { return content_of(err).find("\"stats\"") != std::string::npos; }));
  child.signal(SIGTERM);
  const Exit exit = child.wait(std::chrono::seconds(60));
  EXPECT_EQ(exit.code, 0) << content_of(err);
  expect_ledger_closes(event_named(content_of(err), "stopped"));
}

// None, or so much that the file ends first; a run that it ends is in terminal_test.cc.
void check_duration(const End& end) {
  EXPECT_EQ(end.read(exchanges(10)).messages.size(), 20u);
}

// Neither is in the way of a signal; a run that it ends is in follow_test.cc.
void check_follow_idle(const End& end) {
  const TemporaryFolder folder;
  write_file(folder / "capture.pcap", exchanges(10).bytes());
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  Child child(sniffer({"--follow", "-r", (folder / "capture.pcap").string(), "--format", "ndjson",
                       end.flag(), end.text()}),
              {-1, out.get(), err.get()});
  EXPECT_TRUE(until([&] { return lines_of(content_of(out)).size() == 20; }));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(std::chrono::seconds(60)).code, 0) << content_of(err);
  expect_ledger_closes(event_named(content_of(err), "stopped"));
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

void check_stats_interval(const End& end) {
  const Outcome outcome = end.read(exchanges(100));
  EXPECT_EQ(outcome.messages.size(), 200u);
  EXPECT_TRUE(events_named(outcome.run.err, "stats").empty());
}

// None, or so much that the brokers answer first; a run that it ends is in kafka_test.cc.
void check_kafka_connect_timeout(const End& end) {
#ifdef __SANITIZE_THREAD__
  return;  // it does not see the order within librdkafka, so what uses Kafka is left out
#endif
  const TemporaryFolder folder;
  write_file(folder / "capture.pcap", exchanges(10).bytes());
  const Finished run =
      run_sniffer({"-r", (folder / "capture.pcap").string(), "--output", "kafka://nowhere/http",
                   "--kafka-properties", "test.mock.num.brokers=1", end.flag(), end.text()});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  const Json stopped = event_named(run.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["kafka"]["acknowledged"], 20);
}

using Check = std::function<void(const End&)>;

// 3,000 hosts, for which 100,000 series are enough.
void check_metrics_series_max(const End& end) {
  CaptureMaker maker;
  auto connection = maker.open();
  for (int i = 0; i < 3000; i++) {
    maker.segment(connection, CaptureMaker::kClient,
                  "GET / HTTP/1.1\r\nHost: h" + std::to_string(i) + "\r\n\r\n");
    maker.segment(connection, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
  }
  maker.close(connection);
  scrape::MeteredRun run(maker.bytes(), {end.flag(), end.text()});
  const scrape::Samples samples = run.samples_with(end.at_most ? 3000 : 0);
  EXPECT_EQ(scrape::sum(samples, "tcp_sniffer_http_requests_total"), end.at_most ? 3000 : 0);
  EXPECT_EQ(scrape::sum(samples, "tcp_sniffer_http_requests_total", "host=\"other\""), 0);
  EXPECT_EQ(
      scrape::sum(samples, "tcp_sniffer_http_request_duration_seconds_count", "host=\"h2000\""),
      end.at_most ? 1 : 0);
  const Finished finished = run.end();
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_EQ(lines_of(finished.out).size(), 6000u);
}

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

// Those that only a live capture uses have theirs below.
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
