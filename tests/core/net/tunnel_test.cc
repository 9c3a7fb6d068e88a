// Tunnels: every family once around a TCP segment, and what must not be taken for one.

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "support/decode_one.h"

namespace tcp_sniffer::tunnel_test {
namespace {

using namespace packets;

Decoded decode_ip(const Packet& packet, const DecodeOptions& options = {}) {
  return decode(LinkType::kRaw, packet, options);
}

DecodeOptions without_tunnels() {
  DecodeOptions options;
  options.tunnels = false;
  return options;
}

void expect_tunnel(const Decoded& decoded, Encapsulation encapsulation, TunnelKind kind) {
  EXPECT_EQ(decoded.counters.get(encapsulation), 1u);
  EXPECT_EQ(decoded.segment.key.tunnel_kind, kind);
}

Packet inner_ethernet(const char* payload) {
  return ethernet(0x0800, ipv4_tcp(payload));
}

// --- IP in IP --------------------------------------------------------------------------------

TEST(Tunnel, IpInIpOfEveryCombination) {
  const IpAddress a = ipv6_address(0xa);
  const IpAddress b = ipv6_address(0xb);
  const Decoded v4_in_v4 = decode_ip(ipv4_tunnel(4, ipv4_tcp("ipip")));
  expect_client4_segment(v4_in_v4, "ipip");
  expect_tunnel(v4_in_v4, Encapsulation::kIpInIp, TunnelKind::kIpInIp);
  expect_client_segment(decode_ip(ipv4_tunnel(41, ipv6_tcp(tcp("6in4")))), "6in4");
  expect_client4_segment(decode_ip(ipv6(4, a, b, ipv4_tcp("4in6"))), "4in6");
  expect_client_segment(decode_ip(ipv6(41, a, b, ipv6_tcp(tcp("6in6")))), "6in6");
}

TEST(Tunnel, EthernetAndMplsInIp) {
  const Decoded ether_ip = decode_ip(ipv4_tunnel(97, bytes({0x30, 0}) + inner_ethernet("eoip")));
  expect_client4_segment(ether_ip, "eoip");
  expect_tunnel(ether_ip, Encapsulation::kEtherIp, TunnelKind::kEtherIp);
  EXPECT_EQ(decode_ip(ipv4_tunnel(97, bytes({0x20, 0}) + inner_ethernet("x"))).fate,
            FrameFate::kNotTcp);
  expect_client4_segment(decode_ip(ipv4_tunnel(137, bytes({0, 1, 1, 64}) + ipv4_tcp("mpls"))),
                         "mpls");
  expect_client4_segment(
      decode_ip(ipv6(143, ipv6_address(3), ipv6_address(4), inner_ethernet("srv6"))), "srv6");
}

// --- GRE -------------------------------------------------------------------------------------

TEST(Tunnel, GreWithItsOptionalFields) {
  const Decoded plain = decode_ip(ipv4_tunnel(47, bytes({0, 0, 8, 0}) + ipv4_tcp("gre")));
  expect_client4_segment(plain, "gre");
  expect_tunnel(plain, Encapsulation::kGre, TunnelKind::kGre);
  const Packet all = bytes({0xb0, 0, 8, 0}) + be32(0xabcd0000) + be32(77) + be32(5);
  const Decoded full = decode_ip(ipv4_tunnel(47, all + ipv4_tcp("gre")));
  expect_client4_segment(full, "gre");
  expect_tunnel(full, Encapsulation::kGre, TunnelKind::kGre);
  expect_client_segment(
      decode_ip(ipv4_tunnel(47, bytes({0, 0, 0x86, 0xdd}) + ipv6_tcp(tcp("gre6")))), "gre6");
  expect_client4_segment(
      decode_ip(ipv4_tunnel(47, bytes({0, 0, 0x88, 0x47, 0, 1, 1, 64}) + ipv4_tcp("mpls"))),
      "mpls");
}

TEST(Tunnel, KeyIsLeftOutWhenNotAsked) {
  DecodeOptions options;
  options.key_tunnel = false;
  const Packet packet = ipv4_tunnel(47, bytes({0x20, 0, 8, 0}) + be32(77) + ipv4_tcp("gre"));
  const Decoded decoded = decode_ip(packet, options);
  expect_client4_segment(decoded, "gre");
  expect_tunnel(decoded, Encapsulation::kGre, TunnelKind::kNone);
  EXPECT_EQ(decoded.segment.key, decode_ip(ipv4_tcp("gre")).segment.key);
}

TEST(Tunnel, NvgreFlowNumberIsNoPartOfTheKey) {
  const Packet there = bytes({0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 0xaa}) + inner_ethernet("nv");
  const Packet back = bytes({0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 0xbb}) + inner_ethernet("nv");
  const Decoded first = decode_ip(ipv4_tunnel(47, there));
  expect_client4_segment(first, "nv");
  expect_tunnel(first, Encapsulation::kGre, TunnelKind::kGre);
  EXPECT_EQ(first.segment.key, decode_ip(ipv4_tunnel(47, back)).segment.key);
}

TEST(Tunnel, GreThatIsNotFollowed) {
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0x40, 0, 8, 0}) + Packet(40, 0))).fate,
            FrameFate::kNotTcp);  // source routes
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0, 2, 8, 0}) + ipv4_tcp("x"))).fate,
            FrameFate::kNotTcp);  // version 2
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0, 0, 8, 6}) + Packet(28, 0))).fate,
            FrameFate::kNotTcp);  // ARP
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0xb0, 0, 8, 0, 0, 0}))).fate, FrameFate::kNotTcp);
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0, 0, 8, 0}) + Packet(30, 0x77))).fate,
            FrameFate::kMalformed);  // claims to be IPv4
}

