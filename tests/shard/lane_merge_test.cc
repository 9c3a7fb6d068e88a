// Blocks of several capture threads, taken in the order of their segments.

#include "shard/lane_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/shard_harness.h"

namespace tcp_sniffer::lane_merge_test {
namespace {

using namespace shard_harness;
using namespace std::chrono_literals;
using Clock = LaneMerge::Clock;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 204 No Content\r\n\r\n";

// Remembers which blocks came back.
class Lane final : public PacketLane {
 public:
  explicit Lane(uint32_t capture) : capture_(capture) {}

  PacketBlock* make(int64_t clock_ns, BlockOrder order = BlockOrder::kNone) {
    blocks_.push_back(std::make_unique<PacketBlock>());
    PacketBlock& block = *blocks_.back();
    block.lane = this;
    block.capture = capture_;
    block.clock_ns = clock_ns;
    block.order = order;
    return &block;
  }
  PacketBlock* take(bool) override { return nullptr; }
  PacketBlock* take_within(int64_t) override { return nullptr; }
  void send(PacketBlock*) override {}
  void give_back(PacketBlock* block) override { returned.push_back(block); }
  uint32_t in_flight() const override { return 0; }

  std::vector<PacketBlock*> returned;

 private:
  const uint32_t capture_;
  std::vector<std::unique_ptr<PacketBlock>> blocks_;
};

class LaneMergeTest : public testing::Test {
 protected:
  ~LaneMergeTest() override {
    shard.drain();
    take_lines();
  }

  // The n-th exchange of a connection: its request or its response.
  static void add(PacketBlock& block, Side side, uint32_t number, int64_t at_ns) {
    Segment segment;
    segment.key = key_of(40000);
    segment.flow_hash = hash_of(segment.key);
    segment.side = side;
    segment.flags = kTcpAck | kTcpPsh;
    const auto gets = static_cast<uint32_t>(number * kGet.size());
    const auto oks = static_cast<uint32_t>(number * kOk.size());
    const bool request = side == Side::kLow;
    const std::string_view text = request ? kGet : kOk;
    segment.sequence = request ? 1000 + gets : 5000 + oks;
    segment.acknowledgment =
        request ? 5000 + oks : 1000 + gets + static_cast<uint32_t>(kGet.size());
    segment.payload = reinterpret_cast<const uint8_t*>(text.data());
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    segment.time_ns = segment.clock_ns = at_ns;
    block.segments.at(block.count++) = segment;
    block.clock_ns = std::max(block.clock_ns, at_ns);
  }
  static void add_handshake(PacketBlock& of_client, PacketBlock& of_server, int64_t at_ns) {
    for (const auto& [block, side, flags] :
         {std::tuple(&of_client, Side::kLow, kTcpSyn),
          std::tuple(&of_server, Side::kHigh, uint8_t{kTcpSyn | kTcpAck}),
          std::tuple(&of_client, Side::kLow, kTcpAck)}) {
      Segment segment;
      segment.key = key_of(40000);
      segment.flow_hash = hash_of(segment.key);
      segment.side = side;
      segment.flags = flags;
      segment.sequence = side == Side::kHigh ? 4999 : flags == kTcpSyn ? 999 : 1000;
      segment.acknowledgment = side == Side::kHigh ? 1000 : flags == kTcpSyn ? 0 : 5000;
      segment.time_ns = segment.clock_ns = at_ns++;
      block->segments.at(block->count++) = segment;
    }
  }
  static PacketBlock* with(PacketBlock* block, Side side, uint32_t number, int64_t at_ns) {
    add(*block, side, number, at_ns);
    return block;
  }

  uint64_t segments() const { return shard.counters().get(ShardCounter::segments); }
  uint64_t count(ShardCounter counter) const { return shard.counters().get(counter); }
  void take_lines() {
    shard.output().flush();
    LineBlock* block = nullptr;
    while (lines.try_dequeue(block)) block->owner->give_back(block);
  }

