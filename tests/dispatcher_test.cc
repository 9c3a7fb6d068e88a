#include "io/dispatcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "packet_builder.h"
#include "shard_harness.h"

namespace tcp_sniffer {
namespace {

using namespace packet_builder;
using shard_harness::kMs;
using shard_harness::kStartNs;

constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kHour = 3600 * kSecond;

// What a shard would have got in one block.
struct SentBlock {
  BlockOrder order = BlockOrder::kNone;
  int64_t clock_ns = 0;
  int64_t rebase_from_ns = 0;
  bool refers_to_piece = false;
  std::vector<Segment> segments;
  std::vector<std::string> payloads;
  std::vector<DropNote> drops;
};

// A lane that writes down what is sent. Its blocks come back at once, or when `release` says so.
class RecordingLane final : public PacketLane {
 public:
  explicit RecordingLane(size_t blocks = 4, bool comes_back = true) : comes_back_(comes_back) {
    for (size_t i = 0; i < blocks; i++) {
      blocks_.push_back(std::make_unique<PacketBlock>());
      free_.push_back(blocks_.back().get());
    }
  }

  PacketBlock* take(bool may_wait) override {
    EXPECT_FALSE(may_wait && free_.empty()) << "would wait for ever";
    if (free_.empty()) return nullptr;
    PacketBlock* block = free_.back();
    free_.pop_back();
    return block;
  }
  PacketBlock* take_within(int64_t) override {
    if (++waits == release_at_wait) release();
    return take(false);
  }
  void send(PacketBlock* block) override {
    SentBlock copy;
    copy.order = block->order;
    copy.clock_ns = block->clock_ns;
    copy.rebase_from_ns = block->rebase_from_ns;
    copy.refers_to_piece = block->piece != nullptr;
    copy.drops = block->drops;
    for (uint32_t i = 0; i < block->count; i++) {
      const Segment& segment = block->segments[i];
      copy.segments.push_back(segment);
      copy.payloads.emplace_back(reinterpret_cast<const char*>(segment.payload),
                                 segment.payload_size);
    }
    sent.push_back(std::move(copy));
    held_.push_back(block);
    if (comes_back_) release();
  }
  void give_back(PacketBlock*) override {}
  uint32_t in_flight() const override { return static_cast<uint32_t>(held_.size()); }

  void release() {
    for (PacketBlock* block : held_) {
      block->reset();
      free_.push_back(block);
    }
    held_.clear();
  }
  std::vector<Segment> segments() const {
    std::vector<Segment> all;
    for (const SentBlock& block : sent) {
      all.insert(all.end(), block.segments.begin(), block.segments.end());
    }
    return all;
  }
  std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const SentBlock& block : sent) {
      all.insert(all.end(), block.payloads.begin(), block.payloads.end());
    }
    return all;
  }

  std::vector<SentBlock> sent;
  int waits = 0;
  int release_at_wait = 0;

 private:
  const bool comes_back_;
  std::vector<std::unique_ptr<PacketBlock>> blocks_;
  std::vector<PacketBlock*> free_;
  std::vector<PacketBlock*> held_;
};

Packet frame_of(uint16_t client_port, std::string_view payload, bool from_server = false,
                uint32_t sequence = 1000, uint32_t acknowledgment = 2000) {
  Ipv4Fields ip;
  TcpFields fields;
  fields.source_port = client_port;
  fields.sequence = sequence;
  fields.acknowledgment = acknowledgment;
  if (from_server) {
    std::swap(ip.source, ip.destination);
    std::swap(fields.source_port, fields.destination_port);
  }
  return ethernet(0x0800, ipv4_tcp(ip, tcp(fields, text(payload))));
}

void give(Dispatcher& dispatcher, const Packet& packet, int64_t time_ns = kStartNs,
          CapturePiece* piece = nullptr) {
  Frame frame;
  // Live memory is only valid during the call.
  const Packet exact = packet;
  frame.data = piece == nullptr ? exact : packet;
  frame.wire_size = static_cast<uint32_t>(packet.size());
  frame.time_ns = time_ns;
  dispatcher.on_frames(std::span(&frame, 1), piece);
}

