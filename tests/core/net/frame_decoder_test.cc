// Frames to segments: Ethernet, IP, TCP. Link layers are in link_decoder_test.cc, tunnels in
// tunnel_test.cc.

#include "core/net/frame_decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "support/decode_one.h"

namespace tcp_sniffer::frame_decoder_test {
namespace {

using namespace packets;

// --- Ethernet, IPv4, TCP ---------------------------------------------------------------------

TEST(FrameDecoder, PlainFrameFillsEveryField) {
  TcpFields fields;
  fields.flags = kTcpAck | kTcpPsh;
  Ipv4Fields ip;
  ip.id = 777;
  ip.ttl = 57;
  const Decoded decoded =
      decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(ip, tcp(fields, text("GET / HTTP/1.1")))));
  expect_client4_segment(decoded, "GET / HTTP/1.1");
  const Segment& segment = decoded.segment;
  EXPECT_EQ(segment.sequence, 1000u);
  EXPECT_EQ(segment.acknowledgment, 2000u);
  EXPECT_EQ(segment.flags, kTcpAck | kTcpPsh);
  EXPECT_EQ(segment.window, 512);
  EXPECT_EQ(segment.ip_id, 777);
  EXPECT_EQ(segment.ttl, 57);
  EXPECT_EQ(segment.vlan, 0);
  EXPECT_EQ(segment.key.vlan, 0);
  EXPECT_EQ(segment.key.tunnel_kind, TunnelKind::kNone);
  EXPECT_EQ(segment.maximum_segment_size, 0);
  EXPECT_EQ(segment.window_scale, kNoWindowScale);
  EXPECT_EQ(segment.timestamp_value, 0u);
}

TEST(FrameDecoder, FieldsOfAnEarlierFrameDoNotStay) {
  Segment segment;
  std::memset(static_cast<void*>(&segment), 0xee, sizeof(segment));
  Fragment fragment;
  const Packet plain = ethernet(0x0800, ipv4_tcp("x"));
  const Packet tagged = ethernet(0x8100, be16(5) + be16(0x0800) + ipv4_tcp("x"));
  const FrameDecoder decoder{DecodeOptions{}};
  Segment other;
  ASSERT_EQ(decoder.decode(LinkType::kEthernet, plain, 0, segment, fragment), FrameFate::kSegment);
  ASSERT_EQ(decoder.decode(LinkType::kEthernet, plain, 0, other, fragment), FrameFate::kSegment);
  EXPECT_EQ(segment.key, other.key);
  EXPECT_EQ(segment.vlan, 0);
  EXPECT_EQ(segment.maximum_segment_size, 0);
  EXPECT_EQ(segment.payload_size, 1u);
  EXPECT_EQ(segment.payload_wire_size, 1u);
  std::memset(static_cast<void*>(&segment), 0xee, sizeof(segment));
  ASSERT_EQ(decoder.decode(LinkType::kEthernet, tagged, 0, segment, fragment), FrameFate::kSegment);
  EXPECT_EQ(segment.key, other.key);
  EXPECT_EQ(segment.window_scale, kNoWindowScale);
}

TEST(FrameDecoder, BothDirectionsMeetInOneKey) {
  Ipv4Fields back;
  back.source = kServer4;
  back.destination = kClient4;
  TcpFields ports;
  ports.source_port = 80;
  ports.destination_port = 40000;
  const Decoded there = decode_ethernet_frame(ethernet(0x0800, ipv4_tcp("a")));
  const Decoded here =
      decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(back, tcp(ports, text("b")))));
  EXPECT_EQ(there.segment.key, here.segment.key);
  EXPECT_EQ(there.segment.side, Side::kLow);
  EXPECT_EQ(here.segment.side, Side::kHigh);
}

TEST(FrameDecoder, PortsDecideTheOrderOfEqualAddresses) {
  Ipv4Fields ip;
  ip.destination = kClient4;
  const Decoded decoded = decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(ip, tcp("x"))));
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.segment.key.low_port, 80);
  EXPECT_EQ(decoded.segment.key.high_port, 40000);
  EXPECT_EQ(decoded.segment.side, Side::kHigh);
}