  LineQueue lines;
  ConnectionCensus census{1};
  RecordedEvents events;
  Shard shard{0, ShardSettings{}, census, lines, false, events};
  LaneMerge merge{shard, 2};
  Lane left{0};
  Lane right{1};
  const Clock::time_point start = Clock::now();
};

TEST_F(LaneMergeTest, ASegmentWaitsUntilTheOtherThreadHasToldThatItHasNoneBeforeIt) {
  merge.add(with(right.make(0), Side::kHigh, 0, kStartNs + 2 * kMs), start);
  merge.run(start);
  EXPECT_EQ(segments(), 0u);
  EXPECT_EQ(merge.due(), start + LaneMerge::kPatience);
  merge.add(left.make(kStartNs + kMs), start);
  merge.run(start);
  EXPECT_EQ(segments(), 0u) << "one before it may still come";
  merge.add(with(left.make(0), Side::kLow, 0, kStartNs + kMs), start);
  merge.run(start);
  EXPECT_EQ(segments(), 1u) << "the request";
  merge.add(left.make(kStartNs + 2 * kMs), start);
  merge.run(start);
  EXPECT_EQ(segments(), 2u);
  EXPECT_EQ(left.returned.size(), 3u);
  EXPECT_EQ(right.returned.size(), 1u);
  EXPECT_EQ(merge.due(), Clock::time_point::max());
}

TEST_F(LaneMergeTest, BlocksOfTheSameTimeAreTakenInTurn) {
  PacketBlock* requests = left.make(0);
  PacketBlock* responses = right.make(0);
  add_handshake(*requests, *responses, kStartNs - kMs);
  for (uint32_t i = 0; i < 100; i++) {
    add(*requests, Side::kLow, i, kStartNs + 2 * i * kMs);
    add(*responses, Side::kHigh, i, kStartNs + (2 * i + 1) * kMs);
  }
  merge.add(responses, start);
  merge.add(requests, start);
  merge.run(start);
  EXPECT_EQ(segments(), 202u) << "nothing is known of what comes after the last request";
  merge.add(left.make(0, BlockOrder::kEnd), start);
  merge.run(start);
  EXPECT_EQ(segments(), 203u);
  shard.drain();
  // An answer before its request would be nobody's.
  EXPECT_EQ(count(ShardCounter::unpaired), 0u);
  EXPECT_EQ(count(ShardCounter::buffered), 0u);
  EXPECT_EQ(count(ShardCounter::rotations), 0u);
  EXPECT_EQ(count(ShardCounter::requests), 100u);
  EXPECT_EQ(count(ShardCounter::responses), 100u);
}

TEST_F(LaneMergeTest, AThreadThatSendsNothingIsWaitedForWithPatienceOnly) {
  merge.add(with(right.make(0), Side::kHigh, 0, kStartNs), start);
  merge.run(start + LaneMerge::kPatience - 1ms);
  EXPECT_EQ(segments(), 0u);
  merge.run(start + LaneMerge::kPatience);
  EXPECT_EQ(segments(), 1u);
  // The next one waits as long, not longer.
  merge.add(with(right.make(0), Side::kHigh, 1, kStartNs + kMs), start + 50ms);
  merge.run(start + 149ms);
  EXPECT_EQ(segments(), 1u);
  merge.run(start + 150ms);
  EXPECT_EQ(segments(), 2u);
}

TEST_F(LaneMergeTest, AThreadThatIsFarBehindButSendsIsWaitedFor) {
  merge.add(with(right.make(0), Side::kHigh, 50, kStartNs + 5000 * kMs), start);
  for (uint32_t i = 0; i < 50; i++) {
    const Clock::time_point now = start + 50ms * i;
    merge.add(with(left.make(0), Side::kLow, i, kStartNs + i * 100 * kMs), now);
    merge.run(now);
    EXPECT_EQ(segments(), i + 1) << "those that are behind are taken, the other one waits";
  }
}

TEST_F(LaneMergeTest, AThreadThatHasEndedIsNotWaitedFor) {
  merge.add(left.make(kStartNs, BlockOrder::kEnd), start);
  merge.add(with(right.make(0), Side::kHigh, 0, kStartNs + kMs), start);
  merge.run(start);
  EXPECT_EQ(segments(), 1u);
}

TEST_F(LaneMergeTest, TimeGoesOnWithTheThreadThatIsBehind) {
  // Handshake only: it would be idle, and end, if time were that of the right.
  merge.add(with(left.make(0), Side::kLow, 0, kStartNs), start);
  merge.add(right.make(kStartNs), start);
  merge.run(start);
  EXPECT_EQ(count(ShardCounter::connections_opened), 1u);
  const int64_t later_ns = kStartNs + ShardSettings{}.idle_timeout_ns;
  merge.add(right.make(later_ns), start);
  merge.run(start);
  EXPECT_EQ(count(ShardCounter::connections_idle), 0u);
  merge.add(left.make(later_ns), start);
  merge.run(start);
  merge.add(right.make(later_ns), start);
  merge.run(start);
  EXPECT_EQ(count(ShardCounter::connections_idle), 1u);
}

TEST_F(LaneMergeTest, HeldBlocksAreGivenBackWhenTheShardIsLeft) {
  merge.add(with(right.make(0), Side::kHigh, 0, kStartNs), start);
  merge.add(with(right.make(0), Side::kHigh, 1, kStartNs), start);
  merge.run(start);
  merge.pass_back();
  EXPECT_EQ(right.returned.size(), 2u);
  EXPECT_EQ(merge.due(), Clock::time_point::max());
}

// Threads in any state of haste: the shard sees the segments in order whatever the queue makes of
// their blocks.
TEST_F(LaneMergeTest, RandomBlocksOfThreeThreadsAreTakenInOrder) {
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Shard own{0, ShardSettings{}, census, lines, false, events};
  LaneMerge three{own, 3};
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::deque<PacketBlock*>> unsent(3);
  for (uint32_t i = 0; i < 3; i++) lanes.push_back(std::make_unique<Lane>(i));
  // Requests come on any of the first two, responses on the third.
  std::vector<PacketBlock*> open(3, nullptr);
  int64_t now_ns = kStartNs;
  open[0] = lanes[0]->make(0);
  open[2] = lanes[2]->make(0);
  add_handshake(*open[0], *open[2], kStartNs);
  for (uint32_t i = 0; i < 3000; i++) {
    for (const Side side : {Side::kLow, Side::kHigh}) {
      const size_t lane = side == Side::kHigh ? 2 : random() % 2;
      now_ns += 1000;
      if (open[lane] == nullptr) open[lane] = lanes[lane]->make(0);
      add(*open[lane], side, i, now_ns);
      if (random() % 20 == 0 || open[lane]->count == kSegmentsPerBlock) {
        unsent[lane].push_back(std::exchange(open[lane], nullptr));
      }
    }
  }
  size_t left_over = 3;
  std::array<size_t, 3> sent{};
  for (size_t i = 0; i < 3; i++) {
    if (open[i] != nullptr) unsent[i].push_back(open[i]);
    unsent[i].push_back(lanes[i]->make(now_ns, BlockOrder::kEnd));
  }
  while (left_over > 0) {
    const size_t lane = random() % 3;
    if (unsent[lane].empty()) continue;
    // As many blocks as a lane has.
    if (sent[lane] - lanes[lane]->returned.size() >= ThreadLane::kBlocks) continue;
    PacketBlock* block = unsent[lane].front();
    unsent[lane].pop_front();
    sent[lane]++;
    if (block->order == BlockOrder::kEnd) left_over--;
    three.add(block, start);
    three.run(start);
  }
  own.drain();
  EXPECT_EQ(own.counters().get(ShardCounter::segments), 6003u);
  EXPECT_EQ(own.counters().get(ShardCounter::responses), 3000u);
  EXPECT_EQ(own.counters().get(ShardCounter::unpaired), 0u);
  EXPECT_EQ(own.counters().get(ShardCounter::missing), 0u);
  EXPECT_EQ(own.counters().get(ShardCounter::reorder_buffers), 0u);
  own.output().flush();
  LineBlock* block = nullptr;
  while (lines.try_dequeue(block)) block->owner->give_back(block);
}

}  // namespace
}  // namespace tcp_sniffer::lane_merge_test