uint64_t count(const Dispatcher& dispatcher, FrameCounter counter) {
  return dispatcher.counters().get(counter);
}

// `received` is the sum of the fates.
void expect_frame_ledger(Dispatcher& dispatcher) {
  using C = FrameCounter;
  uint64_t sum = 0;
  for (const C fate : {C::not_ip, C::not_tcp, C::other_port, C::filtered, C::not_sampled,
                       C::malformed, C::bad_checksum, C::fragment_merged, C::fragment_dropped,
                       C::fragment_held, C::tunnel_too_deep, C::dropped_overload, C::dispatched}) {
    sum += count(dispatcher, fate);
  }
  EXPECT_EQ(count(dispatcher, C::received), sum);
}

// ---------------------------------------------------------------- which lane, which block

TEST(Dispatcher, BothDirectionsOfAConnectionMeetInOneLane) {
  std::vector<RecordingLane> lanes(5);
  std::vector<PacketLane*> pointers;
  for (RecordingLane& lane : lanes) pointers.push_back(&lane);
  DispatcherSettings settings;
  settings.hash_secret = 7;
  Dispatcher dispatcher(settings, pointers, nullptr);
  for (uint16_t port = 2000; port < 2200; port++) {
    give(dispatcher, frame_of(port, "q"));
    give(dispatcher, frame_of(port, "a", true));
  }
  dispatcher.finish();
  std::set<uint16_t> met;
  for (const RecordingLane& lane : lanes) {
    std::map<uint16_t, std::set<Side>> sides;
    for (const Segment& segment : lane.segments()) {
      sides[segment.key.low_port].insert(segment.side);
    }
    EXPECT_GT(sides.size(), 10u) << "a lane that hardly gets anything";
    for (const auto& [port, of_port] : sides) {
      EXPECT_EQ(of_port.size(), 2u) << port;
      EXPECT_TRUE(met.insert(port).second) << port << " is in two lanes";
    }
  }
  EXPECT_EQ(met.size(), 200u);
}

TEST(Dispatcher, ASegmentCarriesTimeClockAndFrameNumberAndItsBytesInTheBlock) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  give(dispatcher, frame_of(2000, "one"), kStartNs + 10);
  give(dispatcher, frame_of(2000, "two", true), kStartNs + 5);
  EXPECT_TRUE(lane.sent.empty()) << "a block that is not full waits for the end of the burst";
  dispatcher.flush();
  ASSERT_EQ(lane.sent.size(), 1u);
  EXPECT_EQ(lane.payloads(), (std::vector<std::string>{"one", "two"}));
  const Segment late = lane.segments().at(1);
  EXPECT_EQ(late.time_ns, kStartNs + 5);
  EXPECT_EQ(late.clock_ns, kStartNs + 10) << "the clock is the latest time seen";
  EXPECT_EQ(late.frame, 2u);
  EXPECT_EQ(lane.sent[0].clock_ns, kStartNs + 10);
}

TEST(Dispatcher, AFullBlockLeavesByItself) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  for (uint32_t i = 0; i < kSegmentsPerBlock + 1; i++) give(dispatcher, frame_of(2000, "x"));
  ASSERT_EQ(lane.sent.size(), 1u);
  EXPECT_EQ(lane.sent[0].segments.size(), kSegmentsPerBlock);
  dispatcher.flush();
  ASSERT_EQ(lane.sent.size(), 2u);
  EXPECT_EQ(lane.sent[1].segments.size(), 1u);
  dispatcher.flush();
  EXPECT_EQ(lane.sent.size(), 2u) << "nothing is sent when there is nothing";
}