TEST(Tunnel, PptpCarriesPpp) {
  const Packet ppp = bytes({0xff, 3, 0, 0x21}) + ipv4_tcp("pptp");
  const Packet header = bytes({0x30, 0x81, 0x88, 0x0b}) + be16(static_cast<uint32_t>(ppp.size())) +
                        be16(9) + be32(1) + be32(2);
  const Decoded decoded = decode_ip(ipv4_tunnel(47, header + ppp));
  expect_client4_segment(decoded, "pptp");
  expect_tunnel(decoded, Encapsulation::kPptp, TunnelKind::kPptp);
  const Packet acknowledgment = bytes({0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9}) + be32(2);
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, acknowledgment)).fate, FrameFate::kNotTcp);
}

TEST(Tunnel, ErspanOfEveryType) {
  const Packet type_1 = bytes({0, 0, 0x88, 0xbe});
  const Packet type_2 = bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000001) + be32(0);
  const Packet type_3 =
      bytes({0x10, 0, 0x22, 0xeb}) + be32(1) + be32(0x20000001) + be32(0) + bytes({0, 0, 0, 0});
  const Packet with_platform = bytes({0x10, 0, 0x22, 0xeb}) + be32(1) + be32(0x20000001) + be32(0) +
                               bytes({0, 0, 0, 1}) + Packet(8, 0);
  for (const Packet& header : {type_1, type_2, type_3, with_platform}) {
    const Decoded decoded = decode_ip(ipv4_tunnel(47, header + inner_ethernet("mirror")));
    expect_client4_segment(decoded, "mirror");
    expect_tunnel(decoded, Encapsulation::kErspan, TunnelKind::kErspan);
  }
  const Packet ip_frame =
      bytes({0x10, 0, 0x22, 0xeb}) + be32(1) + be32(0x20000001) + be32(0) + bytes({0, 0, 0x08, 0});
  expect_client4_segment(decode_ip(ipv4_tunnel(47, ip_frame + ipv4_tcp("mirror"))), "mirror");
}

TEST(Tunnel, AccessPointsSendWifiFramesInGre) {
  const Packet wifi = bytes({0x08, 0x01, 0, 0}) + Packet(18, 2) + bytes({0x10, 0}) +
                      bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + ipv4_tcp("aruba");
  expect_client4_segment(decode_ip(ipv4_tunnel(47, bytes({0, 0, 0x82, 0}) + wifi)), "aruba");
}

TEST(Tunnel, WccpRedirectsIp) {
  const Packet version_2 = bytes({0, 0, 0x88, 0x3e, 0, 0, 0, 0});
  expect_client4_segment(decode_ip(ipv4_tunnel(47, version_2 + ipv4_tcp("cache"))), "cache");
  const Packet version_1 = bytes({0, 0, 0x88, 0x3e});
  expect_client4_segment(decode_ip(ipv4_tunnel(47, version_1 + ipv4_tcp("cache"))), "cache");
}

