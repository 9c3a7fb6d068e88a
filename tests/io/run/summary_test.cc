#include "io/run/summary.h"

#include <gtest/gtest.h>

#include <string>

#include "core/line/text_columns.h"

namespace tcp_sniffer::summary_test {
namespace {

Totals nothing_seen() {
  Totals totals;
  totals.frames.assign(FrameCounters::kSize, 0);
  totals.shards.assign(ShardCounters::kSize, 0);
  return totals;
}

uint64_t& at(Totals& totals, FrameCounter counter) {
  return totals.frames[static_cast<size_t>(counter)];
}
uint64_t& at(Totals& totals, ShardCounter counter) {
  return totals.shards[static_cast<size_t>(counter)];
}

TEST(Summary, ARunThatSawNothingSaysSo) {
  EXPECT_EQ(summary_of(nothing_seen(), 0),
            "  exchanges          0\n"
            "  messages           0  written, 0 B\n"
            "  connections        0\n"
            "  frames             0  0 B\n"
            "  lost         nothing\n");
}

TEST(Summary, EachLossHasALineWithItsCause) {
  Totals totals = nothing_seen();
  at(totals, ShardCounter::requests) = 1000;
  at(totals, ShardCounter::responses) = 995;
  at(totals, ShardCounter::interim) = 5;
  at(totals, ShardCounter::unpaired) = 40;
  at(totals, ShardCounter::incomplete_gap) = 12;
  at(totals, ShardCounter::incomplete_limit) = 1;
  at(totals, ShardCounter::connections_opened) = 300;
  at(totals, ShardCounter::tls) = 7;
  at(totals, ShardCounter::missing) = 1'500'000;
  at(totals, ShardCounter::missing_overload) = 500'000;
  at(totals, ShardCounter::skipped_in_resync) = 1;
  at(totals, ShardCounter::out_of_window) = 54'000'000;
  at(totals, ShardCounter::connections_evicted) = 2;
  at(totals, ShardCounter::connections_refused) = 3;
  at(totals, ShardCounter::messages_dropped_overload) = 4;
  at(totals, ShardCounter::messages_discarded) = 5;
  at(totals, FrameCounter::received) = 1'234'567;
  at(totals, FrameCounter::received_bytes) = 999'950;
  at(totals, FrameCounter::not_tcp) = 21;
  at(totals, FrameCounter::dropped_overload) = 6;
  at(totals, FrameCounter::fragment_dropped) = 8;
  totals.latencies = {100, 0, 0, 399, 1, 0, 450, 40, 0, 0, 0, 0, 0, 0, 0, 0, 10};
  totals.written = 1986;
  totals.dropped = 96;
  totals.output_bytes = 999;
  totals.kernel_dropped = 901;
  totals.interface_dropped = 9;
  totals.extracted = {
      .files = 10, .bytes = 11, .incomplete = 12, .limited = 13, .dropped = 14, .errors = 15};
  EXPECT_EQ(summary_of(totals, 0),
            "  exchanges        1,000  50 without a response, 40 responses without their request\n"
            "  latency                 p50 up to 2.5 ms, p90 up to 10 ms, p99 up to 25 ms\n"
            "  messages         1,986  written, 999 B\n"
            "                      13  incomplete (gap 12, limit 1)\n"
            "  connections        300  7 TLS streams\n"
            "  frames       1,234,567  1.0 MB, 21 not TCP\n"
            "  bodies              10  in files, 11 B, 12 incomplete ones left out\n"
            "  lost               901  frames: the capture was too slow (kernel)\n"
            "                       9  frames: the interface had no room\n"
            "                       6  frames: the shards were too slow (overload)\n"
            "                       8  fragments: the rest of them never came\n"
            "                  1.0 MB  of connections: they were not captured\n"
            "                500.0 kB  of connections: they were in dropped frames\n"
            "                     1 B  of connections: passed over to find a message\n"
            "                 54.0 MB  of connections: too far from what came before\n"
            "                       2  connections: given up for others (maxConcurrentConnections, "
            "memoryLimit)\n"
            "                       3  connections: no room (maxConcurrentConnections, "
            "memoryLimit)\n"
            "                     100  messages: the output was too slow, or its disk full\n"
            "                       5  messages: not read before the end\n"
            "                      14  bodies: the disk of extractDir was too slow\n"
            "                      13  bodies: extractMaxBytes or extractMaxFiles\n"
            "                      15  bodies: their files could not be written\n");
}

TEST(Summary, NamesTheSlowestExchangesAndTheBusiestHosts) {
  Totals totals = nothing_seen();
  at(totals, ShardCounter::requests) = 9;
  at(totals, ShardCounter::responses) = 9;
  ExchangeNotes& notes = totals.notes.emplace();
  const auto add = [&](std::string_view host, std::string_view target, int64_t latency_ns,
                       uint16_t status) {
    Message response;
    response.status = status;
    response.has_latency = true;
    response.latency_ns = latency_ns;
    response.request_method = "GET";
    response.request_host = host;
    response.request_target = target;
    notes.add(response);
  };
  add("a.example", "/slow\x1b[2J", 1'234'000'000, 503);
  add("a.example", "http://a.example/", 2'000'000, 200);
  for (const char* host : {"b", "c", "d", "e", "f", "g", "\xe2\x80\xae"}) {
    add(host, "/", 1'000'000, 200);
  }
  const std::string summary = summary_of(totals, 0);
  EXPECT_TRUE(
      summary.starts_with("  exchanges           9  1 errors (5xx)\n"
                          "  slowest       1.234 s  GET 503 a.example/slow\\u001b[2J\n"
                          "               2.000 ms  GET 200 http://a.example/\n"
                          "               1.000 ms  GET 200 b/\n"
                          "               1.000 ms  GET 200 c/\n"
                          "               1.000 ms  GET 200 d/\n"
                          "  by host             2  a.example, 1 errors (5xx), slowest 1.234 s\n"
                          "                      1  b, slowest 1.000 ms\n"))
      << summary;
  EXPECT_NE(summary.find("                      3  3 other hosts\n"), std::string::npos) << summary;
}

TEST(Summary, AUrlIsCutWhereTheTerminalIsTooNarrow) {
  Totals totals = nothing_seen();
  ExchangeNotes& notes = totals.notes.emplace();
  Message response;
  response.direction = MessageDirection::kResponse;
  response.status = 200;
  response.has_latency = true;
  response.latency_ns = 2'000'000;
  response.request_method = "GET";
  response.request_host = "a.example";
  response.request_target = "/a/very/long/path/in/the/middle/of/which/nothing/stands/index.html";
  notes.add(response);
  const std::string summary = summary_of(totals, 60);
  const size_t at = summary.find("  slowest");
  ASSERT_NE(at, std::string::npos) << summary;
  const std::string row = summary.substr(at, summary.find('\n', at) - at);
  EXPECT_EQ(columns_of(row), 60u) << row;
  EXPECT_NE(row.find("GET 200 a.exam"), std::string::npos) << row;
  EXPECT_TRUE(row.ends_with("/index.html")) << row;
  EXPECT_NE(summary_of(totals, 200).find("a.example/a/very/long/path/in/the/middle/of/which"),
            std::string::npos);
}

TEST(Summary, ADurationHasTheUnitsThatPeopleUse) {
  EXPECT_EQ(duration_text(0.0042), "4 ms");
  EXPECT_EQ(duration_text(0.9996), "1.0 s");
  EXPECT_EQ(duration_text(59.44), "59.4 s");
  EXPECT_EQ(duration_text(59.96), "1 min 0 s");
  EXPECT_EQ(duration_text(722.9), "12 min 3 s");
  EXPECT_EQ(duration_text(18720), "5 h 12 min");
}

}  // namespace
}  // namespace tcp_sniffer::summary_test
