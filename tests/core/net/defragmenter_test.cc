#include "core/net/defragmenter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/fragments.h"

namespace tcp_sniffer::defragmenter_test {
namespace {

using namespace fragments;

// --- Both families ---------------------------------------------------------------------------

class EitherVersion : public testing::TestWithParam<uint8_t> {};
INSTANTIATE_TEST_SUITE_P(Ip, EitherVersion, testing::Values(uint8_t{4}, uint8_t{6}));

TEST_P(EitherVersion, LastMissingPieceCompletesInAnyOrder) {
  const std::vector<Fragment> pieces = {piece(GetParam(), 0, "01234567", true),
                                        piece(GetParam(), 8, "89abcdef", true),
                                        piece(GetParam(), 16, "ghi", false)};
  std::vector<size_t> order = {0, 1, 2};
  do {
    Defragmenter defragmenter(DefragmentLimits{});
    EXPECT_EQ(add(defragmenter, pieces[order[0]]).fate, FragmentFate::kHeld);
    EXPECT_EQ(add(defragmenter, pieces[order[1]]).fate, FragmentFate::kHeld);
    EXPECT_EQ(defragmenter.counters().held, 2u);
    const Result result = add(defragmenter, pieces[order[2]]);
    ASSERT_EQ(result.fate, FragmentFate::kCompleted);
    EXPECT_EQ(result.text(), "0123456789abcdefghi");
    EXPECT_EQ(result.header.wire_size, 19u);
    EXPECT_EQ(result.header.offset, 0u);
    EXPECT_FALSE(result.header.more);
    EXPECT_EQ(defragmenter.counters().held, 0u);
    EXPECT_EQ(defragmenter.counters().merged, 2u);
    expect_ledger(defragmenter, 3);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(EitherVersion, HeaderIsTheFirstFragments) {
  Defragmenter defragmenter(DefragmentLimits{});
  Fragment last = piece(GetParam(), 8, "x", false);
  last.ttl = 1;
  Fragment first = piece(GetParam(), 0, "01234567", true);
  first.ttl = 60;
  first.vlan = 5;
  first.depth = 2;
  first.ip_id = 17;
  add(defragmenter, last);
  const Result result = add(defragmenter, first);
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.header.ttl, 60);
  EXPECT_EQ(result.header.vlan, 5);
  EXPECT_EQ(result.header.depth, 2);
  EXPECT_EQ(result.header.ip_id, 17);
  EXPECT_EQ(result.header.source, first.source);
}

TEST_P(EitherVersion, DatagramsOfDifferentIdentityStayApart) {
  const Fragment base = piece(GetParam(), 0, "01234567", true);
  std::vector<Fragment> others(5, piece(GetParam(), 8, "x", false));
  others[0].id = 2;
  others[1].source = ipv6_address(9);
  others[2].destination = ipv6_address(9);
  others[3].tunnel.id = 4;
  others[4].tunnel.kind = TunnelKind::kVxlan;
  for (const Fragment& other : others) {
    Defragmenter defragmenter(DefragmentLimits{});
    EXPECT_EQ(add(defragmenter, base).fate, FragmentFate::kHeld);
    EXPECT_EQ(add(defragmenter, other).fate, FragmentFate::kHeld);
  }
}

TEST_P(EitherVersion, VlanTellsDatagramsApartOnlyWhenAsked) {
  const Fragment first = piece(GetParam(), 0, "01234567", true);
  Fragment last = piece(GetParam(), 8, "x", false);
  last.vlan = 9;
  Defragmenter without(DefragmentLimits{});
  add(without, first);
  EXPECT_EQ(add(without, last).fate, FragmentFate::kCompleted);
  Defragmenter with(DefragmentLimits{.key_vlan = true});
  add(with, first);
  EXPECT_EQ(add(with, last).fate, FragmentFate::kHeld);
}

TEST_P(EitherVersion, DatagramIsGivenUpAtItsTimeout) {
  Defragmenter defragmenter(DefragmentLimits{.timeout_ns = 30 * kSecond});
  add(defragmenter, piece(GetParam(), 0, "01234567", true), 5 * kSecond);
  add(defragmenter, piece(GetParam(), 16, "x", false), 20 * kSecond);
  // The timer began with the first fragment; the late one begins a new datagram.
  EXPECT_EQ(add(defragmenter, piece(GetParam(), 8, "89abcdef", true), 35 * kSecond).fate,
            FragmentFate::kHeld);
  EXPECT_EQ(defragmenter.counters().dropped_timeout, 2u);
  EXPECT_EQ(defragmenter.counters().held, 1u);
  defragmenter.expire(65 * kSecond);
  EXPECT_EQ(defragmenter.counters().dropped_timeout, 3u);
  EXPECT_EQ(defragmenter.counters().held, 0u);
  expect_ledger(defragmenter, 3);
}

TEST_P(EitherVersion, CopiesOfAFinishedDatagramAreDroppedForAWhile) {
  Defragmenter defragmenter(DefragmentLimits{.duplicate_window_ns = kSecond});
  const Fragment first = piece(GetParam(), 0, "01234567", true);
  const Fragment last = piece(GetParam(), 8, "x", false);
  add(defragmenter, first);
  EXPECT_EQ(add(defragmenter, first).fate, FragmentFate::kDropped);
  EXPECT_EQ(add(defragmenter, last).fate, FragmentFate::kCompleted);
  EXPECT_EQ(add(defragmenter, last).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().dropped_late, 1u);
  EXPECT_EQ(add(defragmenter, first, kSecond).fate, FragmentFate::kHeld);
  expect_ledger(defragmenter, 5);
}

TEST_P(EitherVersion, FragmentsThatDoNotFitTheirDatagramAreDropped) {
  Defragmenter defragmenter(DefragmentLimits{});
  const uint8_t version = GetParam();
  Fragment beyond = piece(version, 65528, "01234567", true);
  EXPECT_EQ(add(defragmenter, beyond).fate, FragmentFate::kDropped);
  EXPECT_EQ(add(defragmenter, piece(version, 0, "", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(add(defragmenter, piece(version, 16, "x", false)).fate, FragmentFate::kHeld);
  // Another end, and data behind the end.
  EXPECT_EQ(add(defragmenter, piece(version, 24, "x", false)).fate, FragmentFate::kDropped);
  EXPECT_EQ(add(defragmenter, piece(version, 24, "01234567", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().dropped_invalid, 4u);
  // An end before data already there.
  EXPECT_EQ(add(defragmenter, piece(version, 8, "01234567", true, 2)).fate, FragmentFate::kHeld);
  EXPECT_EQ(add(defragmenter, piece(version, 0, "0123", false, 2)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().dropped_invalid, 5u);
}

TEST_P(EitherVersion, LargestDatagramIsPutTogether) {
  Defragmenter defragmenter(DefragmentLimits{});
  std::string data(65535, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 251);
  Result result;
  for (size_t at = 0; at < data.size(); at += 1480) {
    const std::string_view part = std::string_view(data).substr(at, 1480);
    result = add(defragmenter, piece(GetParam(), static_cast<uint32_t>(at), part,
                                     at + part.size() < data.size()));
  }
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.text(), data);
}

TEST_P(EitherVersion, FlushGivesUpEverything) {
  Defragmenter defragmenter(DefragmentLimits{});
  for (uint32_t id = 0; id < 100; ++id) {
    add(defragmenter, piece(GetParam(), 0, "01234567", true, id));
  }
  EXPECT_EQ(defragmenter.counters().held, 100u);
  defragmenter.flush();
  EXPECT_EQ(defragmenter.counters().held, 0u);
  EXPECT_EQ(defragmenter.counters().dropped_at_end, 100u);
  expect_ledger(defragmenter, 100);
}

// --- Cut by the snaplen ----------------------------------------------------------------------

TEST_P(EitherVersion, CapturedBeginningOfACutDatagramIsHandedOn) {
  Defragmenter defragmenter(DefragmentLimits{});
  Fragment first = piece(GetParam(), 0, "0123456789", true);
  first.wire_size = 16;
  EXPECT_EQ(add(defragmenter, first).fate, FragmentFate::kHeld);
  const Result result = add(defragmenter, piece(GetParam(), 16, "ghi", false));
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.text(), "0123456789");
  EXPECT_EQ(result.header.wire_size, 19u);
}

TEST_P(EitherVersion, LastFragmentCutLeavesTheRestWhole) {
  Defragmenter defragmenter(DefragmentLimits{});
  Fragment last = piece(GetParam(), 8, "89", false);
  last.wire_size = 100;
  add(defragmenter, last);
  const Result result = add(defragmenter, piece(GetParam(), 0, "01234567", true));
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.text(), "0123456789");
  EXPECT_EQ(result.header.wire_size, 108u);
}

// --- IPv4 ------------------------------------------------------------------------------------

TEST(Defragmenter, FirstCopyOfOverlappingBytesWinsInIpv4) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(4, 8, "BBBBBBBB", true));
  add(defragmenter, piece(4, 0, "aaaaaaaaaaaaaaaaaaaaaaaa", true));
  const Result result = add(defragmenter, piece(4, 16, "ccccccccccc", false));
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.text(), "aaaaaaaaBBBBBBBBaaaaaaaaccc");
}

TEST(Defragmenter, Ipv4FragmentWithNothingNewIsDropped) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(4, 0, "0123456789abcdef", true));
  EXPECT_EQ(add(defragmenter, piece(4, 8, "XXXXXXXX", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().dropped_overlap, 1u);
  EXPECT_EQ(add(defragmenter, piece(4, 16, "g", false)).text(), "0123456789abcdefg");
}

TEST(Defragmenter, Ipv4FragmentWithNothingNewMayStillTellTheEnd) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(4, 0, "0123456789abcdef", true));
  const Result result = add(defragmenter, piece(4, 8, "XXXXXXXX", false));
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.text(), "0123456789abcdef");
}

