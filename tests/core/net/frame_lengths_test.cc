// What headers say about lengths, held against the frame: what the capture cut is missing, and a
// length that a whole frame does not have is a lie, behind every encapsulation.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/decode_one.h"

namespace tcp_sniffer::frame_lengths_test {
namespace {

using namespace packets;

const std::string kPayload = "GET / HTTP/1.1\r\n\r\n";

// A length field of a frame: two bytes at `at`.
struct Frame {
  std::string name;
  LinkType link_type;
  Packet bytes;
  size_t length_at;
  FrameFate when_lying = FrameFate::kMalformed;
};

Packet ppp_ipv4() {
  return be16(0x0021) + ipv4_tcp(kPayload);
}

Packet sized(size_t size) {
  return be16(static_cast<uint32_t>(size));
}

std::vector<Frame> frames() {
  constexpr LinkType kEthernet = LinkType::kEthernet;
  const Packet v4 = ipv4_tcp(kPayload);
  const Packet v6 = ipv6_tcp(tcp(kPayload));
  const Packet snap = bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + v4;
  const Packet ppp = ppp_ipv4();
  const Packet pptp = bytes({0x30, 0x01, 0x88, 0x0b}) + sized(ppp.size()) + be16(9) + be32(1);
  const Packet gtp = bytes({0x30, 255}) + sized(v4.size()) + be32(7);
  const Packet l2tp = be16(0x4002) + sized(ppp.size() + 8) + be32(0x00010002);
  const Packet vxlan = bytes({8, 0, 0, 0, 0, 0, 7, 0}) + ethernet(0x0800, v4);
  const Packet erspan = bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000001) + be32(0);
  const Packet wifi = bytes({0x88, 0x01, 0, 0}) + Packet(18, 2) + be16(0) + bytes({0x80, 0}) +
                      Packet(12, 3) + sized(snap.size()) + snap;
  const auto udp4 = [](uint32_t port, const Packet& payload) {
    return ethernet(0x0800, ipv4_udp(50000, port, payload));
  };
  constexpr size_t kIn = 14;               // behind Ethernet
  constexpr size_t kInIp = kIn + 20;       // and IPv4
  constexpr size_t kInUdp = kIn + 20 + 8;  // and UDP
  return {
      {"ipv4", kEthernet, ethernet(0x0800, v4), kIn + 2},
      {"ipv6", kEthernet, ethernet(0x86dd, v6), kIn + 4},
      {"ipv4 in a vlan", kEthernet, ethernet(0x8100, be16(5) + be16(0x0800) + v4), kIn + 4 + 2},
      {"ipv4 behind mpls", kEthernet, ethernet(0x8847, bytes({0, 1, 1, 64}) + v4), kIn + 4 + 2},
      {"raw ipv6", LinkType::kRaw, v6, 4},
      {"802.3", kEthernet, ethernet(static_cast<uint32_t>(snap.size()), snap), 12},
      {"802.3 in a vlan", kEthernet, ethernet(0x8100, be16(5) + sized(snap.size()) + snap),
       kIn + 2},
      {"pppoe", kEthernet, ethernet(0x8864, bytes({0x11, 0, 0, 1}) + sized(ppp.size()) + ppp),
       kIn + 4},
      {"ipv4 in pppoe", kEthernet,
       ethernet(0x8864, bytes({0x11, 0, 0, 1}) + sized(ppp.size()) + ppp), kIn + 6 + 2 + 2},
      {"wi-fi aggregate", LinkType::kIeee80211, wifi, 38},
      {"ipv4 in ipv4, outside", kEthernet, ethernet(0x0800, ipv4_tunnel(4, v4)), kIn + 2},
      {"ipv4 in ipv4, inside", kEthernet, ethernet(0x0800, ipv4_tunnel(4, v4)), kInIp + 2},
      {"ipv6 in gre", kEthernet, ethernet(0x0800, ipv4_tunnel(47, bytes({0, 0, 0x86, 0xdd}) + v6)),
       kInIp + 4 + 4},
      {"pptp", kEthernet, ethernet(0x0800, ipv4_tunnel(47, pptp + ppp)), kInIp + 4},
      {"erspan", kEthernet, ethernet(0x0800, ipv4_tunnel(47, erspan + ethernet(0x0800, v4))),
       kInIp + 16 + 14 + 2},
      {"udp", kEthernet, udp4(2152, gtp + v4), kInIp + 4},
      // A UDP tunnel is known by its inner header, so one whose header lies is no tunnel.
      {"gtp", kEthernet, udp4(2152, gtp + v4), kInUdp + 2, FrameFate::kNotTcp},
      {"ipv4 in gtp", kEthernet, udp4(2152, gtp + v4), kInUdp + 8 + 2, FrameFate::kNotTcp},
      {"l2tp", kEthernet, udp4(1701, l2tp + ppp), kInUdp + 2, FrameFate::kNotTcp},
      {"ipv4 in vxlan", kEthernet, udp4(4789, vxlan), kInUdp + 8 + 14 + 2, FrameFate::kNotTcp},
  };
}

TEST(FrameLengths, AWholeFrameWithoutWhatALengthClaimsIsRefused) {
  for (const Frame& frame : frames()) {
    SCOPED_TRACE(frame.name);
    const auto honest = decode(frame.link_type, frame.bytes);
    ASSERT_EQ(honest.fate, FrameFate::kSegment);
    EXPECT_EQ(honest.payload(), kPayload);
    const uint32_t claimed = load_be16(frame.bytes.data() + frame.length_at);
    for (const uint32_t more : {1u, 6u, 1000u}) {
      Packet lying = frame.bytes;
      write_be16(&lying[frame.length_at], claimed + more);
      EXPECT_EQ(decode(frame.link_type, lying).fate, frame.when_lying) << more;
    }
  }
}

TEST(FrameLengths, WhatTheCaptureCutIsMissingAndNoLie) {
  for (const Frame& frame : frames()) {
    SCOPED_TRACE(frame.name);
    for (size_t cut = 1; cut < kPayload.size(); ++cut) {
      const Packet kept(frame.bytes.begin(), frame.bytes.end() - static_cast<ptrdiff_t>(cut));
      const auto decoded = decode(frame.link_type, kept, {}, frame.bytes.size());
      ASSERT_EQ(decoded.fate, FrameFate::kSegment) << cut;
      EXPECT_EQ(decoded.segment.payload_wire_size, kPayload.size());
      EXPECT_EQ(decoded.payload(), kPayload.substr(0, kPayload.size() - cut));
      // The lie is seen in what is left of the frame, too.
      Packet lying = kept;
      write_be16(&lying[frame.length_at], load_be16(kept.data() + frame.length_at) + 1u);
      EXPECT_EQ(decode(frame.link_type, lying, {}, frame.bytes.size()).fate, frame.when_lying);
    }
  }
}

TEST(FrameLengths, AMirrorOrALogThatCutTheFrameIsBelieved) {
  const Packet whole = ipv4_tcp(kPayload);
  const Packet part(whole.begin(), whole.end() - 6);
  const auto expect_cut = [](const Decoded& decoded) {
    ASSERT_EQ(decoded.fate, FrameFate::kSegment);
    EXPECT_EQ(decoded.payload(), kPayload.substr(0, kPayload.size() - 6));
    EXPECT_EQ(decoded.segment.payload_wire_size, kPayload.size());
  };
  // ERSPAN's T bit, in types II and III.
  const Packet type_2 = bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000401) + be32(0);
  const Packet type_3 =
      bytes({0x10, 0, 0x22, 0xeb}) + be32(1) + be32(0x20000401) + be32(0) + be32(0);
  for (const Packet& header : {type_2, type_3}) {
    expect_cut(decode(LinkType::kRaw, ipv4_tunnel(47, header + ethernet(0x0800, part))));
  }
  // iptables -j NFLOG --nflog-size.
  const Packet log = bytes({2, 0, 0, 1}) + bytes({static_cast<int>(part.size() + 4), 0, 9, 0});
  expect_cut(decode(LinkType::kNflog, log + part));
}

