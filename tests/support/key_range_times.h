#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "support/capture_maker.h"
#include "support/key_range.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

// Traffic for both ends of the keys that are times.
namespace tcp_sniffer::key_range_times {

using namespace key_range;

// A hole in a stream whose other direction is not captured.
inline void check_gap_timeout(const End& end) {
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

inline void check_idle_timeout(const End& end) {
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

// A response whose body arrives over two hours: whole, or in two parts.
inline void check_partial_after(const End& end) {
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
inline void check_drain_timeout(const End& end) {
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
inline void check_duration(const End& end) {
  EXPECT_EQ(end.read(exchanges(10)).messages.size(), 20u);
}

// Neither is in the way of a signal; a run that it ends is in follow_test.cc.
inline void check_follow_idle(const End& end) {
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

inline void check_stats_interval(const End& end) {
  const Outcome outcome = end.read(exchanges(100));
  EXPECT_EQ(outcome.messages.size(), 200u);
  EXPECT_TRUE(events_named(outcome.run.err, "stats").empty());
}

// None, or so much that the brokers answer first; a run that it ends is in kafka_test.cc.
inline void check_kafka_connect_timeout(const End& end) {
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

}  // namespace tcp_sniffer::key_range_times
