// What a run loses it says, at the level warn, whatever is lost and however the run is configured.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "support/ledger_check.h"
#include "support/live_lab.h"
#include "support/program_lab.h"

namespace tcp_sniffer::losses_test {
namespace {

using namespace std::chrono_literals;

enum class Traffic { kLong, kShort, kBodies };

// Exchanges on four long connections, or each on a connection of its own, or few with large bodies.
struct Sent {
  std::string bytes;
  uint64_t messages = 0;
};

Sent traffic(Traffic kind) {
  CaptureMaker maker;
  const size_t exchanges = kind == Traffic::kBodies ? 300 : 20000;
  const std::string body(kind == Traffic::kBodies ? 60000 : 200, 'b');
  std::vector<CaptureMaker::Connection> connections;
  if (kind != Traffic::kShort) {
    for (int i = 0; i < 4; i++) connections.push_back(maker.open());
  }
  for (size_t i = 0; i < exchanges; i++) {
    const std::string path = "/" + std::to_string(i);
    if (kind == Traffic::kShort) {
      CaptureMaker::Connection connection = maker.open();
      maker.exchange(connection, path, body);
      maker.close(connection);
    } else {
      maker.exchange(connections[i % connections.size()], path, body);
    }
  }
  for (auto& connection : connections) maker.close(connection);
  return {maker.take(), exchanges * 2};
}

uint64_t whole_messages_in(std::string_view text) {
  uint64_t whole = 0;
  for (const Json& line : json_lines(text)) whole += line.contains("incomplete") ? 0 : 1;
  return whole;
}

// All that `events` of that name say of it.
uint64_t told(std::string_view said, const char* what) {
  uint64_t sum = 0;
  for (const Json& event : events_named(said, "loss")) {
    EXPECT_EQ(event["level"], "warn");
    EXPECT_TRUE(event["since"].is_string());
    sum += event.value(what, uint64_t{0});
  }
  return sum;
}

class EveryLoss : public testing::TestWithParam<std::tuple<const char*, const char*, Traffic>> {};

TEST_P(EveryLoss, OfAReaderThatStandsStillIsToldAtLevelWarn) {
  const auto& [shards, overload, kind] = GetParam();
  const Sent sent = traffic(kind);
  Running running({"--shards", shards, "--overload", overload, "--memory-limit", "16M",
                   "--drain-timeout-ms", "100", "--log-level", "warn"},
                  sent.bytes);
  // A thread that drops goes on reading; the others stand still with what they have.
  if (std::string_view(overload) == "drop" && std::string_view(shards) == "0") {
    ASSERT_TRUE(until([&] { return running.fed(); }));
  }
  ASSERT_TRUE(until_still([&] { return waiting_in(running.out()); }));
  running.child().signal(SIGTERM);
  EXPECT_EQ(running.child().wait(120s).code, 0);
  const std::string said = running.said();
  EXPECT_LT(whole_messages_in(read_all(running.out())), sent.messages) << "nothing was lost";
  for (const Json& event : json_lines(said)) EXPECT_EQ(event["level"], "warn") << event;
  uint64_t told_of = told(said, "frames") + told(said, "messages");
  if (std::string_view(overload) == "drop" && std::string_view(shards) == "0") {
    EXPECT_GT(told_of, 0u) << said;
  }
  for (const Json& event : events_named(said, "drain_incomplete")) {
    told_of += event["discarded"].get<uint64_t>();
  }
  EXPECT_GT(told_of, 0u) << said;
}

INSTANTIATE_TEST_SUITE_P(
    Shards, EveryLoss,
    testing::Combine(testing::Values("0", "1", "4"), testing::Values("block", "drop"),
                     testing::Values(Traffic::kLong, Traffic::kShort, Traffic::kBodies)));

// ------------------------------------------------------------------ limits

// A file whose run reaches a limit: the ledger, and what is told of it at level warn.
struct Told {
  Json stopped;
  std::string said;
};

Told read_with(const std::string& bytes, std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  write_file(folder / "in.pcap", bytes);
  arguments.insert(arguments.begin(), {"-r", (folder / "in.pcap").string(), "--format", "ndjson"});
  const Finished run = run_sniffer(arguments);
  EXPECT_EQ(run.exit.code, 0) << run.err;
  Told result{event_named(run.err, "stopped"), run.err};
  expect_ledger_closes(result.stopped);
  return result;
}

// Bodies that never end on more connections than there is memory for.
std::string unfinished_bodies(size_t connections, size_t bytes) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> open;
  for (size_t i = 0; i < connections; i++) {
    open.push_back(maker.open());
    maker.segment(open.back(), CaptureMaker::kClient, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    maker.segment(open.back(), CaptureMaker::kServer,
                  "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
  }
  const std::string body(bytes, 'b');
  for (auto& connection : open) maker.send(connection, CaptureMaker::kServer, body, 60000);
  return maker.take();
}

TEST(LossBeyondALimit, OfMemoryIsToldAndNamesMemory) {
  for (const char* shards : {"0", "1", "4"}) {
    SCOPED_TRACE(shards);
    const Told told_of =
        read_with(unfinished_bodies(60, 500000), {"--memory-limit", "16M", "--shards", shards});
    const Json& incomplete = told_of.stopped["incomplete"];
    const uint64_t cut =
        incomplete["limit"].get<uint64_t>() + incomplete["evicted"].get<uint64_t>();
    EXPECT_GT(cut, 0u);
    EXPECT_EQ(told(told_of.said, "cut"), cut);
    for (const Json& event : events_named(told_of.said, "limit")) {
      EXPECT_EQ(event["limit"], "memoryLimit");
    }
    for (const Json& event : events_named(told_of.said, "connection_evicted")) {
      EXPECT_NE(event["message"].get<std::string>().find("memoryLimit"), std::string::npos);
    }
  }
}

TEST(LossBeyondALimit, OfConnectionsThatFindNoPlaceIsTold) {
  // One with two sides keeps its place against segments that begin nothing.
  CaptureMaker maker;
  auto connection = maker.open();
  maker.exchange(connection, "/", "body");
  for (int i = 0; i < 10; i++) {
    auto middle = maker.connection();
    maker.segment(middle, CaptureMaker::kServer, "the middle of something");
  }
  const Told told_of =
      read_with(maker.take(), {"--shards", "0", "--max-concurrent-connections", "1"});
  EXPECT_EQ(told_of.stopped["connections"]["refused"], 10);
  EXPECT_EQ(told(told_of.said, "connections"), 10u);
}

TEST(LossBeyondALimit, OfTunnelsTooDeepIsToldOnce) {
  CaptureMaker maker;
  maker.set_nesting(3);
  auto connection = maker.open();
  maker.exchange(connection, "/", "body");
  const Told told_of = read_with(maker.take(), {"--tunnel-depth", "2"});
  EXPECT_GT(told_of.stopped["frames"]["tunnel_too_deep"], 1);
  const Json limit = event_named(told_of.said, "limit");
  EXPECT_EQ(limit["limit"], "tunnelDepth");
  EXPECT_EQ(limit["value"], 2);
  EXPECT_EQ(limit["level"], "warn");
}

TEST(LossBeyondALimit, OfTrailersForWhichThereIsNoMemoryNamesMemory) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kServer,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
  for (int i = 0; i < 500; i++) {
    maker.send(connection, CaptureMaker::kServer, "X: " + std::string(60000, 't') + "\r\n", 65000);
  }
  const Told told_of = read_with(
      maker.take(), {"--memory-limit", "16M", "--max-header-bytes", "64M", "--shards", "0"});
  EXPECT_EQ(told_of.stopped["incomplete"]["limit"], 1);
  EXPECT_EQ(event_named(told_of.said, "limit")["limit"], "memoryLimit");
  EXPECT_EQ(told(told_of.said, "cut"), 1u);
}

TEST(LossBeyondALimit, OfBodiesThatWaitForTheDiskIsTold) {
  const TemporaryFolder folder;
  const TemporaryFolder bodies;
  write_file(folder / "in.pcap", many_exchanges(3000, 60000));
  const Finished run =
      run_sniffer({"-r", (folder / "in.pcap").string(), "--format", "ndjson", "--output",
                   "/dev/null", "--extract-dir", bodies.path().string(), "--overload", "drop",
                   "--memory-limit", "16M", "--shards", "0"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  const Json stopped = event_named(run.err, "stopped");
  EXPECT_EQ(told(run.err, "bodies"), stopped["extracted"]["dropped"]);
  EXPECT_EQ(stopped["extracted"]["dropped"].get<uint64_t>() +
                stopped["extracted"]["files"].get<uint64_t>(),
            3000u);
}

// ------------------------------------------------------------------ live

using LiveLoss = LiveLab;

TEST_F(LiveLoss, IsToldInEveryConfiguration) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  for (const char* shards : {"0", "1", "4"}) {
    for (const char* overload : {"block", "drop"}) {
      SCOPED_TRACE(std::string(overload) + ", shards " + shards);
      LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--overload", overload, "--shards",
                                    shards, "--buffer-size-mib", "1", "--memory-limit", "16M",
                                    "--drain-timeout-ms", "200"});
      ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
      sniffer.stop_reading();
      Load load;
      load.path = "/large";
      load.exchanges = kSanitized ? 500 : 2000;
      const LoadResult during = send(load);
      sniffer.signal(SIGTERM);
      EXPECT_TRUE(sniffer.wait_for("stopped"));
      sniffer.go_on_reading();
      EXPECT_EQ(sniffer.wait().code, 0);
      const Json stopped = sniffer.stopped();
      expect_ledger_closes(stopped);
      EXPECT_LT(sniffer.lines(), during.exchanges * 2) << "nothing was lost";
      const std::string said = sniffer.said();
      EXPECT_EQ(told(said, "kernel"), stopped["kernel"]["dropped"]);
      EXPECT_EQ(told(said, "frames"), stopped["frames"]["dropped_overload"]);
      EXPECT_EQ(told(said, "messages"), stopped["messages"]["dropped_overload"]);
      EXPECT_GT(told(said, "kernel") + told(said, "frames") + told(said, "messages"), 0u) << said;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::losses_test