// --- A length of 0 ---------------------------------------------------------------------------

TEST(FrameLengths, ZeroIsOffloadOnlyWhereThereIsSomethingToSegment) {
  struct {
    Packet frame;
    size_t length_at;
  } const small[] = {{ethernet(0x0800, ipv4_tcp(kPayload)), 16},
                     {ethernet(0x86dd, ipv6_tcp(tcp(kPayload))), 18},
                     {ethernet(0x0800, ipv4_tcp(std::string(536, 'x'))), 16}};
  for (const auto& [frame, length_at] : small) {
    Packet lying = frame;
    write_be16(&lying[length_at], 0);
    EXPECT_EQ(decode_ethernet_frame(lying).fate, FrameFate::kMalformed);
    lying.resize(100, 0);
    EXPECT_EQ(decode_ethernet_frame(lying).fate, FrameFate::kMalformed) << "padding is no payload";
  }
  Packet large = ethernet(0x0800, ipv4_tcp(std::string(537, 'x')));
  write_be16(&large[16], 0);
  expect_client4_segment(decode_ethernet_frame(large), std::string(537, 'x'));
}

TEST(FrameLengths, AJumbogramHasTheLengthOfItsOption) {
  constexpr uint32_t kSize = 70000;
  const auto frame = [](uint32_t claimed, int type = 0xc2) {
    const Packet option = bytes({6, 0, type, 4}) + be32(claimed);
    Packet packet = ipv6_tcp(tcp(std::string(kSize, 'j')), 0, option);
    write_be16(&packet[4], 0);
    return ethernet(0x86dd, packet);
  };
  constexpr uint32_t kHeaders = 8 + 20;
  expect_client_segment(decode_ethernet_frame(frame(kHeaders + kSize)), std::string(kSize, 'j'));
  expect_client_segment(decode_ethernet_frame(frame(kHeaders + kSize - 3)),
                        std::string(kSize - 3, 'j'));
  EXPECT_EQ(decode_ethernet_frame(frame(kHeaders + kSize + 1)).fate, FrameFate::kMalformed);
  EXPECT_EQ(decode_ethernet_frame(frame(UINT32_MAX)).fate, FrameFate::kMalformed);
  EXPECT_EQ(decode_ethernet_frame(frame(65535)).fate, FrameFate::kMalformed);
  // Another option: then it is segmentation offload.
  expect_client_segment(decode_ethernet_frame(frame(5, 0x1e)), std::string(kSize, 'j'));
}

