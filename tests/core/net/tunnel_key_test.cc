// Tunnels in the key: both directions of a connection meet, and nothing else does.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/decode_one.h"

namespace tcp_sniffer::tunnel_key_test {
namespace {

using namespace packets;

constexpr Ipv4Address kLeft = {{192, 0, 2, 1}};
constexpr Ipv4Address kRight = {{192, 0, 2, 2}};
constexpr Ipv4Address kElsewhere = {{203, 0, 113, 9}};

// The connection's packet, in either direction.
Packet inner4(bool is_answer) {
  Ipv4Fields ip;
  TcpFields fields;
  if (is_answer) {
    std::swap(ip.source, ip.destination);
    std::swap(fields.source_port, fields.destination_port);
  }
  return ipv4_tcp(ip, tcp(fields, text("x")));
}

Packet inner6(bool is_answer, uint16_t prefix = 0x2001) {
  IpAddress client = ipv6_address(1);
  client[0] = static_cast<uint8_t>(prefix >> 8);
  client[1] = static_cast<uint8_t>(prefix);
  TcpFields fields;
  if (!is_answer) return ipv6(6, client, ipv6_address(2), tcp(fields, text("x")));
  std::swap(fields.source_port, fields.destination_port);
  return ipv6(6, ipv6_address(2), client, tcp(fields, text("x")));
}

Packet outer4(uint8_t protocol, const Packet& payload, const Ipv4Address& from,
              const Ipv4Address& to) {
  Ipv4Fields ip;
  ip.source = from;
  ip.destination = to;
  ip.protocol = protocol;
  return ipv4(ip, payload);
}

// A kind of tunnel: what lies between its outer IPv4 header and the packet inside. `number` is the
// one that each receiver chooses for itself, or the sender's UDP port.
struct Kind {
  TunnelKind kind;
  std::string name;
  uint8_t protocol;
  std::function<Packet(bool is_answer, int number)> content;
};

Packet udp_to(uint32_t port, int number, const Packet& payload) {
  return udp(50000u + static_cast<uint32_t>(number), port, payload);
}

std::vector<Kind> kinds() {
  const auto frame = [](bool is_answer) { return ethernet(0x0800, inner4(is_answer)); };
  const auto ppp = [](bool is_answer) { return be16(0x0021) + inner4(is_answer); };
  return {
      {TunnelKind::kIpInIp, "ipip", 4, [](bool answer, int) { return inner4(answer); }},
      {TunnelKind::kIpInIp, "6in4", 41, [](bool answer, int) { return inner6(answer); }},
      {TunnelKind::kEtherIp, "etherip", 97,
       [=](bool answer, int) {
         return bytes({0x30, 0}) + frame(answer);
       }},
      {TunnelKind::kGre, "gre", 47,
       [](bool answer, int) {
         return bytes({0, 0, 8, 0}) + inner4(answer);
       }},
      {TunnelKind::kGre, "gre with a key", 47,
       [](bool answer, int) {
         return bytes({0x20, 0, 8, 0}) + be32(77) + inner4(answer);
       }},
      {TunnelKind::kGre, "nvgre", 47,
       [=](bool answer, int number) {
         return bytes({0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, number}) + frame(answer);
       }},
      {TunnelKind::kPptp, "pptp", 47,
       [=](bool answer, int number) {
         const Packet inside = ppp(answer);
         return bytes({0x30, 0x01, 0x88, 0x0b}) + be16(static_cast<uint32_t>(inside.size())) +
                be16(static_cast<uint32_t>(number)) + be32(1) + inside;
       }},
      {TunnelKind::kVxlan, "vxlan", 17,
       [=](bool answer, int number) {
         return udp_to(4789, number, bytes({8, 0, 0, 0, 0, 0, 7, 0}) + frame(answer));
       }},
      {TunnelKind::kGeneve, "geneve", 17,
       [](bool answer, int number) {
         return udp_to(6081, number, bytes({0, 0, 8, 0, 0, 0, 7, 0}) + inner4(answer));
       }},
      {TunnelKind::kGtp, "gtp", 17,
       [](bool answer, int number) {
         const Packet inside = inner4(answer);
         return udp_to(2152, number,
                       bytes({0x30, 255}) + be16(static_cast<uint32_t>(inside.size())) +
                           be32(static_cast<uint32_t>(number)) + inside);
       }},
      {TunnelKind::kTeredo, "teredo", 17,
       [](bool answer, int number) { return udp_to(3544, number, inner6(answer)); }},
      {TunnelKind::kL2tp, "l2tp", 17,
       [=](bool answer, int number) {
         return udp_to(1701, number, bytes({0, 2, 0, 1, 0, number}) + ppp(answer));
       }},
      {TunnelKind::kAyiya, "ayiya", 17,
       [](bool answer, int number) {
         return udp_to(5072, number,
                       bytes({0x41, 0x52, 0x11, 41}) + be32(1) + Packet(36, 1) + inner6(answer));
       }},
  };
}

FlowKey key_of(const Packet& packet, const DecodeOptions& options = {}) {
  const Decoded decoded = decode(LinkType::kRaw, packet, options);
  EXPECT_EQ(decoded.fate, FrameFate::kSegment);
  return decoded.segment.key;
}

FlowKey public_key_of(const Packet& packet, const DecodeOptions& options = {}) {
  const Decoded decoded = decode(LinkType::kRaw, packet, options);
  EXPECT_EQ(decoded.fate, FrameFate::kSegment);
  return public_key(decoded.segment);
}

TEST(TunnelKey, BothDirectionsOfEveryKindMeet) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const Packet there = outer4(kind.protocol, kind.content(false, 1), kLeft, kRight);
    const Packet back = outer4(kind.protocol, kind.content(true, 2), kRight, kLeft);
    EXPECT_EQ(key_of(there), key_of(back));
    EXPECT_EQ(public_key_of(there), public_key_of(back));
    EXPECT_EQ(key_of(there).tunnel_kind, kind.kind);
    // Over IPv6.
    const IpAddress a = ipv6_address(0xa);
    const IpAddress b = ipv6_address(0xb);
    EXPECT_EQ(key_of(ipv6(kind.protocol, a, b, kind.content(false, 1))),
              key_of(ipv6(kind.protocol, b, a, kind.content(true, 2))));
  }
}