TEST(FrameDecoder, FastAndGeneralPathAgree) {
  // The same packet behind a VLAN tag, and with checksums verified, takes the general path.
  DecodeOptions verify;
  verify.verify_checksums = true;
  TcpFields fields;
  fields.options = bytes({1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9});
  for (const uint16_t first_port : {uint16_t{1}, uint16_t{40000}, uint16_t{65535}}) {
    fields.source_port = first_port;
    for (const Ipv4Address address : {kClient4, kServer4, Ipv4Address{{200, 1, 1, 1}}}) {
      Ipv4Fields ip;
      ip.source = address;
      const Packet packet = ipv4_tcp(ip, tcp(fields, text("payload")));
      const Decoded fast = decode_ethernet_frame(ethernet(0x0800, packet));
      const Decoded general = decode_ethernet_frame(ethernet(0x0800, packet), verify);
      ASSERT_EQ(fast.fate, FrameFate::kSegment);
      ASSERT_EQ(general.fate, FrameFate::kSegment);
      EXPECT_EQ(fast.segment.key, general.segment.key);
      EXPECT_EQ(fast.segment.side, general.segment.side);
      EXPECT_EQ(fast.segment.timestamp_value, general.segment.timestamp_value);
      EXPECT_EQ(fast.segment.payload_wire_size, general.segment.payload_wire_size);
    }
  }
}

TEST(FrameDecoder, EthernetPaddingIsNotPayload) {
  Packet frame = ethernet(0x0800, ipv4_tcp(""));
  frame.resize(60, 0xaa);
  expect_client4_segment(decode_ethernet_frame(frame), "");
}

TEST(FrameDecoder, Ipv4OptionsAreSkipped) {
  Ipv4Fields ip;
  ip.options = bytes({0x94, 4, 0, 0, 1, 1, 1, 0});  // router alert
  expect_client4_segment(decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(ip, tcp("hello")))),
                         "hello");
}

TEST(FrameDecoder, TotalLengthZeroMeansTheRestOfTheFrame) {
  Packet frame = ethernet(0x0800, ipv4_tcp(std::string(3000, 'x')));
  write_be16(&frame[14 + 2], 0);
  expect_client4_segment(decode_ethernet_frame(frame), std::string(3000, 'x'));
}

TEST(FrameDecoder, TotalLengthZeroCutByTheSnaplenKeepsTheSizeOnTheWire) {
  Packet frame = ethernet(0x0800, ipv4_tcp(std::string(3000, 'x')));
  const size_t wire_size = frame.size();
  write_be16(&frame[14 + 2], 0);
  frame.resize(100);
  const Decoded decoded = decode_ethernet_frame(frame, {}, wire_size);
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.segment.payload_size, 100u - 54u);
  EXPECT_EQ(decoded.segment.payload_wire_size, 3000u);
}

TEST(FrameDecoder, SnaplenCutsThePayloadOnly) {
  Packet frame = ethernet(0x0800, ipv4_tcp("0123456789"));
  const size_t wire_size = frame.size();
  frame.resize(frame.size() - 6);
  const Decoded decoded = decode_ethernet_frame(frame, {}, wire_size);
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.payload(), "0123");
  EXPECT_EQ(decoded.segment.payload_wire_size, 10u);
}

TEST(FrameDecoder, EveryCutOfAPlainFrameIsASegmentOrMalformedOrNotIp) {
  const Packet frame = ethernet(0x0800, ipv4_tcp("0123456789"));
  for (size_t size = 0; size < frame.size(); ++size) {
    const Packet cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
    const FrameFate fate = decode_ethernet_frame(cut, {}, frame.size()).fate;
    const FrameFate expected = size < 14   ? FrameFate::kNotIp
                               : size < 54 ? FrameFate::kMalformed
                                           : FrameFate::kSegment;
    EXPECT_EQ(fate, expected) << "cut at " << size;
  }
}

TEST(FrameDecoder, TcpHeaderBeyondThePacketIsMalformed) {
  Packet frame = ethernet(0x0800, ipv4_tcp(""));
  frame[14 + 20 + 12] = 0xf0;  // 60 bytes of header in 20 bytes
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kMalformed);
  frame[14 + 20 + 12] = 0x40;  // 16 bytes
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kMalformed);
}

TEST(FrameDecoder, Ipv4HeaderThatContradictsItselfIsMalformed) {
  Packet frame = ethernet(0x0800, ipv4_tcp("x"));
  frame[14] = 0x44;  // 16 bytes of header
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kMalformed);
  frame[14] = 0x45;
  write_be16(&frame[14 + 2], 19);  // total length below the header
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kMalformed);
  write_be16(&frame[14 + 2], 41);
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kSegment);
  frame[14] = 0x75;  // version 7
  EXPECT_EQ(decode_ethernet_frame(frame).fate, FrameFate::kMalformed);
}

TEST(FrameDecoder, OtherProtocolsAreNotTcp) {
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x0800, ipv4_udp(53, 53, text("dns")))).fate,
            FrameFate::kNotTcp);
  // A TCP header quoted in an ICMP error.
  Ipv4Fields icmp;
  icmp.protocol = 1;
  const Packet quoted = ipv4(icmp, bytes({3, 1, 0, 0, 0, 0, 0, 0}) + ipv4_tcp(""));
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x0800, quoted)).fate, FrameFate::kNotTcp);
}