TEST(Dispatcher, ABlockWhoseMemoryIsFullLeavesAndTheSegmentGoesIntoTheNext) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  const std::string large(60000, 'x');
  const size_t fit = kBlockArenaBytes / large.size();
  for (size_t i = 0; i < fit + 1; i++) give(dispatcher, frame_of(2000, large));
  ASSERT_EQ(lane.sent.size(), 1u);
  EXPECT_EQ(lane.sent[0].segments.size(), fit);
  dispatcher.flush();
  EXPECT_EQ(lane.payloads(), std::vector<std::string>(fit + 1, large));
}

TEST(Dispatcher, FlushEverySendsBlocksThatAreNotFull) {
  RecordingLane lane;
  DispatcherSettings settings;
  settings.flush_every = 10;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  for (int i = 0; i < 35; i++) give(dispatcher, frame_of(2000, "x"));
  ASSERT_EQ(lane.sent.size(), 3u);
  for (const SentBlock& block : lane.sent) EXPECT_EQ(block.segments.size(), 10u);
  dispatcher.flush();
}

struct Piece : CapturePiece {
  bool came_back = false;

  Piece() {
    references = 1;
    recycle = [](CapturePiece* piece) { static_cast<Piece*>(piece)->came_back = true; };
  }
};

TEST(Dispatcher, BytesOfAPieceStayWhereTheyAreAndABlockHasOnePiece) {
  RecordingLane lane(4, false);
  Dispatcher dispatcher({}, {&lane}, nullptr);
  Piece first, second;
  const Packet in_first = frame_of(2000, "first");
  const Packet in_second = frame_of(2000, "second");
  give(dispatcher, in_first, kStartNs, &first);
  give(dispatcher, in_first, kStartNs, &first);
  EXPECT_TRUE(lane.sent.empty());
  give(dispatcher, in_second, kStartNs, &second);
  ASSERT_EQ(lane.sent.size(), 1u) << "the piece has changed";
  EXPECT_TRUE(lane.sent[0].refers_to_piece);
  const uint8_t* payload = lane.sent[0].segments.at(0).payload;
  EXPECT_EQ(payload, in_first.data() + in_first.size() - 5) << "not copied";
  dispatcher.flush();
  ASSERT_EQ(lane.sent.size(), 2u);
  first.release();
  second.release();
  EXPECT_FALSE(first.came_back || second.came_back) << "the blocks still refer to them";
  lane.release();
  EXPECT_TRUE(first.came_back && second.came_back);
}

// ---------------------------------------------------------------- fates

TEST(Dispatcher, EveryFrameHasOneFate) {
  RecordingLane lane;
  DispatcherSettings settings;
  const uint16_t ports[] = {80};
  settings.ports = PortSet(ports);
  settings.decode.verify_checksums = true;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  give(dispatcher, frame_of(2000, "wanted"));
  give(dispatcher, ethernet(0x0806, text("arp")));
  give(dispatcher, ethernet(0x0800, ipv4_udp(1000, 2000, text("udp"))));
  TcpFields elsewhere;
  elsewhere.destination_port = 81;
  give(dispatcher, ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(elsewhere, text("x")))));
  Packet damaged = frame_of(2000, "damaged");
  damaged.back() ^= 1;
  give(dispatcher, damaged);
  Packet broken = frame_of(2000, "broken");
  broken[14 + 20 + 12] = 0;  // TCP's data offset
  give(dispatcher, broken);
  dispatcher.finish();
  using C = FrameCounter;
  for (const C fate :
       {C::dispatched, C::not_ip, C::not_tcp, C::other_port, C::bad_checksum, C::malformed}) {
    EXPECT_EQ(count(dispatcher, fate), 1u) << static_cast<int>(fate);
  }
  expect_frame_ledger(dispatcher);
  EXPECT_EQ(lane.payloads(), std::vector<std::string>{"wanted"});
}

