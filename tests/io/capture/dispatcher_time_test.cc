#include "io/capture/dispatcher.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/dispatcher_harness.h"

// What is said between segments: the end, drains, ticks, jumps and steps of the clock.
namespace tcp_sniffer::dispatcher_time_test {
namespace {

using namespace dispatcher_harness;

TEST(DispatcherOrders, TheEndReachesEveryShardBehindItsSegments) {
  RecordingLane lanes[3];
  Dispatcher dispatcher({}, {&lanes[0], &lanes[1], &lanes[2]}, nullptr);
  give(dispatcher, frame_of(2000, "x"));
  dispatcher.finish();
  size_t segments = 0;
  for (const RecordingLane& lane : lanes) {
    ASSERT_EQ(lane.sent.size(), 1u);
    EXPECT_EQ(lane.sent[0].order, BlockOrder::kEnd);
    segments += lane.sent[0].segments.size();
  }
  EXPECT_EQ(segments, 1u);
}

TEST(DispatcherOrders, ATickTellsEveryShardTheTimeAndNeverGoesBack) {
  RecordingLane lanes[2];
  Dispatcher dispatcher({}, {&lanes[0], &lanes[1]}, nullptr);
  give(dispatcher, frame_of(2000, "x"));
  dispatcher.tick(kStartNs + kSecond);
  dispatcher.tick(kStartNs);
  for (const RecordingLane& lane : lanes) {
    ASSERT_EQ(lane.sent.size(), 2u);
    EXPECT_EQ(lane.sent[0].clock_ns, kStartNs + kSecond);
    EXPECT_EQ(lane.sent[1].clock_ns, kStartNs + kSecond);
    EXPECT_EQ(lane.sent[1].order, BlockOrder::kNone);
  }
}

TEST(DispatcherOrders, AFileThatBeginsLongBeforeTheLastOneEndedDrainsFirst) {
  RecordingLane lanes[2];
  Dispatcher dispatcher({}, {&lanes[0], &lanes[1]}, nullptr);
  dispatcher.on_file("a");
  give(dispatcher, frame_of(2000, "a"), kStartNs);
  dispatcher.on_file("b");
  give(dispatcher, frame_of(2000, "b"), kStartNs - kHour);
  dispatcher.flush();
  for (const RecordingLane& lane : lanes) {
    for (const SentBlock& block : lane.sent) EXPECT_EQ(block.order, BlockOrder::kNone);
  }
  dispatcher.on_file("c");
  give(dispatcher, frame_of(2000, "c"), kStartNs - kHour - 1);
  dispatcher.flush();
  for (RecordingLane& lane : lanes) {
    std::vector<std::string> events;
    for (const SentBlock& block : lane.sent) {
      for (const std::string& payload : block.payloads) events.push_back(payload);
      if (block.order == BlockOrder::kDrain) events.emplace_back("drain");
    }
    const bool has_connection = !lane.segments().empty();
    EXPECT_EQ(events, has_connection ? (std::vector<std::string>{"a", "b", "drain", "c"})
                                     : std::vector<std::string>{"drain"});
  }
  EXPECT_EQ(dispatcher.clock_ns(), kStartNs - kHour - 1) << "time begins anew";
}

TEST(DispatcherTime, OneBrokenTimestampMovesNothing) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  give(dispatcher, frame_of(2000, "x"), kStartNs);
  give(dispatcher, frame_of(2000, "x"), kStartNs + 1000 * kHour);
  give(dispatcher, frame_of(2000, "x"), kStartNs + kSecond);
  dispatcher.flush();
  EXPECT_EQ(dispatcher.clock_ns(), kStartNs + kSecond);
  for (const Segment& segment : lane.segments()) {
    EXPECT_LE(segment.clock_ns, kStartNs + kSecond);
  }
  EXPECT_EQ(count(dispatcher, FrameCounter::clock_jumps), 0u);
}

TEST(DispatcherTime, AJumpIsBelievedWhenSixteenPacketsAgreeAndIsSaidBetweenSegments) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  give(dispatcher, frame_of(2000, "before"), kStartNs);
  const int64_t then = kStartNs + 2 * kHour;
  for (uint32_t i = 0; i + 1 < kClockJumpPackets; i++) {
    give(dispatcher, frame_of(2001, "waits"), then + i);
    EXPECT_LT(dispatcher.clock_ns(), kStartNs + kSecond);
  }
  EXPECT_TRUE(lane.sent.empty());
  give(dispatcher, frame_of(2001, "believed"), then + 100);
  dispatcher.flush();
  EXPECT_EQ(count(dispatcher, FrameCounter::clock_jumps), 1u);
  ASSERT_EQ(lane.sent.size(), 3u);
  EXPECT_EQ(lane.sent[0].order, BlockOrder::kNone);
  EXPECT_EQ(lane.sent[0].segments.size(), kClockJumpPackets);
  EXPECT_EQ(lane.sent[1].order, BlockOrder::kRebase);
  EXPECT_EQ(lane.sent[1].clock_ns, then + 100);
  // The waiting ones are told from what came before by their clock.
  EXPECT_GT(lane.sent[1].rebase_from_ns, lane.sent[0].segments.at(0).clock_ns);
  EXPECT_EQ(lane.sent[1].rebase_from_ns, lane.sent[0].segments.at(1).clock_ns);
  EXPECT_EQ(lane.sent[2].payloads, std::vector<std::string>{"believed"});
  EXPECT_EQ(lane.sent[2].segments.at(0).clock_ns, then + 100);
}

