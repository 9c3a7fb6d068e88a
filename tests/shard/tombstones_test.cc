#include "shard/tombstones.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "support/shard_harness.h"

namespace tcp_sniffer::tombstones_test {
namespace {

using namespace shard_harness;

constexpr int64_t kSecond = 1000 * kMs;

// A connection whose low side ended at sequence number 1000 + low, the other at 5000 + high.
Connection ended(const FlowKey& key, uint64_t low = 100, uint64_t high = 200) {
  Connection connection;
  connection.hash = static_cast<uint32_t>(hash_of(key));
  connection.identity.key = key;
  connection.streams[0].set_origin(1000);
  connection.streams[1].set_origin(5000);
  connection.streams[0].head += low;
  connection.streams[1].head += high;
  connection.streams[0].seen = connection.streams[1].seen = true;
  return connection;
}

Segment late(const FlowKey& key, Side side, uint32_t sequence, uint32_t size, int64_t clock_ns) {
  Segment segment;
  segment.key = key;
  segment.flow_hash = hash_of(key);
  segment.side = side;
  segment.sequence = sequence;
  segment.payload_size = segment.payload_wire_size = size;
  segment.clock_ns = clock_ns;
  return segment;
}

struct TombstonesTest : testing::Test {
  Tombstones tombstones;
  const FlowKey key = key_of(40001);
};

TEST_F(TombstonesTest, CoversWhatWasSentBeforeTheEnd) {
  tombstones.bury(ended(key), kStartNs);
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1000, 100, kStartNs)));
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1090, 10, kStartNs)));
  EXPECT_TRUE(tombstones.covers(late(key, Side::kHigh, 5000, 200, kStartNs)));
}

TEST_F(TombstonesTest, DoesNotCoverWhatGoesBeyondTheEnd) {
  tombstones.bury(ended(key), kStartNs);
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 1090, 11, kStartNs)));
  EXPECT_FALSE(tombstones.covers(late(key, Side::kHigh, 5200, 1, kStartNs)));
}

TEST_F(TombstonesTest, ComparesSequenceNumbersAcrossTheWrap) {
  Connection connection = ended(key);
  connection.streams[0].set_origin(0xffffffc0);
  connection.streams[0].head += 100;  // ends at 36
  tombstones.bury(connection, kStartNs);
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 0xfffffff0, 52, kStartNs)));
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 0xfffffff0, 53, kStartNs)));
}

TEST_F(TombstonesTest, KnowsOnlyItsKey) {
  tombstones.bury(ended(key), kStartNs);
  EXPECT_FALSE(tombstones.covers(late(key_of(40002), Side::kLow, 1000, 10, kStartNs)));
  Segment same_hash = late(key_of(40002), Side::kLow, 1000, 10, kStartNs);
  same_hash.flow_hash = hash_of(key);
  EXPECT_FALSE(tombstones.covers(same_hash));
}

TEST_F(TombstonesTest, KnowsNothingOfASideThatWasNotCaptured) {
  Connection connection = ended(key);
  connection.streams[1].seen = false;
  tombstones.bury(connection, kStartNs);
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1000, 10, kStartNs)));
  EXPECT_FALSE(tombstones.covers(late(key, Side::kHigh, 5000, 10, kStartNs)));
}

TEST_F(TombstonesTest, KnowsWhatWasCapturedBeforeTheEnd) {
  Connection connection = ended(key);
  connection.last_clock_ns = kStartNs;
  tombstones.bury(connection, kStartNs + kMs);
  Segment syn = late(key, Side::kLow, 1, 0, kStartNs + 200 * kMs);
  syn.time_ns = kStartNs - kMs / 10;
  EXPECT_TRUE(tombstones.is_before_the_end(syn));
  syn.time_ns = kStartNs - 3'000 * kSecond;
  EXPECT_TRUE(tombstones.is_before_the_end(syn));
  for (const int64_t after_ns : {int64_t{0}, kMs / 10, 9 * kSecond}) {
    syn.time_ns = kStartNs + after_ns;
    EXPECT_FALSE(tombstones.is_before_the_end(syn)) << after_ns;
  }
  syn.time_ns = kStartNs - kMs;
  syn.key = key_of(40002);
  EXPECT_FALSE(tombstones.is_before_the_end(syn)) << "another connection";
  syn.key = key;
  syn.clock_ns = kStartNs + 11 * kSecond;
  EXPECT_FALSE(tombstones.is_before_the_end(syn)) << "it is forgotten";
}

TEST_F(TombstonesTest, StandsForTenSecondsOfPacketTime) {
  tombstones.bury(ended(key), kStartNs);
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1000, 10, kStartNs + 10 * kSecond - 1)));
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 1000, 10, kStartNs + 11 * kSecond)));
}

TEST_F(TombstonesTest, ASecondEndOnTheSamePortsReplacesTheFirst) {
  tombstones.bury(ended(key, 100), kStartNs);
  tombstones.bury(ended(key, 50), kStartNs + kSecond);
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 1000, 100, kStartNs + kSecond)));
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1000, 50, kStartNs + kSecond)));
  // … also when the first had expired.
  tombstones.bury(ended(key, 70), kStartNs + 60 * kSecond);
  EXPECT_TRUE(tombstones.covers(late(key, Side::kLow, 1000, 70, kStartNs + 60 * kSecond)));
}