// --- UDP tunnels -----------------------------------------------------------------------------

struct UdpTunnel {
  const char* name;
  uint16_t port;
  Packet payload;
  Encapsulation encapsulation;
  TunnelKind kind;
};

std::vector<UdpTunnel> udp_tunnels() {
  const Packet teredo_authentication = bytes({0, 1, 2, 3}) + Packet(5, 7) + Packet(9, 0);
  const Packet teredo_origin = bytes({0, 0, 1, 2, 3, 4, 5, 6});
  const Packet geneve_option = bytes({1, 2, 3, 1, 9, 9, 9, 9});
  const Packet ppp = bytes({0xff, 3, 0, 0x21}) + ipv4_tcp("in");
  const Packet gtp_extensions =
      be16(7) + bytes({0, 0x85}) + bytes({1, 0, 0, 0xc0}) + bytes({1, 1, 2, 0}) + ipv4_tcp("in");
  const auto gtp_size = static_cast<uint32_t>(gtp_extensions.size());
  const auto ip_size = static_cast<uint32_t>(ipv4_tcp("in").size());
  const auto l2tp_size = static_cast<uint32_t>(ppp.size() + 16);
  return {
      {"vxlan", 4789, bytes({8, 0, 0, 0, 0, 1, 2, 0}) + inner_ethernet("in"), Encapsulation::kVxlan,
       TunnelKind::kVxlan},
      {"vxlan with group policy", 8472, bytes({0x88, 0, 0, 5, 0, 1, 2, 0}) + inner_ethernet("in"),
       Encapsulation::kVxlan, TunnelKind::kVxlan},
      {"geneve with ethernet and an option", 6081,
       bytes({2, 0, 0x65, 0x58, 0, 0, 9, 0}) + geneve_option + inner_ethernet("in"),
       Encapsulation::kGeneve, TunnelKind::kGeneve},
      {"geneve with ip", 6081, bytes({0, 0, 8, 0, 0, 0, 9, 0}) + ipv4_tcp("in"),
       Encapsulation::kGeneve, TunnelKind::kGeneve},
      {"gtp", 2152, bytes({0x30, 255}) + be16(ip_size) + be32(4711) + ipv4_tcp("in"),
       Encapsulation::kGtp, TunnelKind::kGtp},
      {"gtp with extension headers", 2152,
       bytes({0x36, 255}) + be16(gtp_size) + be32(4711) + gtp_extensions, Encapsulation::kGtp,
       TunnelKind::kGtp},
      {"teredo", 3544, ipv6_tcp(tcp("in")), Encapsulation::kTeredo, TunnelKind::kTeredo},
      {"teredo with indications", 3544, teredo_authentication + teredo_origin + ipv6_tcp(tcp("in")),
       Encapsulation::kTeredo, TunnelKind::kTeredo},
      {"l2tp", 1701, bytes({0, 2, 0, 1, 0, 2}) + ppp, Encapsulation::kL2tp, TunnelKind::kL2tp},
      {"l2tp with every field", 1701,
       be16(0x4a02) + be16(l2tp_size) + be32(0x00010002) + be32(0x00030004) + be16(2) +
           bytes({0, 0}) + ppp,
       Encapsulation::kL2tp, TunnelKind::kL2tp},
      {"ayiya", 5072,
       bytes({0x41, 0x52, 0x11, 41}) + be32(1) + Packet(16, 1) + Packet(20, 2) +
           ipv6_tcp(tcp("in")),
       Encapsulation::kAyiya, TunnelKind::kAyiya},
  };
}

TEST(Tunnel, UdpTunnelsAreKnownByEitherPort) {
  for (const UdpTunnel& tunnel : udp_tunnels()) {
    SCOPED_TRACE(tunnel.name);
    for (const bool is_source : {false, true}) {
      const Packet packet = is_source ? ipv4_udp(tunnel.port, 50000, tunnel.payload)
                                      : ipv4_udp(50000, tunnel.port, tunnel.payload);
      const Decoded decoded = decode_ip(packet);
      expect_client_segment(decoded, "in");
      expect_tunnel(decoded, tunnel.encapsulation, tunnel.kind);
    }
  }
}

