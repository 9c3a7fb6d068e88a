#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/capture_maker.h"
#include "support/key_range.h"
#include "support/run_program.h"
#include "support/scrape.h"

// Traffic for both ends of the keys that limit sizes, numbers and memory.
namespace tcp_sniffer::key_range_limits {

using namespace key_range;

inline void check_tunnel_depth(const End& end) {
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

// Lengths up to the largest that the wire can announce, of which little comes.
inline void check_max_body_size(const End& end) {
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

inline void check_extract_max(const End& end, uint64_t written_at_least) {
  const TemporaryFolder bodies;
  const Outcome outcome = end.read(exchanges(5, "b"), {"--extract-dir", bodies.path().string()});
  const auto& extracted = outcome.stopped["extracted"];
  EXPECT_EQ(extracted["files"], end.at_most ? 5u : written_at_least);
  EXPECT_EQ(extracted["limited"], end.at_most ? 0u : 5u - written_at_least);
}

inline void check_connections(const End& end) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 50; i++) connections.push_back(maker.open());
  for (auto& connection : connections) maker.exchange(connection, "/one", "body");
  const Outcome outcome = end.read(maker, {"--shards", "0"});
  EXPECT_EQ(outcome.messages.size(), 100u);
  EXPECT_EQ(outcome.stopped["connections"]["evicted"] == 0, end.at_most);
}

inline void check_memory_limit(const End& end) {
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
inline void check_reassembly_buffer(const End& end) {
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

inline void check_head(const End& end, std::string_view head, const Arguments& arguments) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.send(connection, CaptureMaker::kClient,
             "GET /head HTTP/1.1\r\n" + std::string(head) + "\r\n");
  maker.segment(connection, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
  const Outcome outcome = end.read(maker, arguments);
  ASSERT_EQ(outcome.messages.size(), 2u);
  EXPECT_EQ(outcome.messages[0].value("incomplete", ""), end.at_most ? "" : "limit");
}

inline void check_max_header_bytes(const End& end) {
  const size_t size = kSanitized ? 1'000'000 : 20'000'000;
  std::string head;
  for (size_t i = 0; head.size() < size; i++) {
    head += "x-" + std::to_string(i) + ": " + std::string(1000, 'v') + "\r\n";
  }
  check_head(end, head, {"--max-headers", "100000"});
}

inline void check_max_headers(const End& end) {
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
inline void check_outstanding(const End& end) {
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

// 3,000 hosts, for which 100,000 series are enough.
inline void check_metrics_series_max(const End& end) {
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

}  // namespace tcp_sniffer::key_range_limits