TEST_F(TombstonesTest, ANewConnectionRemovesIt) {
  tombstones.bury(ended(key), kStartNs);
  tombstones.forget(late(key, Side::kLow, 1, 0, kStartNs));
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 1000, 10, kStartNs)));
}

TEST_F(TombstonesTest, ClearRemovesAll) {
  tombstones.bury(ended(key), kStartNs);
  tombstones.clear();
  EXPECT_FALSE(tombstones.covers(late(key, Side::kLow, 1000, 10, kStartNs)));
}

TEST_F(TombstonesTest, HoldsManyAtOnce) {
  for (uint16_t port = 1; port < 50'000; port++) tombstones.bury(ended(key_of(port)), kStartNs);
  for (uint16_t port = 1; port < 50'000; port++) {
    ASSERT_TRUE(tombstones.covers(late(key_of(port), Side::kLow, 1000, 10, kStartNs))) << port;
  }
  EXPECT_EQ(tombstones.forgotten_early(), 0u);
}

TEST_F(TombstonesTest, WhatHasExpiredMakesRoom) {
  for (int round = 0; round < 200; round++) {
    for (uint16_t port = 1; port < 100; port++) {
      tombstones.bury(ended(key_of(static_cast<uint16_t>(port + round * 100))),
                      kStartNs + round * 11 * kSecond);
    }
  }
  EXPECT_EQ(tombstones.forgotten_early(), 0u);
}

TEST_F(TombstonesTest, InACrowdTheOldestIsForgottenAndCounted) {
  // All of one hash: doubling does not help them.
  constexpr uint16_t kCrowd = 9;
  for (uint16_t i = 0; i < kCrowd; i++) {
    Connection connection = ended(key_of(i));
    connection.hash = 0x9abcdef0;
    tombstones.bury(connection, kStartNs + i * kSecond);
  }
  EXPECT_EQ(tombstones.forgotten_early(), 1u);
  for (uint16_t i = 0; i < kCrowd; i++) {
    Segment segment = late(key_of(i), Side::kLow, 1000, 10, kStartNs + kCrowd * kSecond);
    segment.flow_hash = 0x9abcdef0;
    EXPECT_EQ(tombstones.covers(segment), i != 0) << i;
  }
}

// --- through a shard ---

// Keys whose tombstones share one set however large the table is.
std::vector<FlowKey> crowd(size_t size) {
  std::vector<FlowKey> keys;
  for (uint8_t address = 0; keys.size() < size; address++) {
    for (uint16_t port = 1024; port < 65000 && keys.size() < size; port++) {
      FlowKey key = key_of(port);
      key.low_ip[14] = address;
      if ((hash_of(key) >> 1) % Tombstones::kSetsMax == 0) keys.push_back(key);
    }
  }
  return keys;
}

TEST(TombstonesOfAShard, ConnectionsForgottenEarlyAreCounted) {
  ShardHarness harness(ShardSettings{});
  int64_t clock_ns = kStartNs;
  const auto give = [&](const FlowKey& key, Side side, uint8_t flags, uint32_t sequence,
                        uint32_t acknowledgment, std::string_view text) {
    Segment segment = late(key, side, sequence, static_cast<uint32_t>(text.size()), clock_ns);
    segment.time_ns = clock_ns;
    segment.flags = flags;
    segment.acknowledgment = acknowledgment;
    harness.add(segment, text);
  };
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
  constexpr uint32_t kEnd = 1001 + kRequest.size();
  const std::vector<FlowKey> keys = crowd(9);
  for (const FlowKey& key : keys) {
    give(key, Side::kLow, kTcpSyn, 1000, 0, "");
    give(key, Side::kHigh, kTcpSyn | kTcpAck, 5000, 1001, "");
    give(key, Side::kLow, kTcpAck, 1001, 5001, kRequest);
    give(key, Side::kLow, kTcpFin | kTcpAck, kEnd, 5001, "");
    give(key, Side::kHigh, kTcpFin | kTcpAck, 5001, kEnd + 1, "");
    give(key, Side::kLow, kTcpAck, kEnd + 1, 5002, "");
    clock_ns += kSecond / 2;
  }
  harness.process();
  ASSERT_EQ(harness.count(ShardCounter::connections_closed), keys.size());
  EXPECT_EQ(harness.count(ShardCounter::tombstones_forgotten), 1u);
  // Retransmitted, the request of the one that was forgotten looks like a new connection's.
  for (const FlowKey& key : keys) give(key, Side::kLow, kTcpAck, 1001, 5001, kRequest);
  harness.drain();
  EXPECT_EQ(harness.count(ShardCounter::tombstone_segments), keys.size() - 1);
  EXPECT_EQ(harness.count(ShardCounter::connections_midstream), 1u);
  EXPECT_EQ(harness.lines.size(), keys.size() + 1);
  harness.check_ledger();
}

}  // namespace
}  // namespace tcp_sniffer::tombstones_test
