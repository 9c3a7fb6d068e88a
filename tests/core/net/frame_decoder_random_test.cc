// Frames of every kind, mutated, and cut at every byte: nothing may be read beyond the captured
// bytes (run with the address sanitizer), every segment must make sense, and every frame has one
// counter.

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "core/net/defragmenter.h"
#include "support/decode_one.h"
#include "support/dispatcher_harness.h"
#include "support/segment_check.h"

namespace tcp_sniffer::frame_decoder_random_test {
namespace {

using namespace packets;

struct Sample {
  LinkType link_type;
  Packet frame;
};

std::vector<Sample> samples() {
  const Packet packet = ipv4_tcp("GET / HTTP/1.1\r\n\r\n");
  const Packet packet6 =
      ipv6_tcp(tcp("GET / HTTP/1.1\r\n\r\n"), 0, bytes({6, 0, 1, 4, 0, 0, 0, 0}));
  const Packet inner = ethernet(0x0800, packet);
  const Packet radiotap = bytes({0, 0, 9, 0, 2, 0, 0, 0, 0x20});
  const Packet wifi = bytes({0x88, 0x03, 0, 0}) + Packet(18, 2) + bytes({0x10, 0}) + Packet(8, 0) +
                      bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + packet;
  const Packet ppp = bytes({0xff, 3, 0, 0x21}) + packet;
  const auto size = static_cast<uint32_t>(packet.size());
  TcpFields syn;
  syn.options = bytes({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7});
  Ipv4Fields first;
  first.fragment = 0x2000;
  const Packet fragment6 =
      ipv6(44, ipv6_address(1), ipv6_address(2), bytes({6, 0, 0, 1, 0, 0, 0, 9}) + Packet(64, 3));
  Packet teredo = packet6;
  teredo[8 + 2] = teredo[8 + 3] = 0;  // from 2001::/32
  const auto udp_in_ethernet = [](uint32_t port, const Packet& payload) {
    return ethernet(0x0800, ipv4_udp(50000, port, payload));
  };
  const auto gre = [](const Packet& payload) { return ethernet(0x0800, ipv4_tunnel(47, payload)); };
  const LinkType ethernet_link = LinkType::kEthernet;
  return {
      {ethernet_link, ethernet(0x0800, packet)},
      {ethernet_link, ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(syn, {})))},
      {ethernet_link, ethernet(0x86dd, packet6)},
      {ethernet_link, ethernet(0x0800, ipv4(first, Packet(64, 1)))},
      {ethernet_link, ethernet(0x86dd, fragment6)},
      {ethernet_link, ethernet(0x8100, be16(3) + be16(0x88a8) + be16(4) + be16(0x0800) + packet)},
      {ethernet_link, ethernet(0x8847, bytes({0, 1, 0, 64, 0, 1, 1, 64}) + packet)},
      {ethernet_link, ethernet(0x8847, bytes({0, 1, 1, 64, 0, 0, 0, 0}) + inner)},
      {ethernet_link,
       ethernet(0x8864, bytes({0x11, 0, 0, 1}) + be16(size + 2) + be16(0x0021) + packet)},
      {ethernet_link, ethernet(size + 8, bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + packet)},
      {ethernet_link, ethernet(0x0800, ipv4_tunnel(4, ipv4_tunnel(41, packet6)))},
      {ethernet_link, gre(bytes({0xb0, 0, 8, 0}) + Packet(12, 0) + packet)},
      {ethernet_link, gre(bytes({0x30, 0x81, 0x88, 0x0b}) + be16(size + 4) + Packet(10, 0) + ppp)},
      {ethernet_link,
       gre(bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000000) + be32(0) + inner)},
      {ethernet_link, gre(bytes({0x10, 0, 0x22, 0xeb}) + be32(1) + be32(0x20000000) + be32(0) +
                          be32(1) + Packet(8, 0) + inner)},
      {ethernet_link, udp_in_ethernet(4789, bytes({8, 0, 0, 0, 0, 0, 7, 0}) + inner)},
      {ethernet_link,
       udp_in_ethernet(6081, bytes({1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 0}) + inner)},
      {ethernet_link, udp_in_ethernet(2152, bytes({0x34, 255}) + be16(size + 8) + be32(1) +
                                                bytes({0, 0, 0, 0x85, 1, 0, 0, 0}) + packet)},
      {ethernet_link, udp_in_ethernet(3544, bytes({0, 1, 0, 0}) + Packet(9, 0) +
                                                bytes({0, 0, 1, 2, 3, 4, 5, 6}) + packet6)},
      {ethernet_link, udp_in_ethernet(1701, be16(0x0a02) + be32(1) + be32(2) + be16(0) + ppp)},
      {ethernet_link,
       udp_in_ethernet(5072, bytes({0x41, 0x52, 0x11, 41}) + be32(1) + Packet(36, 1) + packet6)},
      {ethernet_link, udp_in_ethernet(50001, teredo)},
      {ethernet_link,
       ethernet(0x0800, ipv4_tunnel(51, bytes({6, 4, 0, 0}) + Packet(20, 5) +
                                            Packet(packet.begin() + 20, packet.end())))},
      {ethernet_link,
       ethernet(0x8100, be16(3) + be16(0x8100) + be16(4) + be16(0x88a8) + be16(5) + be16(0x8864) +
                            bytes({0x11, 0, 0, 1}) + be16(size + 2) + be16(0x0021) + packet)},
      {LinkType::kNull, bytes({2, 0, 0, 0}) + packet},
      {LinkType::kLoop, bytes({0, 0, 0, 24}) + packet6},
      {LinkType::kRaw, packet},
      {LinkType::kLinuxSll, Packet(14, 0) + be16(0x0800) + packet},
      {LinkType::kLinuxSll2, be16(0x0800) + Packet(18, 0) + packet},
      {LinkType::kPpp, ppp},
      {LinkType::kPppHdlc, ppp},
      {LinkType::kPppEther, bytes({0x11, 0, 0, 1}) + be16(size + 2) + be16(0x0021) + packet},
      {LinkType::kCiscoHdlc, bytes({0x0f, 0, 8, 0}) + packet},
      {LinkType::kIeee80211, wifi},
      {LinkType::kIeee80211Radiotap, radiotap + wifi},
      {LinkType::kIeee80211Avs, be32(0x80211001) + be32(64) + Packet(56, 0) + wifi},
      {LinkType::kPrism, bytes({0x44, 0, 0, 0, 144, 0, 0, 0}) + Packet(136, 0) + wifi},
      {LinkType::kNflog, bytes({2, 0, 0, 1, 8, 0, 1, 0, 8, 0, 1, 0}) +
                             bytes({static_cast<int>(size + 4), 0, 9, 0}) + packet},
  };
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  uint32_t below(size_t bound) {
    return static_cast<uint32_t>(random_() % std::max<size_t>(bound, 1));
  }

  // Flips, overwrites, cuts, repeats or removes bytes, once or a few times.
  Packet mutate(Packet frame) {
    for (uint32_t times = below(5); times > 0 && !frame.empty(); --times) {
      const size_t at = below(frame.size());
      const auto begin = frame.begin() + static_cast<ptrdiff_t>(at);
      const auto end = begin + static_cast<ptrdiff_t>(below(frame.size() - at));
      switch (below(6)) {
        case 0:
          frame[at] = static_cast<uint8_t>(frame[at] ^ (1u << below(8)));
          break;
        case 1:
          frame[at] = static_cast<uint8_t>(random_());
          break;
        case 2:
          frame[at] = below(2) == 0 ? 0x00 : 0xff;
          break;
        case 3:
          frame.resize(at);
          break;
        case 4: {
          const Packet part(begin, end);
          frame.insert(begin, part.begin(), part.end());
          break;
        }
        default:
          frame.erase(begin, end);
          break;
      }
    }
    return frame;
  }

 private:
  std::mt19937_64 random_;
};