TEST(Defragmenter, OddSizeBeforeTheLastIsCutInIpv4) {
  Defragmenter defragmenter(DefragmentLimits{});
  EXPECT_EQ(add(defragmenter, piece(4, 0, "0123456789ab", true)).fate, FragmentFate::kHeld);
  EXPECT_EQ(add(defragmenter, piece(4, 8, "XY", false)).text(), "01234567XY");
  EXPECT_EQ(add(defragmenter, piece(4, 0, "0123", true, 2)).fate, FragmentFate::kDropped);
}

TEST(Defragmenter, ProtocolIsPartOfTheIdentityInIpv4) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(4, 0, "01234567", true));
  Fragment other = piece(4, 8, "x", false);
  other.protocol = kUdpProtocol;
  EXPECT_EQ(add(defragmenter, other).fate, FragmentFate::kHeld);
}

// --- IPv6 ------------------------------------------------------------------------------------

TEST(Defragmenter, OverlapDiscardsTheIpv6DatagramAndItsLaterFragments) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(6, 0, "0123456789abcdef", true));
  EXPECT_EQ(add(defragmenter, piece(6, 8, "XXXXXXXXYYYYYYYY", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().held, 0u);
  EXPECT_EQ(defragmenter.counters().dropped_overlap, 2u);
  EXPECT_EQ(add(defragmenter, piece(6, 0, "0123456789abcdef", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(add(defragmenter, piece(6, 16, "g", false)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().completed, 0u);
  // A datagram that reuses the id after the timeout is a new one.
  EXPECT_EQ(add(defragmenter, piece(6, 0, "01234567", true), 31 * kSecond).fate,
            FragmentFate::kHeld);
  expect_ledger(defragmenter, 5);
}

TEST(Defragmenter, ExactCopyIsNoOverlapInIpv6) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(6, 0, "01234567", true));
  EXPECT_EQ(add(defragmenter, piece(6, 0, "01234567", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().held, 1u);
  EXPECT_EQ(add(defragmenter, piece(6, 8, "x", false)).text(), "01234567x");
}

TEST(Defragmenter, CopyWithOtherBytesIsAnOverlapInIpv6) {
  Defragmenter defragmenter(DefragmentLimits{});
  add(defragmenter, piece(6, 0, "01234567", true));
  add(defragmenter, piece(6, 0, "0123456X", true));
  EXPECT_EQ(add(defragmenter, piece(6, 8, "x", false)).fate, FragmentFate::kDropped);
}

TEST(Defragmenter, OddSizeBeforeTheLastIsRefusedInIpv6) {
  Defragmenter defragmenter(DefragmentLimits{});
  EXPECT_EQ(add(defragmenter, piece(6, 0, "0123456789ab", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().dropped_invalid, 1u);
}

TEST(Defragmenter, ProtocolOfTheFirstFragmentCountsInIpv6) {
  Defragmenter defragmenter(DefragmentLimits{});
  Fragment last = piece(6, 8, "x", false);
  last.protocol = kUdpProtocol;
  add(defragmenter, last);
  const Result result = add(defragmenter, piece(6, 0, "01234567", true));
  ASSERT_EQ(result.fate, FragmentFate::kCompleted);
  EXPECT_EQ(result.header.protocol, kTcpProtocol);
}

// --- Bounds ----------------------------------------------------------------------------------

TEST(Defragmenter, OldestDatagramMakesRoom) {
  Defragmenter defragmenter(DefragmentLimits{.datagrams_max = 3});
  for (uint32_t id = 1; id <= 4; ++id) add(defragmenter, piece(4, 0, "01234567", true, id), id);
  EXPECT_EQ(defragmenter.counters().dropped_limit, 1u);
  EXPECT_EQ(add(defragmenter, piece(4, 8, "x", false, 2), 5).fate, FragmentFate::kCompleted);
  EXPECT_EQ(add(defragmenter, piece(4, 8, "x", false, 1), 5).fate, FragmentFate::kHeld);
  expect_ledger(defragmenter, 6);
}

TEST(Defragmenter, FinishedDatagramsMakeRoomBeforeUnfinishedOnes) {
  Defragmenter defragmenter(DefragmentLimits{.datagrams_max = 2});
  add(defragmenter, piece(4, 0, "01234567", true, 1));
  add(defragmenter, piece(4, 0, "01234567", true, 2));
  add(defragmenter, piece(4, 8, "x", false, 2));
  add(defragmenter, piece(4, 0, "01234567", true, 3));
  EXPECT_EQ(defragmenter.counters().dropped, 0u);
  EXPECT_EQ(add(defragmenter, piece(4, 8, "x", false, 1)).fate, FragmentFate::kCompleted);
}

TEST(Defragmenter, DiscardedDatagramsMakeRoomBeforeUnfinishedOnes) {
  Defragmenter defragmenter(DefragmentLimits{.datagrams_max = 2});
  add(defragmenter, piece(6, 0, "01234567", true, 1));
  add(defragmenter, piece(6, 0, "01234567", true, 2));
  add(defragmenter, piece(6, 0, "overlaps", true, 2));
  add(defragmenter, piece(6, 0, "01234567", true, 3));
  EXPECT_EQ(defragmenter.counters().dropped_limit, 0u);
  EXPECT_EQ(add(defragmenter, piece(6, 8, "x", false, 1)).fate, FragmentFate::kCompleted);
}

TEST(Defragmenter, MemoryStaysUnderItsCapWhateverComes) {
  constexpr size_t kCap = 400'000;
  Defragmenter defragmenter(DefragmentLimits{.memory_bytes_max = kCap});
  std::mt19937_64 random(7);
  const std::string data(1480, 'm');
  uint64_t added = 0;
  for (uint32_t i = 0; i < 20000; ++i) {
    const auto offset = static_cast<uint32_t>(random() % 40) * 1480;
    add(defragmenter, piece(4, offset, data, true, static_cast<uint32_t>(random() % 300)),
        static_cast<int64_t>(i) * 1000);
    ++added;
    ASSERT_LE(defragmenter.memory_bytes(), kCap);
  }
  EXPECT_GT(defragmenter.counters().dropped_limit, 0u);
  expect_ledger(defragmenter, added);
}

TEST(Defragmenter, NoMemoryAtAllDropsEverything) {
  Defragmenter defragmenter(DefragmentLimits{.memory_bytes_max = 0});
  EXPECT_EQ(add(defragmenter, piece(4, 0, "01234567", true)).fate, FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.memory_bytes(), 0u);
  expect_ledger(defragmenter, 1);
}

TEST(Defragmenter, DatagramInTooManyPartsIsGivenUp) {
  Defragmenter defragmenter(DefragmentLimits{});
  constexpr auto kParts = static_cast<uint32_t>(Defragmenter::kRangesMax);
  for (uint32_t i = 0; i < kParts; ++i) {
    ASSERT_EQ(add(defragmenter, piece(4, i * 16, "01234567", true)).fate, FragmentFate::kHeld);
  }
  // One that touches another part still has room; one more part has not.
  EXPECT_EQ(add(defragmenter, piece(4, 8, "89abcdef", true)).fate, FragmentFate::kHeld);
  EXPECT_EQ(add(defragmenter, piece(4, kParts * 16, "01234567", true)).fate, FragmentFate::kHeld);
  EXPECT_EQ(add(defragmenter, piece(4, kParts * 32, "01234567", true)).fate,
            FragmentFate::kDropped);
  EXPECT_EQ(defragmenter.counters().held, 0u);
  EXPECT_EQ(defragmenter.counters().dropped_limit, kParts + 3u);
}

TEST(Defragmenter, BuffersAreUsedAgain) {
  Defragmenter defragmenter(DefragmentLimits{});
  const std::string data(1480, 'm');
  size_t warm = 0;
  for (uint32_t id = 0; id < 1000; ++id) {
    for (uint32_t i = 0; i < 20; ++i) {
      add(defragmenter, piece(4, i * 1480, data, i < 19, id), id * 1000);
    }
    if (id == 2) warm = defragmenter.memory_bytes();
  }
  EXPECT_EQ(defragmenter.counters().completed, 1000u);
  EXPECT_EQ(defragmenter.memory_bytes(), warm);
}

// --- Together with the decoder ---------------------------------------------------------------

std::vector<Packet> ipv4_fragments(const Packet& datagram, size_t size, uint8_t protocol,
                                   uint16_t id) {
  std::vector<Packet> packets;
  for (size_t at = 0; at < datagram.size(); at += size) {
    const size_t end = std::min(datagram.size(), at + size);
    Ipv4Fields fields;
    fields.protocol = protocol;
    fields.id = id;
    fields.fragment = static_cast<uint16_t>(at / 8 | (end < datagram.size() ? 0x2000 : 0));
    packets.push_back(ipv4(fields, Packet(datagram.begin() + static_cast<ptrdiff_t>(at),
                                          datagram.begin() + static_cast<ptrdiff_t>(end))));
  }
  return packets;
}

FrameFate decode_and_defragment(const FrameDecoder& decoder, Defragmenter& defragmenter,
                                const Packet& packet, Segment& segment) {
  Fragment fragment;
  FrameFate fate = decoder.decode(LinkType::kRaw, packet, 0, segment, fragment);
  while (fate == FrameFate::kFragment) {
    std::span<const uint8_t> payload;
    if (defragmenter.add(fragment, 0, fragment, payload) != FragmentFate::kCompleted) break;
    fate = decoder.decode_datagram(fragment, payload, segment, fragment);
  }
  return fate;
}

TEST(Defragmenter, FragmentsInsideAFragmentedTunnelAreFollowed) {
  const std::string body(3000, 'b');
  Segment segment;
  const FrameDecoder decoder{DecodeOptions{}};
  Defragmenter defragmenter(DefragmentLimits{});
  FrameFate fate = FrameFate::kNotIp;
  uint16_t id = 100;
  // Every inner fragment is larger than the tunnel's own MTU.
  for (const Packet& inner : ipv4_fragments(tcp(body), 1400, kTcpProtocol, 1)) {
    const Packet vxlan = bytes({8, 0, 0, 0, 0, 0, 7, 0}) + ethernet(0x0800, inner);
    for (const Packet& packet : ipv4_fragments(udp(50000, 4789, vxlan), 800, kUdpProtocol, id++)) {
      fate = decode_and_defragment(decoder, defragmenter, packet, segment);
    }
  }
  ASSERT_EQ(fate, FrameFate::kSegment);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(segment.payload), segment.payload_size),
            body);
  EXPECT_EQ(segment.key.tunnel_kind, TunnelKind::kVxlan);
  EXPECT_NE(segment.key.tunnel_id, 0u);
  EXPECT_EQ(defragmenter.counters().held, 0u);
}

TEST(Defragmenter, ChecksumOfAReassembledSegmentIsVerified) {
  DecodeOptions options;
  options.verify_checksums = true;
  const FrameDecoder decoder(options);
  for (const bool is_bad : {false, true}) {
    Defragmenter defragmenter(DefragmentLimits{});
    const Packet whole = ipv4_tcp(std::string(100, 'c'));
    Packet datagram(whole.begin() + 20, whole.end());
    if (is_bad) datagram.back() ^= 1;
    Segment segment;
    FrameFate fate = FrameFate::kNotIp;
    for (const Packet& packet : ipv4_fragments(datagram, 64, kTcpProtocol, 1)) {
      fate = decode_and_defragment(decoder, defragmenter, packet, segment);
    }
    EXPECT_EQ(fate, is_bad ? FrameFate::kBadChecksum : FrameFate::kSegment);
  }
}

}  // namespace
}  // namespace tcp_sniffer::defragmenter_test