TEST(TunnelKey, APacketInATunnelIsOfAnotherConnectionThanOutsideAndInEveryOther) {
  const auto apart = [](const std::vector<Packet>& packets) {
    for (size_t i = 0; i < packets.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        EXPECT_FALSE(key_of(packets[i]) == key_of(packets[j])) << i << " and " << j;
        EXPECT_FALSE(public_key_of(packets[i]) == public_key_of(packets[j])) << i << " and " << j;
      }
    }
  };
  std::vector<Packet> all = {inner4(false), inner6(false)};
  for (const Kind& kind : kinds()) {
    const Packet content = kind.content(false, 1);
    all.push_back(outer4(kind.protocol, content, kLeft, kRight));
    all.push_back(outer4(kind.protocol, content, kLeft, kElsewhere));
    all.push_back(outer4(kind.protocol, content, kElsewhere, kRight));
    all.push_back(ipv6(kind.protocol, ipv6_address(0xa), ipv6_address(0xb), content));
    // The same tunnel inside others, and others inside it.
    all.push_back(outer4(4, outer4(kind.protocol, content, kLeft, kRight), kLeft, kElsewhere));
    all.push_back(outer4(4, outer4(kind.protocol, content, kLeft, kRight), kRight, kElsewhere));
    all.push_back(outer4(47, bytes({0, 0, 8, 0}) + outer4(kind.protocol, content, kLeft, kRight),
                         kLeft, kElsewhere));
  }
  apart(all);
}

TEST(TunnelKey, NetworksWithTheSameAddressesAreApartAndZeroIsANetwork) {
  std::vector<FlowKey> keys;
  for (const uint32_t key : {0u, 1u, 0x01000000u}) {
    keys.push_back(
        key_of(outer4(47, bytes({0x20, 0, 8, 0}) + be32(key) + inner4(false), kLeft, kRight)));
  }
  keys.push_back(key_of(outer4(47, bytes({0, 0, 8, 0}) + inner4(false), kLeft, kRight)));
  for (const int network : {0, 1}) {
    keys.push_back(key_of(outer4(
        17,
        udp(50000, 4789, bytes({8, 0, 0, 0, 0, 0, network, 0}) + ethernet(0x0800, inner4(false))),
        kLeft, kRight)));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(keys[i] == keys[j]) << i << " and " << j;
  }
}