TEST(FrameDecoder, FramesWithoutIpAreNotIp) {
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x0806, Packet(28, 0))).fate, FrameFate::kNotIp);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x88cc, Packet(50, 0))).fate, FrameFate::kNotIp);
  EXPECT_EQ(decode_ethernet_frame(Packet(13, 0)).fate, FrameFate::kNotIp);
  EXPECT_EQ(decode_ethernet_frame(Packet{}).fate, FrameFate::kNotIp);
}

// --- TCP options -----------------------------------------------------------------------------

TEST(FrameDecoder, SynOptionsAreRead) {
  TcpFields fields;
  fields.flags = kTcpSyn;
  fields.options = bytes({2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7});
  const Decoded decoded =
      decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, {}))));
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.segment.maximum_segment_size, 1460);
  EXPECT_EQ(decoded.segment.window_scale, 7);
  EXPECT_EQ(decoded.segment.timestamp_value, 0x00010203u);
}

TEST(FrameDecoder, OptionsThatNobodyReadsArePassedOver) {
  TcpFields fields;
  fields.options = bytes({1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 3, 3, 7});
  const Decoded decoded =
      decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, {}))));
  EXPECT_EQ(decoded.segment.window_scale, 7);
}

TEST(FrameDecoder, WindowScaleAboveFourteenCountsAsFourteen) {
  TcpFields fields;
  fields.options = bytes({3, 3, 200});
  const Decoded decoded =
      decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, {}))));
  EXPECT_EQ(decoded.segment.window_scale, 14);
}

TEST(FrameDecoder, BrokenOptionsEndTheOptionsNotTheSegment) {
  for (const Packet& options : {bytes({2, 0, 0, 0}), bytes({2, 1, 0, 0}), bytes({2, 40, 0, 0}),
                                bytes({1, 1, 1, 2}), bytes({0, 2, 4, 9})}) {
    TcpFields fields;
    fields.options = options;
    const Decoded decoded =
        decode_ethernet_frame(ethernet(0x0800, ipv4_tcp(Ipv4Fields{}, tcp(fields, text("data")))));
    ASSERT_EQ(decoded.fate, FrameFate::kSegment);
    EXPECT_EQ(decoded.payload(), "data");
    EXPECT_EQ(decoded.segment.maximum_segment_size, 0);
  }
}

// --- Checksums -------------------------------------------------------------------------------

TEST(FrameDecoder, ChecksumsAreOnlyVerifiedWhenAsked) {
  DecodeOptions verify;
  verify.verify_checksums = true;
  const Packet good = ethernet(0x0800, ipv4_tcp("odd"));
  EXPECT_EQ(decode_ethernet_frame(good, verify).fate, FrameFate::kSegment);
  Packet bad_tcp = good;
  bad_tcp.back() ^= 1;
  EXPECT_EQ(decode_ethernet_frame(bad_tcp).fate, FrameFate::kSegment);
  EXPECT_EQ(decode_ethernet_frame(bad_tcp, verify).fate, FrameFate::kBadChecksum);
  Packet bad_ip = good;
  bad_ip[14 + 8] ^= 1;  // TTL
  EXPECT_EQ(decode_ethernet_frame(bad_ip).fate, FrameFate::kSegment);
  EXPECT_EQ(decode_ethernet_frame(bad_ip, verify).fate, FrameFate::kBadChecksum);
}

TEST(FrameDecoder, OffloadedChecksumIsABadOne) {
  // What a sending host's own capture shows: the sum of the pseudo-header only.
  DecodeOptions verify;
  verify.verify_checksums = true;
  Packet frame = ethernet(0x0800, ipv4_tcp("data"));
  const Packet pseudo = packed(kClient4) + packed(kServer4) + be16(6) + be16(24);
  // Inverted before it is written, so that the sum itself stands there.
  write_checksum(&frame[14 + 20 + 16], 0xffffU ^ fold(ones_sum(pseudo)));
  EXPECT_EQ(decode_ethernet_frame(frame, verify).fate, FrameFate::kBadChecksum);
}

TEST(FrameDecoder, CutSegmentsCanNotBeVerified) {
  DecodeOptions verify;
  verify.verify_checksums = true;
  Packet frame = ethernet(0x0800, ipv4_tcp("0123456789"));
  const size_t wire_size = frame.size();
  frame.pop_back();
  EXPECT_EQ(decode_ethernet_frame(frame, verify, wire_size).fate, FrameFate::kSegment);
}