TEST(DispatcherTime, PacketsThatDisagreeAreNotBelievedTogether) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  give(dispatcher, frame_of(2000, "x"), kStartNs);
  for (int i = 1; i <= 40; i++) {
    give(dispatcher, frame_of(2000, "x"), kStartNs + (i % 2 == 0 ? 10 : 20) * kHour);
  }
  EXPECT_LT(dispatcher.clock_ns(), kStartNs + kSecond);
  dispatcher.flush();
}

TEST(DispatcherTime, JumpsAheadAndBackEndNoConnectionThatIsActive) {
  DispatcherAndShard engine;
  uint32_t sequence = 1000;
  const auto talk = [&](int64_t time_ns) {
    give(engine.dispatcher, frame_of(2000, "xy", false, sequence), time_ns);
    sequence += 2;
  };
  talk(kStartNs);
  talk(kStartNs + 5000 * kHour);  // one broken timestamp
  talk(kStartNs + kSecond);
  for (int i = 0; i < 40; i++) talk(kStartNs + 2 * kHour + i);  // a jump that lasts
  for (int i = 0; i < 40; i++) talk(kStartNs + i);              // and back
  engine.dispatcher.flush();
  EXPECT_EQ(engine.count(ShardCounter::connections_opened), 1u);
  EXPECT_EQ(engine.count(ShardCounter::connections_open), 1u);
  EXPECT_EQ(engine.count(ShardCounter::connections_idle), 0u);
  EXPECT_EQ(engine.dispatcher.counters().get(FrameCounter::clock_jumps), 2u);
  EXPECT_EQ(engine.dispatcher.clock_ns(), kStartNs + 39);
  engine.dispatcher.finish();
  EXPECT_EQ(engine.count(ShardCounter::connections_drained), 1u);
}