TEST(Tunnel, UdpTunnelsNeedTheirPort) {
  for (const UdpTunnel& tunnel : udp_tunnels()) {
    EXPECT_EQ(decode_ip(ipv4_udp(50000, 50001, tunnel.payload)).fate, FrameFate::kNotTcp)
        << tunnel.name;
  }
}

Packet teredo_packet(uint32_t source_prefix, uint32_t destination_prefix, const char* payload) {
  IpAddress source = ipv6_address(1);
  IpAddress destination = ipv6_address(2);
  for (size_t i = 0; i < 4; ++i) {
    source[i] = static_cast<uint8_t>(source_prefix >> (24 - 8 * i));
    destination[i] = static_cast<uint8_t>(destination_prefix >> (24 - 8 * i));
  }
  return ipv6(6, source, destination, tcp(payload));
}

TEST(Tunnel, TeredoIsKnownBetweenAnyPortsByItsAddressAndItsLength) {
  constexpr uint32_t kTeredo = 0x20010000;
  constexpr uint32_t kNative = 0x20010db8;
  const Packet indications[] = {
      {},
      bytes({0, 0, 1, 2, 3, 4, 5, 6}),
      bytes({0, 1, 0, 0}) + Packet(9, 0),
      bytes({0, 1, 2, 3}) + Packet(5, 7) + Packet(9, 0) + bytes({0, 0, 1, 2, 3, 4, 5, 6})};
  for (const Packet& indication : indications) {
    for (const auto& [source, destination] :
         {std::pair{kTeredo, kNative}, std::pair{kNative, kTeredo}, std::pair{kTeredo, kTeredo}}) {
      const Packet payload = indication + teredo_packet(source, destination, "in");
      const Decoded decoded = decode_ip(ipv4_udp(50000, 50001, payload));
      ASSERT_EQ(decoded.fate, FrameFate::kSegment);
      EXPECT_EQ(decoded.payload(), "in");
      expect_tunnel(decoded, Encapsulation::kTeredo, TunnelKind::kTeredo);
      // Cut by the capture: its length is still that of the datagram.
      const Packet whole = ipv4_udp(50000, 50001, payload);
      const Packet cut(whole.begin(), whole.end() - 2);
      EXPECT_EQ(decode(LinkType::kRaw, cut, {}, whole.size()).fate, FrameFate::kSegment);
      // One byte too many, and one too few.
      EXPECT_EQ(decode_ip(ipv4_udp(50000, 50001, payload + Packet(1, 0))).fate, FrameFate::kNotTcp);
      EXPECT_EQ(decode_ip(ipv4_udp(50000, 50001, Packet(payload.begin(), payload.end() - 1))).fate,
                FrameFate::kNotTcp);
    }
    EXPECT_EQ(
        decode_ip(ipv4_udp(50000, 50001, indication + teredo_packet(kNative, kNative, "in"))).fate,
        FrameFate::kNotTcp);
  }
  // Teredo is a tunnel in IPv4.
  const Packet in_ipv6 = ipv6(17, ipv6_address(1), ipv6_address(2),
                              udp(50000, 50001, teredo_packet(kTeredo, kNative, "in")));
  EXPECT_EQ(decode_ip(in_ipv6).fate, FrameFate::kNotTcp);
  EXPECT_EQ(
      decode_ip(ipv4_udp(50000, 50001, teredo_packet(kTeredo, kNative, "in")), without_tunnels())
          .fate,
      FrameFate::kNotTcp);
}

