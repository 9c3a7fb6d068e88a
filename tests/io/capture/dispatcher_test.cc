#include "io/capture/dispatcher.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/dispatcher_harness.h"

// Which lane, which block, which fate. Overload and time have tests of their own.
namespace tcp_sniffer::dispatcher_test {
namespace {

using namespace dispatcher_harness;

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

TEST(Dispatcher, SegmentsOfFragmentsAreCountedWhereOnlyPartOfTheTrafficComes) {
  const Packet segment = tcp(TcpFields{}, text("in two parts"));
  for (const bool is_alone : {false, true}) {
    RecordingLane lane;
    DispatcherSettings settings;
    settings.is_alone = is_alone;
    Dispatcher dispatcher(settings, {&lane}, nullptr);
    const auto fragment = [&](uint16_t field, size_t begin, size_t end) {
      return ethernet(0x86dd, ipv6(44, ipv6_address(1), ipv6_address(2),
                                   bytes({6, 0}) + be16(field) + be32(9) +
                                       Packet(segment.begin() + static_cast<ptrdiff_t>(begin),
                                              segment.begin() + static_cast<ptrdiff_t>(end))));
    };
    give(dispatcher, fragment(1, 0, 24));
    give(dispatcher, fragment(24, 24, segment.size()));
    give(dispatcher, ethernet(0x86dd, ipv6_tcp(segment)));
    dispatcher.finish();
    EXPECT_EQ(count(dispatcher, FrameCounter::dispatched), 2u);
    EXPECT_EQ(count(dispatcher, FrameCounter::fragments_apart), is_alone ? 1u : 0u);
    expect_frame_ledger(dispatcher);
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

}  // namespace
}  // namespace tcp_sniffer::dispatcher_test