// A connection that goes silent at once, and one that talks for 310 s with one timestamp that is
// years away. The silent one is idle when 300 s have gone by, and not before.
TEST(DispatcherTime, OneStrayTimestampAnywhereFreezesNoClock) {
  constexpr int kPackets = 62;
  for (const int64_t away :
       {-30 * 365 * 24 * kHour, -2 * kHour, 2 * kHour, 30 * 365 * 24 * kHour}) {
    for (const int stray : {0, 1, 5, 16, 30, kPackets - 1}) {
      SCOPED_TRACE("packet " + std::to_string(stray) + " is " + std::to_string(away / kHour) +
                   " h away");
      DispatcherAndShard engine;
      uint32_t sequence = 1000;
      const auto talk = [&](int64_t time_ns) {
        give(engine.dispatcher, frame_of(2000, "xy", false, sequence), time_ns);
        engine.dispatcher.flush();
        sequence += 2;
      };
      for (int i = 0; i < kPackets; i++) {
        const int64_t now_ns = kStartNs + i * 5 * kSecond;
        talk(i == stray ? now_ns + away : now_ns);
        if (i == 20) give(engine.dispatcher, frame_of(2001, "silent"), now_ns);
      }
      EXPECT_EQ(engine.count(ShardCounter::connections_open), 2u);
      EXPECT_EQ(engine.count(ShardCounter::connections_idle), 0u);
      for (int i = kPackets; i < 20 + 60; i++) talk(kStartNs + i * 5 * kSecond);
      EXPECT_EQ(engine.count(ShardCounter::connections_idle), 0u);
      // The clock has lost what went by until 16 packets agreed: 80 s at most.
      for (int i = 20 + 60; i < 20 + 60 + 18; i++) talk(kStartNs + i * 5 * kSecond);
      EXPECT_EQ(engine.count(ShardCounter::connections_idle), 1u);
      EXPECT_EQ(engine.count(ShardCounter::connections_open), 1u);
      EXPECT_EQ(engine.count(ShardCounter::connections_opened), 2u);
      EXPECT_EQ(engine.dispatcher.clock_ns(), kStartNs + 97 * 5 * kSecond);
      engine.dispatcher.finish();
    }
  }
}

// A burst with its times, as a file's first.
void give_burst(Dispatcher& dispatcher, const std::vector<int64_t>& times) {
  const Packet packet = frame_of(2000, "x");
  std::vector<Frame> frames(times.size());
  for (size_t i = 0; i < times.size(); i++) {
    frames[i].data = packet;
    frames[i].wire_size = static_cast<uint32_t>(packet.size());
    frames[i].time_ns = times[i];
  }
  dispatcher.on_frames(frames, nullptr);
}

TEST(DispatcherTime, AFileBeginsWhenMostOfItsFirstPacketsSay) {
  for (const int64_t stray : {kStartNs + 20000 * kHour, kSecond}) {
    SCOPED_TRACE(stray);
    RecordingLane lane;
    Dispatcher dispatcher({}, {&lane}, nullptr);
    int told = 0;
    dispatcher.set_on_out_of_order([&](const std::string&, int64_t) { told++; });
    dispatcher.on_file("a");
    give_burst(dispatcher, {stray, kStartNs, kStartNs + kSecond});
    EXPECT_EQ(dispatcher.clock_ns(), kStartNs + kSecond);
    dispatcher.on_file("b");
    give_burst(dispatcher, {stray, kStartNs + 2 * kSecond, kStartNs + 3 * kSecond});
    EXPECT_EQ(told, 0);
    EXPECT_EQ(dispatcher.clock_ns(), kStartNs + 3 * kSecond);
    dispatcher.on_file("c");
    give_burst(dispatcher, {stray, kStartNs - 2 * kHour, kStartNs - 2 * kHour + kSecond});
    EXPECT_EQ(told, 1);
    EXPECT_EQ(dispatcher.clock_ns(), kStartNs - 2 * kHour + kSecond);
    dispatcher.finish();
    size_t drains = 0;
    for (const SentBlock& block : lane.sent) drains += block.order == BlockOrder::kDrain ? 1 : 0;
    EXPECT_EQ(drains, 1u) << "only for what begins before";
  }
}