TEST(Tunnel, UdpTunnelsNeedAValidInnerHeader) {
  for (const UdpTunnel& tunnel : udp_tunnels()) {
    SCOPED_TRACE(tunnel.name);
    // The inner packet claims more bytes than the tunnel has.
    Packet cut = tunnel.payload;
    cut.pop_back();
    EXPECT_EQ(decode_ip(ipv4_udp(50000, tunnel.port, cut)).fate, FrameFate::kNotTcp);
    EXPECT_EQ(decode_ip(ipv4_udp(50000, tunnel.port, Packet(90, 0))).fate, FrameFate::kNotTcp);
    for (size_t size = 0; size < tunnel.payload.size(); ++size) {
      const Packet part(tunnel.payload.begin(),
                        tunnel.payload.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_EQ(decode_ip(ipv4_udp(50000, tunnel.port, part)).fate, FrameFate::kNotTcp) << size;
    }
  }
}

TEST(Tunnel, SnaplenCutsTheInnermostPayload) {
  for (const UdpTunnel& tunnel : udp_tunnels()) {
    SCOPED_TRACE(tunnel.name);
    Packet packet = ipv4_udp(50000, tunnel.port, tunnel.payload);
    const size_t wire_size = packet.size();
    packet.pop_back();
    const Decoded decoded = decode(LinkType::kRaw, packet, {}, wire_size);
    ASSERT_EQ(decoded.fate, FrameFate::kSegment);
    EXPECT_EQ(decoded.payload(), "i");
    EXPECT_EQ(decoded.segment.payload_wire_size, 2u);
  }
}

// --- Depth -----------------------------------------------------------------------------------

Packet nested_ip(int depth) {
  Packet packet = ipv4_tcp("deep");
  for (int i = 0; i < depth; ++i) packet = ipv4_tunnel(4, packet);
  return packet;
}

TEST(Tunnel, TunnelsAreFollowedToTheirDepth) {
  expect_client4_segment(decode_ip(nested_ip(4)), "deep");
  EXPECT_EQ(decode_ip(nested_ip(5)).fate, FrameFate::kTunnelTooDeep);
  DecodeOptions options;
  options.tunnel_depth_max = 1;
  expect_client4_segment(decode_ip(nested_ip(1), options), "deep");
  EXPECT_EQ(decode_ip(nested_ip(2), options).fate, FrameFate::kTunnelTooDeep);
}

TEST(Tunnel, FragmentsRememberTheDepthAroundThem) {
  Ipv4Fields fields;
  fields.fragment = 0x2000;
  const Packet vxlan = bytes({8, 0, 0, 0, 0, 0, 7, 0});
  const Packet inner_fragment = ethernet(0x0800, ipv4(fields, Packet(64, 1)));
  const Decoded decoded = decode_ip(ipv4_tunnel(4, ipv4_udp(50000, 4789, vxlan + inner_fragment)));
  ASSERT_EQ(decoded.fate, FrameFate::kFragment);
  EXPECT_EQ(decoded.fragment.depth, 2);
  EXPECT_EQ(decoded.fragment.tunnel.kind, TunnelKind::kVxlan);
  EXPECT_NE(decoded.fragment.tunnel.id, 0u);

  Fragment header = decoded.fragment;
  header.protocol = 4;
  Segment segment;
  Fragment fragment;
  const FrameDecoder decoder{DecodeOptions{}};
  EXPECT_EQ(decoder.decode_datagram(header, nested_ip(1), segment, fragment), FrameFate::kSegment);
  EXPECT_EQ(decoder.decode_datagram(header, nested_ip(2), segment, fragment),
            FrameFate::kTunnelTooDeep);
}

// --- tunnels = false -------------------------------------------------------------------------

TEST(Tunnel, NoTunnelIsOpenedWhenNotAsked) {
  const DecodeOptions options = without_tunnels();
  EXPECT_EQ(decode_ip(nested_ip(1), options).fate, FrameFate::kNotTcp);
  EXPECT_EQ(decode_ip(ipv4_tunnel(47, bytes({0, 0, 8, 0}) + ipv4_tcp("x")), options).fate,
            FrameFate::kNotTcp);
  for (const UdpTunnel& tunnel : udp_tunnels()) {
    EXPECT_EQ(decode_ip(ipv4_udp(50000, tunnel.port, tunnel.payload), options).fate,
              FrameFate::kNotTcp)
        << tunnel.name;
  }
}

TEST(Tunnel, LinkLayerEncapsulationIsOpenedWithoutTunnels) {
  const Packet frame =
      ethernet(0x8100, be16(3) + be16(0x8847) + bytes({0, 1, 1, 64}) + ipv4_tcp("carrier"));
  expect_client4_segment(decode_ethernet_frame(frame, without_tunnels()), "carrier");
}

}  // namespace
}  // namespace tcp_sniffer::tunnel_test