TEST(Dispatcher, EncapsulationsThatWereOpenedAndThoseThatWereTooManyAreCounted) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  constexpr uint8_t kIpInIp = 4;
  Packet packet = ipv4_tcp("tunnelled");
  packet = ipv4_tunnel(kIpInIp, ipv4_tunnel(kIpInIp, packet));
  const Packet tagged = ethernet(0x8100, be16(7) + be16(0x0800) + packet);
  give(dispatcher, tagged);
  for (int i = 0; i < 3; i++) packet = ipv4_tunnel(kIpInIp, packet);
  const Packet deep = ethernet(0x0800, packet);
  give(dispatcher, deep);
  dispatcher.finish();
  using C = FrameCounter;
  EXPECT_EQ(count(dispatcher, C::opened_vlan), 1u);
  EXPECT_EQ(count(dispatcher, C::opened_ip_in_ip), 2u + DecodeOptions{}.tunnel_depth_max);
  EXPECT_EQ(count(dispatcher, C::tunnel_too_deep), 1u);
  EXPECT_EQ(count(dispatcher, C::received_bytes), tagged.size() + deep.size());
  EXPECT_EQ(lane.payloads(), std::vector<std::string>{"tunnelled"});
  expect_frame_ledger(dispatcher);
}

TEST(Dispatcher, FragmentsArePutTogetherBeforeTheyAreHashed) {
  std::vector<RecordingLane> lanes(3);
  DispatcherSettings settings;
  settings.hash_secret = 3;
  Dispatcher dispatcher(settings, {&lanes[0], &lanes[1], &lanes[2]}, nullptr);
  const std::string payload = "GET / HTTP/1.1\r\nHost: fragments.example\r\n\r\n";
  for (uint16_t port = 2000; port < 2050; port++) {
    // The second fragment holds no ports: only the datagram has a key.
    const Packet whole = ipv4_tcp(Ipv4Fields{}, [&] {
      TcpFields fields;
      fields.source_port = port;
      return tcp(fields, text(payload));
    }());
    const Packet segment(whole.begin() + 20, whole.end());
    Ipv4Fields fields;
    fields.id = port;
    fields.fragment = 0x2000;
    const Packet first = ipv4(fields, Packet(segment.begin(), segment.begin() + 32));
    fields.fragment = 4;
    const Packet last = ipv4(fields, Packet(segment.begin() + 32, segment.end()));
    give(dispatcher, ethernet(0x0800, last));
    give(dispatcher, ethernet(0x0800, first));
    give(dispatcher, frame_of(port, "whole"));
  }
  dispatcher.finish();
  EXPECT_EQ(count(dispatcher, FrameCounter::fragment_merged), 50u);
  EXPECT_EQ(count(dispatcher, FrameCounter::dispatched), 100u);
  expect_frame_ledger(dispatcher);
  for (const RecordingLane& lane : lanes) {
    std::map<uint16_t, int> of_port;
    for (const Segment& segment : lane.segments()) of_port[segment.key.low_port]++;
    for (const auto& [port, segments] : of_port) EXPECT_EQ(segments, 2) << port;
    for (const std::string& text : lane.payloads()) {
      EXPECT_TRUE(text == payload || text == "whole") << text;
    }
  }
}

TEST(Dispatcher, FragmentsThatNeverCompleteAreHeldAndGivenUpAtTheEnd) {
  RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  Ipv4Fields fields;
  fields.fragment = 0x2000;
  give(dispatcher, ethernet(0x0800, ipv4(fields, Packet(32, 0))));
  dispatcher.flush();
  EXPECT_EQ(count(dispatcher, FrameCounter::fragment_held), 1u);
  expect_frame_ledger(dispatcher);
  dispatcher.finish();
  EXPECT_EQ(count(dispatcher, FrameCounter::fragment_held), 0u);
  EXPECT_EQ(count(dispatcher, FrameCounter::fragment_dropped), 1u);
  expect_frame_ledger(dispatcher);
}

TEST(Dispatcher, WithoutDefragEveryFragmentIsDropped) {
  RecordingLane lane;
  DispatcherSettings settings;
  settings.decode.defrag = false;
  Dispatcher dispatcher(settings, {&lane}, nullptr);
  Ipv4Fields fields;
  fields.fragment = 0x2000;
  give(dispatcher, ethernet(0x0800, ipv4(fields, Packet(32, 0))));
  dispatcher.finish();
  EXPECT_EQ(count(dispatcher, FrameCounter::fragment_dropped), 1u);
  expect_frame_ledger(dispatcher);
}

