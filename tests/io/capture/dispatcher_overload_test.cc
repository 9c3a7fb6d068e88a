#include "io/capture/dispatcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/dispatcher_harness.h"

// A shard that is slower than the capture: `overload: block` and `overload: drop`.
namespace tcp_sniffer::dispatcher_overload_test {
namespace {

using namespace dispatcher_harness;

TEST(DispatcherOverload, TheBlocksOfALaneAreTheBoundAndWhatIsDroppedIsCountedByFramesAndBytes) {
  PacketQueue inbox;
  ThreadLane lane(inbox);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  constexpr uint64_t kRoom = uint64_t{ThreadLane::kBlocks} * kSegmentsPerBlock;
  for (uint64_t i = 0; i < kRoom + 7; i++) give(dispatcher, frame_of(2000, "12345"));
  EXPECT_EQ(lane.in_flight(), ThreadLane::kBlocks);
  EXPECT_EQ(count(dispatcher, FrameCounter::dispatched), kRoom);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 7u);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload_bytes), 35u);
  expect_frame_ledger(dispatcher);
  // A block that comes back is room again.
  PacketBlock* block = nullptr;
  ASSERT_TRUE(inbox.try_dequeue(block));
  lane.give_back(block);
  give(dispatcher, frame_of(2000, "12345"));
  EXPECT_EQ(count(dispatcher, FrameCounter::dispatched), kRoom + 1);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 7u);
  dispatcher.flush();
}

TEST(DispatcherOverload, OneShardWithoutRoomCostsTheOthersNothing) {
  RecordingLane full(0), free;
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&full, &free}, nullptr);
  for (uint16_t port = 2000; port < 2100; port++) give(dispatcher, frame_of(port, "x"));
  dispatcher.flush();
  const uint64_t dropped = count(dispatcher, FrameCounter::dropped_overload);
  EXPECT_GT(dropped, 10u);
  EXPECT_EQ(free.segments().size(), 100 - dropped);
  expect_frame_ledger(dispatcher);
}

TEST(DispatcherOverload, WithBlockTheCaptureWaitsAndLosesNothing) {
  PacketQueue inbox;
  ThreadLane lane(inbox);
  Dispatcher dispatcher({}, {&lane}, nullptr);
  constexpr uint64_t kSegments = uint64_t{ThreadLane::kBlocks} * kSegmentsPerBlock * 3;
  std::atomic<bool> sent_all{false};
  bool waited = false;
  uint64_t taken = 0;
  uint64_t last_frame = 0;
  std::thread shard([&] {
    // Nothing is taken until every block is out: from then on the capture thread must wait.
    while (lane.in_flight() < ThreadLane::kBlocks) std::this_thread::yield();
    waited = !sent_all.load(std::memory_order_relaxed);
    for (bool ended = false; !ended;) {
      PacketBlock* block = nullptr;
      inbox.wait_dequeue(block);
      for (uint32_t i = 0; i < block->count; i++) {
        EXPECT_EQ(block->segments[i].frame, ++last_frame);
      }
      taken += block->count;
      ended = block->order == BlockOrder::kEnd;
      lane.give_back(block);
    }
  });
  const Packet packet = frame_of(2000, "x");
  for (uint64_t i = 0; i < kSegments; i++) give(dispatcher, packet);
  sent_all.store(true, std::memory_order_relaxed);
  dispatcher.finish();
  shard.join();
  EXPECT_TRUE(waited);
  EXPECT_EQ(taken, kSegments);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 0u);
  EXPECT_EQ(lane.in_flight(), 0u);
}

TEST(DispatcherOverload, ASegmentIsDroppedOnlyWhenTheKernelHasNoRoomEither) {
  RecordingLane lane(1, false);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  HoldingSource source;
  dispatcher.set_source(&source);
  for (uint32_t i = 0; i < kSegmentsPerBlock; i++) give(dispatcher, frame_of(2000, "x"));
  EXPECT_EQ(source.asked, 0) << "asked only without a block";
  source.holds = 3;
  give(dispatcher, frame_of(2000, "x"));
  EXPECT_EQ(lane.waits, 3);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 1u);
  source.asked = 0;
  lane.release_at_wait = lane.waits + 2;
  give(dispatcher, frame_of(2000, "x"));
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 1u) << "a block came in time";
  dispatcher.flush();
  EXPECT_EQ(lane.segments().size(), kSegmentsPerBlock + 1);
}

TEST(DispatcherOverload, TheNextBlockTellsWhichConnectionsLostWhat) {
  RecordingLane lane(1, false);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  for (uint32_t i = 0; i < kSegmentsPerBlock; i++) give(dispatcher, frame_of(2000, "x"));
  give(dispatcher, frame_of(2001, "12345", false, 0xfffffffe));
  give(dispatcher, frame_of(2001, "123", false, 3));
  give(dispatcher, frame_of(2001, "1", true, 100));
  give(dispatcher, frame_of(2002, "12", false, 7));
  give(dispatcher, frame_of(2003, ""));  // leaves no hole
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 5u);
  lane.release();
  give(dispatcher, frame_of(2000, "y"));
  dispatcher.flush();
  ASSERT_EQ(lane.sent.size(), 2u);
  EXPECT_TRUE(lane.sent[0].drops.empty());
  const std::vector<DropNote>& drops = lane.sent[1].drops;
  ASSERT_EQ(drops.size(), 3u);
  EXPECT_EQ(drops[0].key.low_port, 2001);
  EXPECT_EQ(drops[0].side, Side::kLow);
  EXPECT_EQ(drops[0].bytes, 8u);
  EXPECT_EQ(drops[0].end_sequence, 6u);
  EXPECT_EQ(drops[1].key.low_port, 2001);
  EXPECT_EQ(drops[1].side, Side::kHigh);
  EXPECT_EQ(drops[1].bytes, 1u);
  EXPECT_EQ(drops[2].key.low_port, 2002);
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_untold), 0u);
  lane.release();
  dispatcher.tick(kStartNs + kSecond);
  EXPECT_TRUE(lane.sent.at(2).drops.empty()) << "told once";
}

