// What the run says at its end about the limits of HTTP that it reached.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"
#include "support/run_program.h"

namespace tcp_sniffer::reached_limits_test {
namespace {

class ReachedLimits : public testing::Test {
 protected:
  // The `stopped` event of a run over two requests, sent at once, of which the first has a header
  // of 1,500 bytes.
  Json stopped(const std::vector<std::string>& arguments) {
    CaptureMaker maker;
    auto connection = maker.open();
    maker.segment(connection, CaptureMaker::kClient,
                  "GET /1 HTTP/1.1\r\nX: " + std::string(1500, 'x') +
                      "\r\nY: y\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto path = folder_ / "capture.pcap";
    write_file(path, maker.bytes());
    std::vector<std::string> all = {"-r", path.string(), "--format", "ndjson"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Finished finished = run_engine(all);
    EXPECT_EQ(finished.exit.code, 0) << finished.err;
    Json event = event_named(finished.err, "stopped");
    expect_ledger_closes(event);
    return event;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(ReachedLimits, ARunThatReachedNoneIsDeterministic) {
  const Json event = stopped({});
  EXPECT_TRUE(event["deterministic"]);
  EXPECT_EQ(event["http"]["limits_reached"], 0);
}

TEST_F(ReachedLimits, EachOfThemMakesTheRunNotDeterministic) {
  for (const std::vector<std::string>& limit : {std::vector<std::string>{"--max-headers", "1"},
                                                {"--max-header-bytes", "1024"},
                                                {"--max-outstanding-requests", "1"}}) {
    const Json event = stopped(limit);
    EXPECT_FALSE(event["deterministic"]) << limit[0];
    EXPECT_EQ(event["http"]["limits_reached"], 1) << limit[0];
  }
}

// A request that waits for its response was put together where lines are. The memory for that must
// be free again when a longer line needs nearly all that lines may have.
TEST(MemoryThatEnds, IsNotWaitedForByTheOneThatHasIt) {
  for (const size_t size : {5'500'000, 6'500'000, 7'500'000, 8'500'000}) {
    CaptureMaker maker;
    const auto post = [&](size_t body_size) {
      auto connection = maker.open();
      maker.send(connection, CaptureMaker::kClient,
                 "POST / HTTP/1.1\r\nContent-Length: " + std::to_string(body_size) + "\r\n\r\n" +
                     std::string(body_size, 'x'));
      return connection;
    };
    auto held = post(1'200'000);
    post(size);
    maker.send(held, CaptureMaker::kServer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    TemporaryFolder folder;
    const auto path = folder / "capture.pcap";
    write_file(path, maker.bytes());
    for (const char* shards : {"0", "1"}) {
      SCOPED_TRACE(std::to_string(size) + ", shards " + shards);
      const Finished finished =
          run_engine({"-r", path.string(), "--format", "ndjson", "--records", "exchange",
                      "--max-body-size", "16M", "--memory-limit", "32M", "--shards", shards});
      EXPECT_EQ(finished.exit.code, 0) << finished.err;
      const Json stopped = event_named(finished.err, "stopped");
      expect_ledger_closes(stopped);
      EXPECT_EQ(stopped["messages"]["written"], 3);
    }
  }
}

// Whatever memory ends, a head or a body, the event names it and not another limit.
TEST(MemoryThatEnds, IsNamedByTheEvent) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 40; i++) connections.push_back(maker.open());
  const std::string piece(16000, 'b');
  for (auto& connection : connections) {
    maker.segment(connection, CaptureMaker::kClient,
                  "POST /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  }
  for (int round = 0; round < 60; round++) {
    for (auto& connection : connections) maker.segment(connection, CaptureMaker::kClient, piece);
  }
  const TemporaryFolder folder;
  const auto path = folder / "capture.pcap";
  write_file(path, maker.bytes());
  const Finished finished = run_engine(
      {"-r", path.string(), "--format", "ndjson", "--shards", "0", "--memory-limit", "16M"});
  const Json stopped = event_named(finished.err, "stopped");
  const std::vector<Json> limits = events_named(finished.err, "limit");
  EXPECT_FALSE(limits.empty());
  EXPECT_EQ(stopped["http"]["limits_reached"], limits.size());
  for (const Json& limit : limits) EXPECT_EQ(limit["limit"], "memoryLimit") << limit;
}

}  // namespace
}  // namespace tcp_sniffer::reached_limits_test