TEST(DispatcherTime, StepsBackWithoutEndNeverTurnTheShardsClockBackNorOverflowIt) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  constexpr int64_t kLast = int64_t{1} << 62;  // 2116
  for (int round = 0; round < 50; round++) {
    for (const int64_t time_ns : {kLast, kStartNs, kSecond, kLast / 2}) {
      for (int i = 0; i < 20; i++) give(dispatcher, frame_of(2000, "x"), time_ns);
    }
  }
  dispatcher.finish();
  int64_t clock_ns = 0;
  size_t drains = 0;
  for (const SentBlock& block : lane.sent) {
    for (const Segment& segment : block.segments) {
      EXPECT_GE(segment.clock_ns, clock_ns);
      EXPECT_LT(segment.clock_ns, kLast + kClockOffsetMaxNs + kHour);
      clock_ns = segment.clock_ns;
    }
    if (block.order != BlockOrder::kDrain) continue;
    drains++;
    clock_ns = 0;
  }
  EXPECT_GT(drains, 0u);
  EXPECT_LT(drains, 200u);
}

TEST(DispatcherTime, LiveAStepOfTheMachinesClockEndsNoConnectionNotEvenASilentOne) {
  for (const int64_t step : {2 * kHour, -2 * kHour, 600 * kSecond, -600 * kSecond}) {
    SCOPED_TRACE(step);
    DispatcherAndShard engine;
    HoldingSource source;
    Dispatcher& dispatcher = engine.dispatcher;
    dispatcher.set_source(&source);
    int64_t now_ns = kStartNs;
    uint32_t sequence = 1000;
    const auto talk = [&](int times) {
      for (int i = 0; i < times; i++) {
        now_ns += kSecond;
        give(dispatcher, frame_of(2001, "xy", false, sequence), now_ns);
        sequence += 2;
      }
      dispatcher.flush();
    };
    give(dispatcher, frame_of(2000, "silent"), now_ns);
    talk(10);
    now_ns += step;
    talk(100);
    EXPECT_EQ(engine.count(ShardCounter::connections_open), 2u);
    EXPECT_EQ(count(dispatcher, FrameCounter::clock_jumps), 1u);
    EXPECT_EQ(dispatcher.clock_ns(), now_ns) << "the latest packet's time";
    // 95 seconds of the last 110 are certain to have gone by for the shard.
    talk(100);
    EXPECT_EQ(engine.count(ShardCounter::connections_idle), 0u);
    talk(106);
    EXPECT_EQ(engine.count(ShardCounter::connections_idle), 1u) << "time goes on as before";
    EXPECT_EQ(engine.count(ShardCounter::connections_open), 1u);
    dispatcher.finish();
  }
}

TEST(DispatcherTime, LiveATickGoesOnFromTheTimeBehindAStep) {
  DispatcherAndShard engine;
  HoldingSource source;
  Dispatcher& dispatcher = engine.dispatcher;
  dispatcher.set_source(&source);
  give(dispatcher, frame_of(2000, "silent"), kStartNs);
  for (int i = 0; i < 20; i++) give(dispatcher, frame_of(2001, "xy"), kStartNs - kHour);
  EXPECT_EQ(count(dispatcher, FrameCounter::clock_jumps), 1u);
  dispatcher.tick(dispatcher.clock_ns() + 299 * kSecond);
  EXPECT_EQ(engine.count(ShardCounter::connections_idle), 0u);
  dispatcher.tick(dispatcher.clock_ns() + 2 * kSecond);
  EXPECT_EQ(engine.count(ShardCounter::connections_idle), 2u);
  EXPECT_EQ(dispatcher.clock_ns(), kStartNs - kHour + 301 * kSecond);
  dispatcher.finish();
}

TEST(DispatcherTime, ConnectionsThatWereSilentOverAJumpAreIdle) {
  DispatcherAndShard engine;
  give(engine.dispatcher, frame_of(2000, "silent"), kStartNs);
  for (int i = 0; i < 40; i++) give(engine.dispatcher, frame_of(2001, "xy"), kStartNs + 2 * kHour);
  engine.dispatcher.flush();
  EXPECT_EQ(engine.count(ShardCounter::connections_idle), 1u);
  EXPECT_EQ(engine.count(ShardCounter::connections_open), 1u);
  engine.dispatcher.finish();
}

}  // namespace
}  // namespace tcp_sniffer::dispatcher_time_test
