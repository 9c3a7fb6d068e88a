// The same frame captured twice, as mirror ports do, and the same bytes sent twice.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/shard_harness.h"

namespace tcp_sniffer::duplicate_frames_test {
namespace {

using namespace shard_harness;

class DuplicateFrames : public testing::Test {
 protected:
  // One segment of the connection, `us` after the start.
  Segment segment(Side side, uint32_t sequence, uint32_t acknowledgment, std::string_view payload,
                  uint16_t ip_id, int64_t us) {
    Segment made;
    made.key = key_of(40000);
    made.side = side;
    made.flags = kTcpAck | kTcpPsh;
    made.sequence = sequence;
    made.acknowledgment = acknowledgment;
    made.window = 65535;
    made.payload_size = made.payload_wire_size = static_cast<uint32_t>(payload.size());
    made.ip_id = ip_id;
    made.ttl = 64;
    made.time_ns = made.clock_ns = kStartNs + us * 1000;
    return made;
  }

  void request(uint16_t ip_id, int64_t us) {
    harness.add(segment(Side::kLow, 1000, 2000, kRequest, ip_id, us), kRequest);
  }
  void finish() {
    harness.drain();
    harness.check_ledger();
  }
  uint64_t frames() const { return harness.count(ShardCounter::duplicate_frames); }
  uint64_t bytes() const { return harness.count(ShardCounter::duplicate); }

  static constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  ShardHarness harness{ShardSettings{}};
};

TEST_F(DuplicateFrames, CopyOfAFrameIsCountedAndDoesNoHarm) {
  request(7, 0);
  request(7, 20);
  request(7, 9999);
  finish();
  EXPECT_EQ(frames(), 2u);
  EXPECT_EQ(bytes(), 2 * kRequest.size());
  EXPECT_EQ(harness.count(ShardCounter::requests), 1u);
}

TEST_F(DuplicateFrames, RetransmissionHasAnotherIdentification) {
  request(7, 0);
  request(8, 20);
  finish();
  EXPECT_EQ(frames(), 0u);
  EXPECT_EQ(bytes(), kRequest.size());
}

TEST_F(DuplicateFrames, CopyThatComesLateIsARetransmission) {
  request(7, 0);
  request(7, 10001);
  finish();
  EXPECT_EQ(frames(), 0u);
}

TEST_F(DuplicateFrames, WithoutAnIdentificationTheTcpTimestampDecides) {
  Segment first = segment(Side::kLow, 1000, 2000, kRequest, 0, 0);
  first.timestamp_value = 100;
  Segment copy = first;
  copy.time_ns += 50;
  Segment again = first;
  again.timestamp_value = 101;
  for (const Segment& one : {first, copy, again}) harness.add(one, kRequest);
  finish();
  EXPECT_EQ(frames(), 1u);
  EXPECT_EQ(bytes(), 2 * kRequest.size());
}

TEST_F(DuplicateFrames, WithNeitherNothingIsClaimed) {
  request(0, 0);
  request(0, 20);
  finish();
  EXPECT_EQ(frames(), 0u);
}

TEST_F(DuplicateFrames, BlockBordersMakeNoDifference) {
  // Every frame twice, five others later, with a block's end behind every `per_block` frames.
  for (const int per_block : {1, 2, 3, 7, 64, 1000}) {
    ShardHarness blocks{ShardSettings{}};
    const std::string body(200, 'x');
    const std::string text = "POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n";
    std::vector<std::pair<Segment, std::string_view>> sent;
    sent.emplace_back(segment(Side::kLow, 1000, 2000, text, 1, 0), text);
    auto sequence = static_cast<uint32_t>(1000 + text.size());
    for (int i = 0; i < 100; i++) {
      sent.emplace_back(
          segment(Side::kLow, sequence, 2000, body, static_cast<uint16_t>(i + 2), 10 * (i + 1)),
          body);
      sequence += 200;
    }
    int in_block = 0;
    const auto add = [&](size_t index) {
      blocks.add(sent[index].first, sent[index].second);
      if (++in_block % per_block == 0) blocks.process();
    };
    for (size_t i = 0; i < sent.size() + 5; i++) {
      if (i < sent.size()) add(i);
      if (i >= 5) add(i - 5);
    }
    blocks.drain();
    blocks.check_ledger();
    EXPECT_EQ(blocks.count(ShardCounter::duplicate_frames), sent.size()) << per_block;
    EXPECT_EQ(blocks.count(ShardCounter::requests), 1u);
    EXPECT_EQ(blocks.count(ShardCounter::missing), 0u);
  }
}

}  // namespace
}  // namespace tcp_sniffer::duplicate_frames_test