TEST(DispatcherOverload, AnOrderCarriesTheNotesWhenNoSegmentFollows) {
  RecordingLane lane(1, false);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  for (uint32_t i = 0; i < kSegmentsPerBlock + 1; i++) give(dispatcher, frame_of(2000, "x"));
  lane.release();
  dispatcher.finish();
  ASSERT_EQ(lane.sent.size(), 2u);
  EXPECT_EQ(lane.sent[1].drops.size(), 1u);
}

TEST(DispatcherOverload, BeyondTheRoomForNotesItIsCountedThatNobodyWasTold) {
  RecordingLane lane(1, false);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  for (uint32_t i = 0; i < kSegmentsPerBlock; i++) give(dispatcher, frame_of(2000, "x"));
  for (uint16_t i = 0; i < kDropNotesMax + 3; i++) {
    give(dispatcher, frame_of(static_cast<uint16_t>(3000 + i), "x"));
  }
  EXPECT_EQ(count(dispatcher, FrameCounter::dropped_untold), 3u);
  lane.release();
  dispatcher.finish();
  EXPECT_EQ(lane.sent.at(1).drops.size(), kDropNotesMax);
}

// A response in two halves of which the first is lost: by the program, which has no block for it,
// or before the capture. What is said about the hole.
EventRecord hole_of_a_response(bool by_program, uint64_t& counted) {
  LineQueue lines;
  shard_harness::RecordedEvents events;
  ConnectionCensus census{1};
  Shard shard(0, ShardSettings{}, census, lines, true, events);
  PacketQueue inbox;
  ThreadLane lane(inbox);
  DispatcherSettings settings;
  settings.may_wait = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  const auto run_shard = [&] {
    dispatcher.flush();
    for (PacketBlock* block = nullptr; inbox.try_dequeue(block);) {
      shard.process(*block);
      lane.give_back(block);
    }
  };
  const std::string_view request = "GET / HTTP/1.1\r\n\r\n";
  const std::string first = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbody";
  const auto size = static_cast<uint32_t>(first.size());
  give(dispatcher, frame_of(2000, request, false, 1000));
  give(dispatcher, frame_of(2000, "HTTP/1.1 100 Continue\r\n\r\n", true, 2000, 1018));
  run_shard();
  if (by_program) {
    const Packet other = frame_of(2001, "");
    while (lane.in_flight() < ThreadLane::kBlocks) give(dispatcher, other);
    give(dispatcher, frame_of(2000, first, true, 2025, 1018));
    EXPECT_EQ(count(dispatcher, FrameCounter::dropped_overload), 1u);
    run_shard();
  }
  give(dispatcher, frame_of(2000, "next", true, 2025 + size, 1018));
  run_shard();
  dispatcher.finish();
  run_shard();
  shard.drain();
  discard_lines(shard, lines);
  counted = shard.counters().get(ShardCounter::missing_overload);
  EXPECT_EQ(shard.counters().get(ShardCounter::missing), size);
  EXPECT_EQ(events.records.size(), 1u);
  return events.records.empty() ? EventRecord{} : events.records[0];
}

TEST(DispatcherOverload, AHoleThatTheProgramMadeSaysSoAndOneOfTheCaptureDoesNot) {
  uint64_t counted = 0;
  EventRecord hole = hole_of_a_response(true, counted);
  EXPECT_EQ(hole.kind, EventKind::kReassemblyGap);
  EXPECT_STREQ(hole.detail, "overload");
  EXPECT_EQ(counted, hole.bytes);
  hole = hole_of_a_response(false, counted);
  EXPECT_EQ(hole.kind, EventKind::kReassemblyGap);
  EXPECT_STREQ(hole.detail, "");
  EXPECT_EQ(counted, 0u);
}

TEST(DispatcherOverload, ADroppedRetransmissionIsNoHole) {
  DispatcherAndShard engine;
  give(engine.dispatcher, frame_of(2000, "GET / HTTP/1.1\r\n", false, 1000));
  engine.dispatcher.flush();
  // Of what was delivered, and of what will be lost by the capture later.
  PacketBlock block;
  FlowKey key;
  key.low_ip = mapped(kClient4);
  key.high_ip = mapped(kServer4);
  key.low_port = 2000;
  key.high_port = 80;
  block.drops.push_back({XXH3_64bits_withSeed(&key, sizeof(key), 0), 16, key, 1016, Side::kLow});
  block.clock_ns = kStartNs;
  engine.shard.process(block);
  give(engine.dispatcher, frame_of(2000, "\r\n", false, 1030));
  engine.dispatcher.finish();
  EXPECT_EQ(engine.count(ShardCounter::missing), 14u);
  EXPECT_EQ(engine.count(ShardCounter::missing_overload), 0u);
}

}  // namespace
}  // namespace tcp_sniffer::dispatcher_overload_test