// ERSPAN has a bit for frames that the mirror cut.
bool was_mirrored(const Segment& segment) {
  return segment.key.tunnel_kind == TunnelKind::kErspan;
}

TEST(FrameFuzz, MutatedFramesAreDecodedOrRefused) {
  constexpr uint64_t kSeeds = 10000;
  const std::vector<Sample> all = samples();
  Defragmenter defragmenter({.datagrams_max = 16, .memory_bytes_max = 300000});
  uint64_t fates[7] = {};
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Mutator mutator(seed);
    DecodeOptions options;
    options.verify_checksums = mutator.below(4) == 0;
    options.tunnels = mutator.below(8) != 0;
    options.tunnel_depth_max = static_cast<uint8_t>(mutator.below(5));
    const FrameDecoder decoder(options);
    for (const Sample& sample : all) {
      Packet frame = mutator.mutate(sample.frame);
      frame.shrink_to_fit();
      const uint32_t wire_size = mutator.below(2) == 0 ? 0 : mutator.below(2000);
      Segment segment;
      Fragment fragment;
      FrameFate fate = decoder.decode(sample.link_type, frame, wire_size, segment, fragment);
      std::span<const uint8_t> within = frame;
      while (fate == FrameFate::kFragment) {
        ASSERT_LE(fragment.data.size(), fragment.wire_size);
        const auto clock_ns = static_cast<int64_t>(seed * 1'000'000'000);
        if (defragmenter.add(fragment, clock_ns, fragment, within) != FragmentFate::kCompleted) {
          break;
        }
        fate = decoder.decode_datagram(fragment, within, segment, fragment);
      }
      ++fates[static_cast<size_t>(fate)];
      if (fate == FrameFate::kSegment) check_segment(segment, within);
      // What was not cut by the capture, or by a mirror or log that says so, misses nothing.
      const bool is_whole = wire_size <= frame.size() && within.data() == frame.data();
      if (fate == FrameFate::kSegment && is_whole && sample.link_type != LinkType::kNflog &&
          !was_mirrored(segment)) {
        ASSERT_EQ(segment.payload_size, segment.payload_wire_size);
      }
      if (HasFatalFailure()) return;
    }
  }
  for (const uint64_t count : fates) EXPECT_GT(count, 0u);
}