TEST(FrameDecoder, Ipv6ChecksumIsVerified) {
  DecodeOptions verify;
  verify.verify_checksums = true;
  Packet frame = ethernet(0x86dd, ipv6_tcp(tcp("six")));
  EXPECT_EQ(decode_ethernet_frame(frame, verify).fate, FrameFate::kSegment);
  frame.back() ^= 0x80;
  EXPECT_EQ(decode_ethernet_frame(frame, verify).fate, FrameFate::kBadChecksum);
}

// --- IPv6 ------------------------------------------------------------------------------------

TEST(FrameDecoder, Ipv6SegmentsHaveTheirAddressesInTheKey) {
  const Decoded decoded = decode_ethernet_frame(ethernet(0x86dd, ipv6_tcp(tcp("six"))));
  expect_client_segment(decoded, "six");
  EXPECT_EQ(decoded.segment.key.low_ip, ipv6_address(1));
  EXPECT_EQ(decoded.segment.key.high_ip, ipv6_address(2));
  EXPECT_EQ(decoded.segment.ttl, 63);
}

TEST(FrameDecoder, ExtensionHeadersAreSkipped) {
  const Packet hop_by_hop = bytes({60, 0, 1, 4, 0, 0, 0, 0});
  const Packet destination_options = bytes({43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const Packet routing = bytes({51, 0, 4, 0, 0, 0, 0, 0});
  const Packet authentication =
      bytes({6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const Packet extensions = hop_by_hop + destination_options + routing + authentication;
  expect_client_segment(
      decode_ethernet_frame(ethernet(0x86dd, ipv6_tcp(tcp("deep"), 0, extensions))), "deep");
}

TEST(FrameDecoder, AtomicFragmentIsProcessedAlone) {
  const Packet fragment_header = bytes({6, 0, 0, 0, 0, 0, 0, 7});
  expect_client_segment(
      decode_ethernet_frame(ethernet(0x86dd, ipv6_tcp(tcp("atom"), 44, fragment_header))), "atom");
}

TEST(FrameDecoder, PayloadLengthZeroMeansTheRestOfTheFrame) {
  Packet frame = ethernet(0x86dd, ipv6_tcp(tcp(std::string(3000, 'y'))));
  write_be16(&frame[14 + 4], 0);
  expect_client_segment(decode_ethernet_frame(frame), std::string(3000, 'y'));
}

TEST(FrameDecoder, JumbogramsAreRead) {
  const Packet jumbo_option = bytes({6, 0, 0xc2, 4}) + be32(8 + 20 + 70000);
  Packet frame = ethernet(0x86dd, ipv6_tcp(tcp(std::string(70000, 'j')), 0, jumbo_option));
  write_be16(&frame[14 + 4], 0);
  expect_client_segment(decode_ethernet_frame(frame), std::string(70000, 'j'));
}

TEST(FrameDecoder, Ipv6WithoutTcpIsNotTcp) {
  const IpAddress a = ipv6_address(1);
  const IpAddress b = ipv6_address(2);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x86dd, ipv6(58, a, b, Packet(60, 0)))).fate,
            FrameFate::kNotTcp);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x86dd, ipv6(59, a, b, {}))).fate, FrameFate::kNotTcp);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x86dd, ipv6(50, a, b, Packet(60, 0)))).fate,
            FrameFate::kNotTcp);
}

TEST(FrameDecoder, ExtensionHeaderBeyondThePacketIsMalformed) {
  const Packet packet = ipv6(0, ipv6_address(1), ipv6_address(2), bytes({6, 9, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x86dd, packet)).fate, FrameFate::kMalformed);
}

TEST(FrameDecoder, EndlessExtensionHeadersEnd) {
  Packet extensions;
  for (int i = 0; i < 200; ++i) extensions = extensions + bytes({60, 0, 1, 4, 0, 0, 0, 0});
  const Packet packet = ipv6_tcp(tcp("x"), 60, extensions);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x86dd, packet)).fate, FrameFate::kTunnelTooDeep);
}

// --- Fragments -------------------------------------------------------------------------------