// The ports of the connections in the sample, by the sides that came.
std::map<uint16_t, std::set<Side>> sample(double rate, uint64_t seed, uint64_t secret,
                                          size_t lane_count) {
  std::vector<RecordingLane> lanes(lane_count);
  std::vector<PacketLane*> pointers;
  for (RecordingLane& lane : lanes) pointers.push_back(&lane);
  DispatcherSettings settings;
  settings.sample_rate = rate;
  settings.sample_seed = seed;
  settings.hash_secret = secret;
  Dispatcher dispatcher(settings, pointers, nullptr);
  for (uint16_t port = 2000; port < 4000; port++) {
    for (const bool from_server : {false, true}) {
      give(dispatcher, frame_of(port, "x", from_server));
    }
  }
  dispatcher.finish();
  expect_frame_ledger(dispatcher);
  EXPECT_EQ(count(dispatcher, FrameCounter::not_sampled),
            4000 - count(dispatcher, FrameCounter::dispatched));
  std::map<uint16_t, std::set<Side>> sides;
  for (const RecordingLane& lane : lanes) {
    for (const Segment& segment : lane.segments()) {
      sides[segment.key.low_port].insert(segment.side);
    }
  }
  return sides;
}

TEST(DispatcherSample, KeepsWholeConnectionsAndTheSameOnesInEveryRun) {
  const auto chosen = sample(0.25, 0, 1, 1);
  for (const auto& [port, sides] : chosen) EXPECT_EQ(sides.size(), 2u) << port;
  // 2000 × 0.25 with a standard deviation of 19.
  EXPECT_NEAR(static_cast<double>(chosen.size()), 500, 100);
  EXPECT_EQ(chosen, sample(0.25, 0, 99, 4)) << "the run's secret and the shards change nothing";
  EXPECT_NE(chosen, sample(0.25, 1, 1, 1)) << "another seed is another sample";
}

TEST(DispatcherSample, ALargerSampleContainsTheSmallerOne) {
  const auto small = sample(0.1, 0, 1, 1);
  const auto large = sample(0.5, 0, 1, 1);
  for (const auto& [port, sides] : small) EXPECT_TRUE(large.contains(port)) << port;
}

TEST(DispatcherSample, NothingAndEverythingAreExact) {
  EXPECT_TRUE(sample(0, 0, 1, 1).empty());
  EXPECT_EQ(sample(1, 0, 1, 1).size(), 2000u);
}

// ---------------------------------------------------------------- overload

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

struct HoldingSource final : PacketSource {
  int asked = 0;
  int holds = 0;  // so many times
  std::string none;

  SourceStatus poll(FrameSink&) override { return SourceStatus::kEnd; }
  const std::string& error() const override { return none; }
  bool can_hold_more() override { return asked++ < holds; }
};

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

// ---------------------------------------------------------------- orders and time

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

void discard_lines(Shard& shard, LineQueue& lines) {
  shard.output().flush();
  for (LineBlock* block = nullptr; lines.try_dequeue(block);) block->owner->give_back(block);
}

// A dispatcher in front of a shard, as with `shards: 0`.
struct DispatcherAndShard {
  ~DispatcherAndShard() { discard_lines(shard, lines); }

  LineQueue lines;
  shard_harness::RecordedEvents events;
  ConnectionCensus census{1};
  Shard shard{0, ShardSettings{}, census, lines, true, events};
  InlineLane lane{shard};
  Dispatcher dispatcher{DispatcherSettings{}, {&lane}, nullptr};

  uint64_t count(ShardCounter counter) const { return shard.counters().get(counter); }
};

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
  EXPECT_EQ(engine.dispatcher.counters().get(FrameCounter::clock_jumps), 1u);
  engine.dispatcher.finish();
  EXPECT_EQ(engine.count(ShardCounter::connections_drained), 1u);
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
}  // namespace tcp_sniffer