TEST(FrameLengths, AUdpLengthOfZeroMeansTheRestAndOneBelowTheHeaderIsALie) {
  Packet packet =
      ipv4_udp(50000, 4789, bytes({8, 0, 0, 0, 0, 0, 7, 0}) + ethernet(0x0800, ipv4_tcp("v")));
  for (const uint32_t length : {0u, 1u, 7u}) {
    write_be16(&packet[24], length);
    EXPECT_EQ(decode(LinkType::kRaw, packet).fate,
              length == 0 ? FrameFate::kSegment : FrameFate::kMalformed);
  }
}

// --- TCP options that were cut ---------------------------------------------------------------

TEST(FrameLengths, TheFixedHeaderIsEnoughWhenTheOptionsWereCut) {
  TcpFields fields;
  fields.options = bytes({2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7});
  struct {
    Packet frame;
    size_t tcp_at;
  } const wholes[] = {
      {ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, text(kPayload)))), 14 + 20},
      {ethernet(0x8100, be16(5) + be16(0x86dd) + ipv6_tcp(tcp(fields, text(kPayload)))),
       14 + 4 + 40}};
  for (const auto& [whole, tcp_at] : wholes) {
    for (size_t size = tcp_at; size < tcp_at + 40; ++size) {
      SCOPED_TRACE(size);
      const Packet kept(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      const auto decoded = decode_ethernet_frame(kept, {}, whole.size());
      if (size < tcp_at + 20) {
        EXPECT_EQ(decoded.fate, FrameFate::kMalformed);
        continue;
      }
      ASSERT_EQ(decoded.fate, FrameFate::kSegment);
      EXPECT_EQ(decoded.segment.sequence, 1000u);
      EXPECT_EQ(decoded.segment.acknowledgment, 2000u);
      EXPECT_EQ(decoded.segment.payload_size, 0u);
      EXPECT_EQ(decoded.segment.payload_wire_size, kPayload.size());
      EXPECT_EQ(decoded.segment.maximum_segment_size, size < tcp_at + 24 ? 0 : 1460);
      EXPECT_EQ(decoded.segment.window_scale, kNoWindowScale);
    }
  }
}

TEST(FrameLengths, AnAcknowledgmentWithoutPayloadIsNotCutByTheCutOfItsOptions) {
  TcpFields fields;
  fields.options = bytes({1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9});
  const Packet whole = ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, {})));
  const Packet kept(whole.begin(), whole.begin() + 14 + 20 + 20);
  const auto decoded = decode_ethernet_frame(kept, {}, whole.size());
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.segment.payload_wire_size, 0u);
  // The same frame, uncut: the header is longer than its packet.
  Packet lying = kept;
  write_be16(&lying[16], 40);
  EXPECT_EQ(decode_ethernet_frame(lying).fate, FrameFate::kMalformed);
}

}  // namespace
}  // namespace tcp_sniffer::frame_lengths_test