TEST(FrameDecoder, Ipv4FragmentIsDescribed) {
  Ipv4Fields ip;
  ip.id = 99;
  ip.fragment = 0x2000 | 185;
  const Packet frame = ethernet(0x8100, be16(7) + be16(0x0800) + ipv4(ip, Packet(1480, 'f')));
  const Decoded decoded = decode_ethernet_frame(frame);
  ASSERT_EQ(decoded.fate, FrameFate::kFragment);
  const Fragment& fragment = decoded.fragment;
  EXPECT_EQ(fragment.source, mapped(kClient4));
  EXPECT_EQ(fragment.destination, mapped(kServer4));
  EXPECT_EQ(fragment.id, 99u);
  EXPECT_EQ(fragment.offset, 1480u);
  EXPECT_TRUE(fragment.more);
  EXPECT_EQ(fragment.protocol, 6);
  EXPECT_EQ(fragment.ip_version, 4);
  EXPECT_EQ(fragment.vlan, 7);
  EXPECT_EQ(fragment.data.size(), 1480u);
  EXPECT_EQ(fragment.wire_size, 1480u);
}

TEST(FrameDecoder, Ipv6FragmentIsDescribed) {
  const Packet header = bytes({6, 0, 0x05, 0xa9, 0, 1, 0, 2});  // offset 1448, more
  const Packet packet = ipv6(44, ipv6_address(1), ipv6_address(2), header + Packet(800, 'f'));
  const Decoded decoded = decode_ethernet_frame(ethernet(0x86dd, packet));
  ASSERT_EQ(decoded.fate, FrameFate::kFragment);
  EXPECT_EQ(decoded.fragment.id, 0x00010002u);
  EXPECT_EQ(decoded.fragment.offset, 1448u);
  EXPECT_TRUE(decoded.fragment.more);
  EXPECT_EQ(decoded.fragment.ip_version, 6);
  EXPECT_EQ(decoded.fragment.protocol, 6);
  EXPECT_EQ(decoded.fragment.data.size(), 800u);
}

TEST(FrameDecoder, FragmentCutByTheSnaplenKeepsItsSizeOnTheWire) {
  Ipv4Fields ip;
  ip.fragment = 0x2000;
  Packet frame = ethernet(0x0800, ipv4(ip, Packet(1480, 'f')));
  const size_t wire_size = frame.size();
  frame.resize(96);
  const Decoded decoded = decode_ethernet_frame(frame, {}, wire_size);
  ASSERT_EQ(decoded.fate, FrameFate::kFragment);
  EXPECT_EQ(decoded.fragment.data.size(), 62u);
  EXPECT_EQ(decoded.fragment.wire_size, 1480u);
}

TEST(FrameDecoder, FragmentsThatCanNotCarryTcpAreNotTcp) {
  Ipv4Fields ip;
  ip.fragment = 0x2000;
  ip.protocol = 1;
  const Packet icmp = ethernet(0x0800, ipv4(ip, Packet(64, 0)));
  EXPECT_EQ(decode_ethernet_frame(icmp).fate, FrameFate::kNotTcp);
  ip.protocol = kUdpProtocol;
  const Packet udp_fragment = ethernet(0x0800, ipv4(ip, Packet(64, 0)));
  EXPECT_EQ(decode_ethernet_frame(udp_fragment).fate, FrameFate::kFragment);
  DecodeOptions without_tunnels;
  without_tunnels.tunnels = false;
  EXPECT_EQ(decode_ethernet_frame(udp_fragment, without_tunnels).fate, FrameFate::kNotTcp);
}

TEST(FrameDecoder, FinishedDatagramGoesOnBehindItsHeader) {
  const Packet segment_bytes = tcp("reassembled");
  Fragment header;
  header.source = mapped(kClient4);
  header.destination = mapped(kServer4);
  header.protocol = 6;
  header.ip_version = 4;
  header.vlan = 12;
  header.ip_id = 5;
  header.ttl = 61;
  header.tunnel = {TunnelKind::kVxlan, 9, 10};
  header.wire_size = static_cast<uint32_t>(segment_bytes.size());
  Decoded decoded;
  const FrameDecoder decoder{DecodeOptions{}};
  decoded.fate = decoder.decode_datagram(header, segment_bytes, decoded.segment, decoded.fragment);
  expect_client4_segment(decoded, "reassembled");
  EXPECT_EQ(decoded.segment.vlan, 12);
  EXPECT_EQ(decoded.segment.ttl, 61);
  EXPECT_EQ(decoded.segment.ip_id, 5);
  EXPECT_EQ(decoded.segment.key.tunnel_kind, TunnelKind::kVxlan);
  EXPECT_EQ(decoded.segment.key.tunnel_id, 9u);
  EXPECT_EQ(decoded.segment.tunnel_public_id, 10u);

  header.wire_size += 100;
  decoded.fate = decoder.decode_datagram(header, segment_bytes, decoded.segment, decoded.fragment);
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.segment.payload_size, 11u);
  EXPECT_EQ(decoded.segment.payload_wire_size, 111u);
}

}  // namespace
}  // namespace tcp_sniffer::frame_decoder_test