TEST(TunnelKey, WhereTheDirectionsHaveOtherEndsOnlyWhatTheyShareCounts) {
  // Two switches mirror a direction each to one collector.
  const Packet mirror = bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000001) + be32(0);
  const auto mirrored = [&](bool is_answer, const Ipv4Address& by, const Ipv4Address& to) {
    return key_of(outer4(47, mirror + ethernet(0x0800, inner4(is_answer)), by, to));
  };
  EXPECT_EQ(mirrored(false, kLeft, kElsewhere), mirrored(true, kRight, kElsewhere));
  EXPECT_FALSE(mirrored(false, kLeft, kElsewhere) == mirrored(false, kLeft, kRight));
  EXPECT_EQ(mirrored(false, kLeft, kRight).tunnel_kind, TunnelKind::kErspan);
  // 6to4 through two relays.
  EXPECT_EQ(key_of(outer4(41, inner6(false, 0x2002), kLeft, kRight)),
            key_of(outer4(41, inner6(true, 0x2002), kElsewhere, kLeft)));
  // Segment routing: a routing header of type 4, no segments left; and Ethernet in IPv6.
  const Packet routing_v4 = bytes({4, 2, 4, 0, 0, 0, 0, 0}) + Packet(16, 1);
  EXPECT_EQ(key_of(ipv6(43, ipv6_address(1), ipv6_address(2), routing_v4 + inner4(false))),
            key_of(ipv6(43, ipv6_address(3), ipv6_address(4), routing_v4 + inner4(true))));
  EXPECT_EQ(key_of(ipv6(143, ipv6_address(1), ipv6_address(2), ethernet(0x0800, inner4(false)))),
            key_of(ipv6(143, ipv6_address(3), ipv6_address(4), ethernet(0x0800, inner4(true)))));
  // All of them are apart from what is outside.
  EXPECT_FALSE(mirrored(false, kLeft, kRight) == key_of(inner4(false)));
}

TEST(TunnelKey, TheNumberIsOfThisRunAndThePublicOneIsNot) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    DecodeOptions one;
    one.tunnel_secret = 1;
    DecodeOptions two;
    two.tunnel_secret = 2;
    const Packet packet = outer4(kind.protocol, kind.content(false, 1), kLeft, kRight);
    EXPECT_FALSE(key_of(packet, one) == key_of(packet, two));
    EXPECT_EQ(public_key_of(packet, one), public_key_of(packet, two));
    // Nested: a hash of both.
    const Packet nested = outer4(4, packet, kRight, kElsewhere);
    EXPECT_FALSE(key_of(nested, one) == key_of(nested, two));
    EXPECT_EQ(public_key_of(nested, one), public_key_of(nested, two));
  }
}

TEST(TunnelKey, FragmentsInsideTunnelsOfTheSameAddressesAreApart) {
  Ipv4Fields fields;
  fields.fragment = 0x2000;
  const Packet fragment = ipv4(fields, Packet(64, 1));
  const auto path = [&](const Ipv4Address& to) {
    const Decoded decoded = decode(LinkType::kRaw, outer4(4, fragment, kLeft, to));
    EXPECT_EQ(decoded.fate, FrameFate::kFragment);
    return decoded.fragment.tunnel;
  };
  EXPECT_EQ(path(kRight), path(kRight));
  EXPECT_FALSE(path(kRight) == path(kElsewhere));
  EXPECT_FALSE(path(kRight) == TunnelPath{});
}

TEST(TunnelKey, NothingOfTheTunnelCountsWhenNotAsked) {
  DecodeOptions options;
  options.key_tunnel = false;
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const FlowKey inside =
        key_of(outer4(kind.protocol, kind.content(false, 1), kLeft, kRight), options);
    EXPECT_TRUE(inside == key_of(inner4(false)) || inside == key_of(inner6(false)));
  }
}

}  // namespace
}  // namespace tcp_sniffer::tunnel_key_test