// A copy of exactly the size, so that the address sanitizer sees every byte too far.
Packet beginning(const Packet& frame, size_t size) {
  Packet part(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
  part.shrink_to_fit();
  return part;
}

TEST(FrameFuzz, AFrameCutAnywhereIsTheSameSegmentWithoutItsEndOrNone) {
  for (const Sample& sample : samples()) {
    const Decoded whole = decode(sample.link_type, sample.frame);
    if (whole.fate != FrameFate::kSegment) continue;
    const std::string payload = whole.payload();
    const FrameDecoder decoder{DecodeOptions{}};
    for (size_t size = 0; size < sample.frame.size(); ++size) {
      SCOPED_TRACE("link type " + std::to_string(static_cast<int>(sample.link_type)) + ", cut at " +
                   std::to_string(size));
      const Packet part = beginning(sample.frame, size);
      const auto wire_size = static_cast<uint32_t>(sample.frame.size());
      Segment segment;
      Fragment fragment;
      const FrameFate fate = decoder.decode(sample.link_type, part, wire_size, segment, fragment);
      ASSERT_TRUE(fate == FrameFate::kSegment || size + payload.size() < sample.frame.size());
      if (fate != FrameFate::kSegment) continue;
      check_segment(segment, part);
      ASSERT_EQ(segment.key, whole.segment.key);
      ASSERT_EQ(segment.sequence, whole.segment.sequence);
      ASSERT_EQ(segment.flags, whole.segment.flags);
      ASSERT_EQ(segment.payload_wire_size, whole.segment.payload_wire_size);
      ASSERT_EQ(
          payload.compare(0, segment.payload_size, reinterpret_cast<const char*>(segment.payload),
                          segment.payload_size),
          0);
    }
  }
}

TEST(FrameFuzz, AFrameThatIsTooShortAndSaysItIsWholeIsNoSegment) {
  for (const Sample& sample : samples()) {
    const Decoded whole = decode(sample.link_type, sample.frame);
    if (whole.fate != FrameFate::kSegment || sample.link_type == LinkType::kNflog) continue;
    for (size_t size = 0; size < sample.frame.size(); ++size) {
      ASSERT_NE(decode(sample.link_type, beginning(sample.frame, size)).fate, FrameFate::kSegment)
          << "link type " << static_cast<int>(sample.link_type) << ", cut at " << size;
    }
  }
}

TEST(FrameFuzz, EveryFrameHasOneCounterWhereverItIsCut) {
  dispatcher_harness::RecordingLane lane;
  Dispatcher dispatcher({}, {&lane}, nullptr);
  uint64_t given = 0;
  for (const Sample& sample : samples()) {
    for (size_t size = 0; size <= sample.frame.size(); ++size) {
      for (const bool is_cut : {false, true}) {
        const Packet part = beginning(sample.frame, size);
        Frame frame;
        frame.data = part;
        frame.wire_size = static_cast<uint32_t>(is_cut ? sample.frame.size() : size);
        frame.link_type = sample.link_type;
        frame.time_ns = dispatcher_harness::kStartNs;
        dispatcher.on_frames(std::span(&frame, 1), nullptr);
        dispatcher.flush();
        dispatcher_harness::expect_frame_ledger(dispatcher);
        ASSERT_EQ(dispatcher_harness::count(dispatcher, FrameCounter::received), ++given);
        if (HasFailure()) return;
      }
    }
  }
  dispatcher.finish();
  dispatcher_harness::expect_frame_ledger(dispatcher);
}

TEST(FrameFuzz, UnmutatedSamplesAreSegmentsOrFragments) {
  for (const Sample& sample : samples()) {
    const FrameFate fate = decode(sample.link_type, sample.frame).fate;
    EXPECT_TRUE(fate == FrameFate::kSegment || fate == FrameFate::kFragment)
        << "link type " << static_cast<int>(sample.link_type);
  }
}

TEST(FrameFuzz, RandomBytesAreHarmlessUnderEveryLinkType) {
  const std::vector<Sample> all = samples();
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    std::mt19937_64 random(seed);
    Packet frame(random() % 200);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
    for (const Sample& sample : all) {
      if (random() % 8 != 0) continue;
      const Decoded decoded = decode(sample.link_type, frame);
      if (decoded.fate == FrameFate::kSegment) {
        ASSERT_LE(decoded.segment.payload_size, frame.size()) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::frame_decoder_random_test
