#include "io/capture/capture_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/net/frame_decoder.h"
#include "support/filter_lab.h"

namespace tcp_sniffer::capture_filter_test {
namespace {

using namespace filter_lab;

TEST(PortClauseTest, NeighboursAreCollapsedToRanges) {
  EXPECT_EQ(port_clause({}), "tcp");
  EXPECT_EQ(port_clause({80}), "tcp port 80");
  EXPECT_EQ(port_clause({8081, 80, 8080, 443, 8082}),
            "tcp port 80 or tcp port 443 or tcp portrange 8080-8082");
  EXPECT_EQ(port_clause({7, 7, 8}), "tcp portrange 7-8");
  EXPECT_EQ(port_clause({65535, 65534, 1}), "tcp port 1 or tcp portrange 65534-65535");
}

TEST(LiveFilterTest, PortsAreFoundUntaggedTaggedAndDoublyTagged) {
  const Live live({{80, 8080}, "", false, Use::kLive});
  for (const auto& tags : std::vector<std::vector<uint16_t>>{
           {}, {kTag}, {kServiceTag}, {kServiceTag, kTag}, {kTag, kTag}}) {
    SCOPED_TRACE(std::to_string(tags.size()) + " tags");
    EXPECT_TRUE(live(ethernet(kHttp4, kIpv4, tags)));
    EXPECT_TRUE(live(ethernet(kHttp6, kIpv6, tags)));
    EXPECT_FALSE(live(ethernet(kSsh4, kIpv4, tags)));
    EXPECT_FALSE(live(ethernet(kSsh6, kIpv6, tags)));
    EXPECT_FALSE(live(ethernet(kDns4, kIpv4, tags)));
    EXPECT_FALSE(live(ethernet(Bytes(46, 0), 0x0806, tags)));
  }
}

TEST(LiveFilterTest, LaterFragmentsAndExtensionHeadersPass) {
  const Live live({{8080}, "", false, Use::kLive});
  for (const auto& tags : std::vector<std::vector<uint16_t>>{{}, {kTag}, {kServiceTag, kTag}}) {
    SCOPED_TRACE(std::to_string(tags.size()) + " tags");
    EXPECT_TRUE(live(ethernet(kLaterFragment4, kIpv4, tags)));
    EXPECT_TRUE(live(ethernet(kHopByHop6, kIpv6, tags)));
    EXPECT_TRUE(live(ethernet(kFragment6, kIpv6, tags)));
    for (const uint8_t next_header : Bytes{0, 43, 44, 60}) {
      EXPECT_TRUE(live(ethernet(ipv6(next_header, Bytes(40, 0)), kIpv6, tags)));
    }
    EXPECT_FALSE(live(ethernet(ipv6(58, Bytes(40, 0)), kIpv6, tags)));
  }
}

TEST(LiveFilterTest, TheUsersFilterIsAppliedBehindEveryTag) {
  const Live live({{8080}, "host 10.0.0.1 or net fd00::/8", false, Use::kLive});
  const Live other({{8080}, "host 10.9.9.9", false, Use::kLive});
  const Live negated({{22, 8080}, "not port 22", false, Use::kLive});
  for (const auto& tags : std::vector<std::vector<uint16_t>>{{}, {kTag}, {kServiceTag, kTag}}) {
    SCOPED_TRACE(std::to_string(tags.size()) + " tags");
    EXPECT_TRUE(live(ethernet(kHttp4, kIpv4, tags)));
    EXPECT_TRUE(live(ethernet(kLaterFragment4, kIpv4, tags)));
    EXPECT_TRUE(live(ethernet(kHttp6, kIpv6, tags)));
    EXPECT_FALSE(live(ethernet(kSsh4, kIpv4, tags)));
    EXPECT_FALSE(other(ethernet(kHttp4, kIpv4, tags)));
    EXPECT_FALSE(other(ethernet(kLaterFragment4, kIpv4, tags)));
    EXPECT_TRUE(negated(ethernet(kHttp4, kIpv4, tags)));
    EXPECT_FALSE(negated(ethernet(kSsh4, kIpv4, tags)));
  }
}

TEST(LiveFilterTest, TunnelsPassOnlyWhenAskedForAndWhateverTheUsersFilterSays) {
  const Bytes tunnels[] = {
      ethernet(ipv4(47, Bytes(40, 0))),
      ethernet(ipv4(4, kHttp4)),
      ethernet(ipv4(41, kHttp6)),
      ethernet(ipv6(47, Bytes(40, 0)), kIpv6),
      ethernet(ipv6(143, Bytes(60, 0)), kIpv6),
      ethernet(ipv4(17, ports(50000, 4789))),
      ethernet(ipv6(17, ports(50000, 6081)), kIpv6),
      ethernet(ipv4(17, ports(2152, 2152))),
      ethernet(ipv4(17, ports(50000, 8472)), kIpv4, {kTag}),
  };
  const Live without({{8080}, "", false, Use::kLive});
  const Live with({{8080}, "", true, Use::kLive});
  const Live filtered({{8080}, "host 10.9.9.9", true, Use::kLive});
  for (const Bytes& frame : tunnels) {
    EXPECT_FALSE(without(frame));
    EXPECT_TRUE(with(frame));
    EXPECT_TRUE(filtered(frame));
  }
  EXPECT_TRUE(filtered(ethernet(ipv4(17, Bytes(64, 0), 100)))) << "its tunnel may be let in";
  EXPECT_FALSE(with(ethernet(kDns4)));
  EXPECT_FALSE(filtered(ethernet(kHttp4)));
}

TEST(LiveFilterTest, WhatTheLinksDecodersOpenPassesTheKernel) {
  for (const bool tunnels : {false, true}) {
    for (const std::string user : {"", "host 10.0.0.1 or net fd00::/8"}) {
      const Live live({{8080}, user, tunnels, Use::kLive});
      for (const Bytes& ip : {kHttp4, kHttp6}) {
        for (const Encapsulated& kind : encapsulations(ip)) {
          SCOPED_TRACE(kind.name);
          EXPECT_TRUE(live(ethernet(kind.payload, kind.type)));
          EXPECT_TRUE(live(ethernet(kind.payload, kind.type, {kTag})));
          if (kind.type < 0x600) continue;
          const auto decoded =
              ip_packet_of(LinkType::kEthernet, ethernet(kind.payload, kind.type, {kTag, kTag}), 0);
          EXPECT_EQ(decoded.size(), ip.size()) << "the decoders read it";
        }
      }
      for (const Bytes& ip : {ipv4(51, Bytes{6, 4, 0, 0} + Bytes(20, 0) + ports(40000, 8080)),
                              ipv6(51, Bytes{6, 4, 0, 0} + Bytes(20, 0) + ports(40000, 8080))}) {
        const uint16_t type = ip[0] >> 4 == 6 ? kIpv6 : kIpv4;
        EXPECT_TRUE(live(ethernet(ip, type))) << "the Authentication Header";
        EXPECT_TRUE(live(ethernet(ip, type, {kServiceTag, kTag})));
      }
      for (const uint8_t next_header : Bytes{51, 135, 139, 140}) {
        EXPECT_TRUE(live(ethernet(ipv6(next_header, Bytes(40, 0)), kIpv6)));
      }
      EXPECT_FALSE(live(ethernet(Bytes(46, 0), 0x0806)));
      EXPECT_FALSE(live(ethernet(Bytes(46, 0), 0x88cc)));
      EXPECT_FALSE(live(ethernet(Bytes(38, 0x42), 38))) << "spanning tree";
      EXPECT_FALSE(live(ethernet(kDns4)));
    }
  }
}

TEST(LiveFilterTest, CookedCapturesPassTheirEncapsulationsToo) {
  const auto compiled = compile(make({{8080}, "", false, Use::kLive}), LinkType::kLinuxSll);
  const auto compiled2 = compile(make({{8080}, "", false, Use::kLive}), LinkType::kLinuxSll2);
  const auto passes = [&](uint16_t type, const Bytes& payload) {
    const Bytes sll = Bytes(14, 0) + be16(type) + payload;
    const Bytes sll2 = be16(type) + Bytes(18, 0) + payload;
    const bool one = compiled.program.matches(sll, static_cast<uint32_t>(sll.size()));
    // libpcap captures in the first form, and knows no 802.2 in the second.
    if (type != 4) {
      EXPECT_EQ(one, compiled2.program.matches(sll2, static_cast<uint32_t>(sll2.size())));
    }
    return one;
  };
  for (const Encapsulated& kind : encapsulations(kHttp4)) {
    SCOPED_TRACE(kind.name);
    // "4" is 802.2 in cooked captures.
    EXPECT_TRUE(passes(kind.type < 0x600 ? uint16_t{4} : kind.type, kind.payload));
  }
  EXPECT_TRUE(passes(kTag, be16(5) + be16(kIpv4) + kHttp4));
  EXPECT_FALSE(passes(kIpv4, kSsh4));
  EXPECT_FALSE(passes(0x0806, Bytes(28, 0)));
}

// The kernel does not look behind encapsulations, so what it let in is judged once more.
TEST(LiveFilterTest, TheUsersFilterIsAppliedBehindEveryEncapsulation) {
  for (const bool tunnels : {false, true}) {
    CaptureFilter host = make({{22, 8080}, "host 10.0.0.1 or net fd00::/8", tunnels, Use::kLive});
    CaptureFilter other = make({{22, 8080}, "host 10.9.9.9", tunnels, Use::kLive});
    CaptureFilter no_ssh = make({{22, 8080}, "not port 22", tunnels, Use::kLive});
    CaptureFilter none = make({{22, 8080}, "", tunnels, Use::kLive});
    for (const Bytes& ip : {kHttp4, kHttp6, kSsh4, kSsh6}) {
      const bool is_ssh = ip == kSsh4 || ip == kSsh6;
      for (const Encapsulated& kind : encapsulations(ip)) {
        SCOPED_TRACE(kind.name);
        const Bytes data = ethernet(kind.payload, kind.type);
        EXPECT_TRUE(host.matches(frame_of(data)));
        EXPECT_FALSE(other.matches(frame_of(data)));
        EXPECT_EQ(no_ssh.matches(frame_of(data)), !is_ssh);
        EXPECT_TRUE(none.matches(frame_of(data)));
        const Bytes cooked =
            Bytes(14, 0) + be16(kind.type < 0x600 ? uint16_t{4} : kind.type) + kind.payload;
        EXPECT_EQ(no_ssh.matches(frame_of(cooked, LinkType::kLinuxSll)), !is_ssh);
        EXPECT_FALSE(other.matches(frame_of(cooked, LinkType::kLinuxSll)));
      }
    }
    // Tunnels and later fragments pass whatever the filter says, when they are asked for.
    for (const Bytes& ip : {ipv4(47, Bytes(40, 0)), kLaterFragment4}) {
      const Bytes data = ethernet(Bytes{0, 1, 1, 64} + ip, 0x8847);
      EXPECT_EQ(other.matches(frame_of(data)), tunnels);
    }
  }
}

TEST(LiveFilterTest, TeredoPassesBetweenAnyPorts) {
  const auto teredo = [](const Bytes& indication, bool is_source) {
    Bytes ip = ipv6(6, ports(40000, 8080));
    const Bytes prefix = be32(0x20010000);
    std::copy(prefix.begin(), prefix.end(), ip.begin() + (is_source ? 8 : 24));
    const Bytes payload = indication + ip;
    return ipv4(17, be16(50000) + be16(50001) + be16(static_cast<uint16_t>(8 + payload.size())) +
                        be16(0) + payload);
  };
  const Live with({{8080}, "", true, Use::kLive});
  const Live without({{8080}, "", false, Use::kLive});
  const Bytes origin = {0, 0, 1, 2, 3, 4, 5, 6};
  const Bytes authentication = Bytes{0, 1, 0, 0} + Bytes(9, 0);
  for (const Bytes& indication : {Bytes{}, origin, authentication, authentication + origin}) {
    for (const bool is_source : {false, true}) {
      EXPECT_TRUE(with(ethernet(teredo(indication, is_source))));
      EXPECT_TRUE(with(ethernet(teredo(indication, is_source), kIpv4, {kTag})));
      EXPECT_FALSE(without(ethernet(teredo(indication, is_source))));
    }
  }
  EXPECT_FALSE(with(ethernet(ipv4(17, be16(50000) + be16(50001) + be16(70) + Bytes(62, 0x60)))));
}

TEST(LiveFilterTest, ManyPortsFitTheKernelOrAreLeftToTheDispatcher) {
  std::vector<uint16_t> hundred;
  std::vector<uint16_t> twelve_hundred;
  for (uint16_t i = 0; i < 1200; ++i) {
    const auto port = static_cast<uint16_t>(1000 + 2 * i);
    twelve_hundred.push_back(port);
    if (i < 100) hundred.push_back(port);
  }
  const auto few = compile(make({hundred, "", false, Use::kLive}), LinkType::kEthernet);
  EXPECT_NE(few.text.find("tcp port 1002"), std::string::npos);
  EXPECT_LE(few.program.instructions(), 3000U);

  const auto many =
      compile(make({twelve_hundred, "host 10.0.0.1", false, Use::kLive}), LinkType::kEthernet);
  EXPECT_EQ(many.text.find("tcp port"), std::string::npos) << many.text;
  EXPECT_LE(many.program.instructions(), 3000U);
  const auto passes = [&](const Bytes& frame) {
    return many.program.matches(frame, static_cast<uint32_t>(frame.size()));
  };
  EXPECT_TRUE(passes(ethernet(kHttp4)));
  EXPECT_TRUE(passes(ethernet(kLaterFragment4, kIpv4, {kTag})));
  EXPECT_FALSE(passes(ethernet(kDns4)));
}

TEST(LiveFilterTest, ARangeOfAllPortsIsSmall) {
  std::vector<uint16_t> all;
  for (uint32_t port = 1; port <= 65535; ++port) all.push_back(static_cast<uint16_t>(port));
  const auto compiled = compile(make({all, "", false, Use::kLive}), LinkType::kEthernet);
  EXPECT_NE(compiled.text.find("tcp portrange 1-65535"), std::string::npos);
  EXPECT_LT(compiled.program.instructions(), 200U);
}

TEST(LiveFilterTest, OnlyEthernetHasTags) {
  for (const LinkType link_type :
       {LinkType::kLinuxSll, LinkType::kLinuxSll2, LinkType::kRaw, LinkType::kNull, LinkType::kPpp,
        LinkType::kLoop, LinkType::kIpv4, LinkType::kIpv6}) {
    const auto compiled = compile(make({{8080}, "", true, Use::kLive}), link_type);
    EXPECT_EQ(compiled.text.find("vlan"), std::string::npos);
  }
  const auto raw = compile(make({{8080}, "", false, Use::kLive}), LinkType::kRaw);
  EXPECT_TRUE(raw.program.matches(kHttp4, 60));
  EXPECT_TRUE(raw.program.matches(kHttp6, 60));
  EXPECT_FALSE(raw.program.matches(kSsh4, 60));
  const auto cooked = compile(make({{8080}, "", false, Use::kLive}), LinkType::kLinuxSll);
  EXPECT_TRUE(cooked.program.matches(Bytes(14, 0) + be16(kIpv4) + kHttp4, 76));
  EXPECT_FALSE(cooked.program.matches(Bytes(14, 0) + be16(kIpv4) + kSsh4, 76));
}

}  // namespace
}  // namespace tcp_sniffer::capture_filter_test
