#include "shard/shard.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/shard_harness.h"

// What belongs to the shard and not to one connection. Conversations are in tests/scenarios.
namespace tcp_sniffer::shard_test {
namespace {

using namespace shard_harness;

constexpr int64_t kSecond = 1000 * kMs;
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
constexpr std::string_view kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Segment segment_of(uint16_t port, Side side, uint32_t sequence, uint32_t acknowledgment, int flags,
                   size_t size, int64_t clock_ns) {
  Segment segment;
  segment.key = key_of(port);
  segment.side = side;
  segment.flags = static_cast<uint8_t>(flags);
  segment.sequence = sequence;
  segment.acknowledgment = acknowledgment;
  segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(size);
  segment.clock_ns = segment.time_ns = clock_ns;
  return segment;
}

void syn(ShardHarness& harness, uint16_t port, int64_t clock_ns = kStartNs) {
  harness.add(segment_of(port, Side::kLow, 1000, 0, kTcpSyn, 0, clock_ns), "");
}

void handshake(ShardHarness& harness, uint16_t port, int64_t clock_ns = kStartNs) {
  syn(harness, port, clock_ns);
  harness.add(segment_of(port, Side::kHigh, 5000, 1001, kTcpSyn | kTcpAck, 0, clock_ns), "");
  harness.add(segment_of(port, Side::kLow, 1001, 5001, kTcpAck, 0, clock_ns), "");
}

void exchange(ShardHarness& harness, uint16_t port, int64_t clock_ns = kStartNs) {
  handshake(harness, port, clock_ns);
  harness.add(segment_of(port, Side::kLow, 1001, 5001, kTcpAck, kRequest.size(), clock_ns),
              kRequest);
  harness.add(segment_of(port, Side::kHigh, 5001, 1019, kTcpAck, kResponse.size(), clock_ns),
              kResponse);
}

TEST(Shard, HasTheCapOverAllShardsByTheCensus) {
  ShardSettings settings;
  settings.connections_max = 10;
  ShardHarness harness(settings);
  harness.census.publish(1, 7);  // what the other shard has
  for (uint16_t port = 1; port <= 3; port++) syn(harness, port);
  harness.process();
  EXPECT_EQ(harness.count(ShardCounter::connections_evicted), 0u);
  EXPECT_EQ(harness.census.others(1), 3u);
  syn(harness, 4);
  harness.process();
  EXPECT_EQ(harness.count(ShardCounter::connections_evicted), 1u);
  EXPECT_EQ(harness.census.others(1), 3u);
  harness.census.publish(1, 6);
  syn(harness, 5);
  harness.process();
  EXPECT_EQ(harness.count(ShardCounter::connections_evicted), 1u);
  EXPECT_EQ(harness.census.others(1), 4u);
}

TEST(Shard, TellsTheOthersOfEachConnectionWithinABlock) {
  ConnectionCensus census(2);
  LineQueue lines;
  RecordedEvents events;
  ShardSettings settings;
  settings.connections_max = 10;
  std::array<std::unique_ptr<Shard>, 2> shards;
  for (uint32_t i = 0; i < 2; i++) {
    shards.at(i) = std::make_unique<Shard>(i, settings, census, lines, true, events);
  }
  // Either has a part of a file in work, in which each packet opens a connection.
  for (uint16_t port = 1; port <= 40; port++) {
    const auto block = std::make_unique<PacketBlock>();
    for (uint16_t i = 0; i < 8; i++) {
      Segment& segment = block->segments.at(block->count++);
      segment = segment_of(static_cast<uint16_t>(port * 100 + i), Side::kLow, 1000, 0, kTcpSyn, 0,
                           kStartNs);
      segment.flow_hash = hash_of(segment.key);
    }
    shards.at(port % 2)->process(*block);
    EXPECT_LE(census.others(2), 10u);
  }
  for (auto& shard : shards) shard->drain();
}

TEST(Shard, TakesAConnectionEvenIfTheOthersHaveUsedUpTheCap) {
  ShardSettings settings;
  settings.connections_max = 10;
  ShardHarness harness(settings);
  harness.census.publish(1, 10);
  exchange(harness, 1);
  harness.drain();
  EXPECT_EQ(harness.lines.size(), 2u);
}

TEST(Shard, EndsIdleConnectionsInTheOrderOfTheirActivity) {
  ShardSettings settings;
  settings.idle_timeout_ns = 10 * kSecond;
  ShardHarness harness(settings);
  for (uint16_t port = 1; port <= 3; port++) {
    handshake(harness, port, kStartNs + port * kSecond);
  }
  harness.add(segment_of(1, Side::kLow, 1001, 5001, kTcpAck, 0, kStartNs + 9 * kSecond), "");
  harness.process(kStartNs + 12 * kSecond);
  EXPECT_EQ(harness.count(ShardCounter::connections_open), 2u);
  harness.process(kStartNs + 13 * kSecond);
  EXPECT_EQ(harness.count(ShardCounter::connections_open), 1u);
  harness.process(kStartNs + 19 * kSecond - 1);
  EXPECT_EQ(harness.count(ShardCounter::connections_open), 1u);
  harness.process(kStartNs + 19 * kSecond);
  EXPECT_EQ(harness.count(ShardCounter::connections_open), 0u);
  EXPECT_EQ(harness.count(ShardCounter::connections_idle), 3u);
}

TEST(Shard, PublishesItsGaugesWithEachBlock) {
  ShardHarness harness({});
  syn(harness, 1);
  handshake(harness, 2);
  EXPECT_EQ(harness.shard().counters().published(ShardCounter::connections_open), 0u);
  harness.process();
  const ShardCounters& counters = harness.shard().counters();
  EXPECT_EQ(counters.published(ShardCounter::connections_open), 2u);
  EXPECT_EQ(counters.published(ShardCounter::connections_half_open), 1u);
  EXPECT_EQ(counters.published(ShardCounter::segments), 4u);
}

TEST(Shard, AnEventWithoutRoomIsCounted) {
  ShardHarness harness({});
  harness.events.has_room = false;
  handshake(harness, 1);
  harness.add(segment_of(1, Side::kLow, 1001, 5001, kTcpAck, 6, kStartNs), "rubish");
  harness.add(segment_of(1, Side::kLow, 1007, 5001, kTcpAck, 3, kStartNs), "\r\n\r");
  harness.drain();
  EXPECT_EQ(harness.count(ShardCounter::events_dropped), 1u);
}

TEST(Shard, AnEvictionSaysWhichConnectionAndWhy) {
  ShardSettings settings;
  settings.connections_max = 1;
  ShardHarness harness(settings);
  syn(harness, 1);
  syn(harness, 2, kStartNs + 5);
  harness.process();
  ASSERT_EQ(harness.events.records.size(), 1u);
  const EventRecord& record = harness.events.records[0];
  EXPECT_EQ(record.kind, EventKind::kConnectionEvicted);
  EXPECT_EQ(record.key, key_of(1));
  EXPECT_EQ(std::string_view(record.detail), "half-open");
  EXPECT_EQ(record.time_ns, kStartNs + 5);
}

TEST(Shard, TheSampleOfAStreamThatIsNotHttpIsItsFirst32Bytes) {
  ShardHarness harness({});
  handshake(harness, 1);
  const std::string text = "\x01\x02" + std::string(100, 'x') + "\r\n";
  harness.add(segment_of(1, Side::kLow, 1001, 5001, kTcpAck, text.size(), kStartNs), text);
  harness.process();
  ASSERT_EQ(harness.events.records.size(), 1u);
  const EventRecord& record = harness.events.records[0];
  EXPECT_EQ(record.sample_size, 32);
  EXPECT_EQ(std::string(record.sample.begin(), record.sample.end()), text.substr(0, 32));
  harness.drain();
}

TEST(Shard, ADrainEndsEveryConnectionAndTheShardGoesOn) {
  ShardHarness harness({});
  for (uint16_t port = 1; port <= 300; port++) exchange(harness, port);
  harness.drain();
  harness.check_ledger();
  EXPECT_EQ(harness.lines.size(), 600u);
  EXPECT_EQ(harness.count(ShardCounter::connections_drained), 300u);
  // The next file may be older.
  exchange(harness, 1, kStartNs - 1000 * kSecond);
  harness.drain();
  harness.check_ledger();
  EXPECT_EQ(harness.lines.size(), 602u);
}

TEST(Shard, IdleConnectionsHoldNoMemoryOfThePool) {
  ShardHarness harness({});
  for (uint16_t port = 1; port <= 300; port++) exchange(harness, port);
  harness.process();
  EXPECT_EQ(harness.count(ShardCounter::connections_open), 300u);
  EXPECT_EQ(harness.count(ShardCounter::memory_bytes), 0u);
  harness.drain();
}

TEST(Shard, TheIdOfAConnectionIsItsKeyAndItsFirstPacketsTime) {
  std::vector<std::string> ids;
  for (const int64_t start : {kStartNs, kStartNs, kStartNs + 1}) {
    ShardHarness harness({});
    exchange(harness, 1, start);
    harness.drain();
    const auto line = nlohmann::json::parse(harness.lines.at(0));
    ids.push_back(line.at("connectionId").get<std::string>());
    EXPECT_EQ(nlohmann::json::parse(harness.lines.at(1)).at("connectionId"), ids.back());
  }
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_NE(ids[0], ids[2]);
}

}  // namespace
}  // namespace tcp_sniffer::shard_test
