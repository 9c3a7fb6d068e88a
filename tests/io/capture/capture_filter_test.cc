#include "io/capture/capture_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/net/frame_decoder.h"
#include "packets/packet_builder.h"

namespace tcp_sniffer::capture_filter_test {
namespace {

using packets::be16;
using packets::be32;
using packets::Bytes;
using packets::operator+;
using Use = CaptureFilter::Use;

constexpr uint16_t kIpv4 = 0x0800;
constexpr uint16_t kIpv6 = 0x86dd;
constexpr uint16_t kTag = 0x8100;
constexpr uint16_t kServiceTag = 0x88a8;

// Ethernet with tags (type and identifier) in front of the EtherType.
Bytes ethernet(const Bytes& payload, uint16_t type = kIpv4,
               const std::vector<uint16_t>& tag_types = {}) {
  Bytes frame(12, 2);
  for (const uint16_t tag_type : tag_types) frame = frame + be16(tag_type) + be16(7);
  return frame + be16(type) + payload;
}

Bytes ports(uint16_t source, uint16_t destination) {
  return be16(source) + be16(destination) + Bytes(16, 0);
}

// 10.0.0.1 to 10.0.0.2.
Bytes ipv4(uint8_t protocol, const Bytes& payload, uint16_t fragment = 0) {
  return packets::ipv4({.protocol = protocol, .fragment = fragment}, payload);
}

Bytes ipv6(uint8_t next_header, const Bytes& payload) {
  return Bytes{0x60, 0, 0, 0} + be16(static_cast<uint16_t>(payload.size())) +
         Bytes{next_header, 64} + Bytes(32, 0xfd) + payload;
}

const Bytes kHttp4 = ipv4(6, ports(40000, 8080));
const Bytes kHttp6 = ipv6(6, ports(8080, 40000));
const Bytes kSsh4 = ipv4(6, ports(40000, 22));
const Bytes kSsh6 = ipv6(6, ports(22, 40000));
const Bytes kDns4 = ipv4(17, ports(40000, 53));
const Bytes kLaterFragment4 = ipv4(6, Bytes(64, 9), 185);
const Bytes kHopByHop6 = ipv6(0, Bytes{6, 0, 0, 0, 0, 0, 0, 0} + ports(40000, 8080));
const Bytes kFragment6 = ipv6(44, Bytes{6, 0, 0, 8, 0, 0, 0, 1} + Bytes(64, 9));

CaptureFilter make(CaptureFilter::Options options) {
  auto result = CaptureFilter::make(std::move(options));
  EXPECT_TRUE(std::holds_alternative<CaptureFilter>(result)) << std::get<Problem>(result).message();
  return std::get<CaptureFilter>(std::move(result));
}

std::string refusal(const std::string& user, Use use = Use::kLive) {
  auto result = CaptureFilter::make({{80}, user, false, use});
  return std::holds_alternative<Problem>(result) ? std::get<Problem>(result).message() : "";
}

CaptureFilter::Compiled compile(const CaptureFilter& filter, LinkType link_type) {
  auto result = filter.compile(link_type);
  if (auto* problem = std::get_if<Problem>(&result)) ADD_FAILURE() << problem->message();
  return std::get<CaptureFilter::Compiled>(std::move(result));
}

// The live filter as the kernel would run it on Ethernet frames that still have their tags.
class Live {
 public:
  explicit Live(CaptureFilter::Options options)
      : compiled_(compile(make(std::move(options)), LinkType::kEthernet)) {}
  bool operator()(const Bytes& frame) const {
    return compiled_.program.matches(frame, static_cast<uint32_t>(frame.size()));
  }

 private:
  CaptureFilter::Compiled compiled_;
};

bool file_matches(CaptureFilter& filter, const Bytes& data,
                  LinkType link_type = LinkType::kEthernet) {
  Frame frame;
  frame.data = data;
  frame.wire_size = static_cast<uint32_t>(data.size());
  frame.link_type = link_type;
  return filter.matches(frame);
}

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

// What the link's decoders open: each kind around an IP packet, with the type in front of it.
struct Encapsulated {
  std::string name;
  uint16_t type;
  Bytes payload;
};

std::vector<Encapsulated> encapsulations(const Bytes& ip) {
  const uint16_t ip_type = ip[0] >> 4 == 6 ? kIpv6 : kIpv4;
  const auto size = [](const Bytes& bytes) { return static_cast<uint16_t>(bytes.size()); };
  const Bytes ppp = be16(ip_type == kIpv6 ? 0x0057 : 0x0021) + ip;
  const Bytes snap = Bytes{0xaa, 0xaa, 3, 0, 0, 0} + be16(ip_type) + ip;
  const Bytes llc_ip = Bytes{6, 6, 3} + ip;
  const Bytes pseudowire = Bytes(12, 2) + be16(ip_type) + ip;
  return {
      {"mpls", 0x8847, Bytes{0, 1, 1, 64} + ip},
      {"mpls of three labels", 0x8848, Bytes{0, 1, 0, 64, 0, 2, 0, 64, 0, 3, 1, 64} + ip},
      {"ethernet in mpls", 0x8847, Bytes{0, 1, 1, 64, 0, 0, 0, 0} + pseudowire},
      {"pppoe", 0x8864, Bytes{0x11, 0, 0, 7} + be16(size(ppp)) + ppp},
      {"pppoe with a compressed protocol", 0x8864,
       Bytes{0x11, 0, 0, 7} + be16(static_cast<uint16_t>(ppp.size() - 1)) +
           Bytes(ppp.begin() + 1, ppp.end())},
      {"802.1ah", 0x88e7, be32(7) + pseudowire},
      {"ppp", 0x880b, ppp},
      {"ethernet", 0x6558, pseudowire},
      {"an old tag", 0x9200, be16(5) + be16(ip_type) + ip},
      {"snap", size(snap), snap},
      {"llc with ip", size(llc_ip), llc_ip},
      {"a tag, then mpls", kTag, be16(5) + be16(0x8847) + Bytes{0, 1, 1, 64} + ip},
      {"three tags", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(kTag) + be16(7) + be16(ip_type) + ip},
      {"four tags, then snap", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(0x9100) + be16(7) + be16(kTag) + be16(8) +
           be16(size(snap)) + snap},
      {"two tags, then pppoe", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(0x8864) + Bytes{0x11, 0, 0, 7} + be16(size(ppp)) +
           ppp},
  };
}

Frame frame_of(const Bytes& data, LinkType link_type = LinkType::kEthernet) {
  Frame frame;
  frame.data = data;
  frame.wire_size = static_cast<uint32_t>(data.size());
  frame.link_type = link_type;
  return frame;
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

TEST(UserFilterTest, WordsThatMoveOffsetsAreRefused) {
  for (const char* word : {"vlan", "mpls", "pppoes", "geneve"}) {
    for (const std::string& user : {std::string(word), "tcp and (" + std::string(word) + " 5)"}) {
      EXPECT_EQ(refusal(user), "filter: \"" + user + "\" has the word " + word +
                                   ", which moves the offsets of all that follows it; allowed: a "
                                   "filter without it (tagged frames are captured anyway, and the "
                                   "filter is applied after their tags)");
    }
  }
}

TEST(UserFilterTest, LibpcapsWordsExplainABadFilter) {
  EXPECT_EQ(refusal("tcp prot 80"),
            "filter: \"tcp prot 80\" is refused by libpcap: can't parse filter expression: syntax "
            "error; allowed: a filter as in the manual page pcap-filter");
  EXPECT_NE(refusal("tcp) or (udp"), "") << "must not close a parenthesis that is not its own";
  EXPECT_NE(refusal("port 70000").find("illegal port number 70000"), std::string::npos);
  EXPECT_NE(refusal(std::string("tcp\0udp", 7)), "");
}

TEST(UserFilterTest, GoodFiltersAndBlankOnesAreTaken) {
  for (const char* user : {"", "  \n", "tcp", "host 10.0.0.1 and not port 22",
                           "tcp[tcpflags] & tcp-syn != 0", "ether host 02:02:02:02:02:02"}) {
    for (const Use use : {Use::kLive, Use::kFiles}) EXPECT_EQ(refusal(user, use), "");
  }
  EXPECT_EQ(refusal("type mgt", Use::kFiles), "") << "makes sense on 802.11 alone";
}

TEST(FileFilterTest, WithoutAFilterEverythingPassesWhateverThePorts) {
  CaptureFilter filter = make({{8080}, " ", false, Use::kFiles});
  EXPECT_TRUE(filter.passes_everything());
  EXPECT_TRUE(file_matches(filter, ethernet(kSsh4)));
  EXPECT_TRUE(file_matches(filter, {}));
}

TEST(FileFilterTest, TheFilterCountsBehindTagsAndPortsDoNotCount) {
  CaptureFilter host = make({{8080}, "host 10.0.0.1", true, Use::kFiles});
  CaptureFilter no_ssh = make({{8080}, "not port 22", true, Use::kFiles});
  for (const auto& tags : std::vector<std::vector<uint16_t>>{{}, {kTag}, {kServiceTag, kTag}}) {
    SCOPED_TRACE(std::to_string(tags.size()) + " tags");
    EXPECT_TRUE(file_matches(host, ethernet(kSsh4, kIpv4, tags)));
    EXPECT_TRUE(file_matches(host, ethernet(kDns4, kIpv4, tags)));
    EXPECT_FALSE(file_matches(host, ethernet(kHttp6, kIpv6, tags)));
    EXPECT_TRUE(file_matches(no_ssh, ethernet(kHttp4, kIpv4, tags)));
    EXPECT_FALSE(file_matches(no_ssh, ethernet(kSsh4, kIpv4, tags)));
  }
  EXPECT_TRUE(file_matches(no_ssh, ethernet(Bytes(60, 0), 0x8864)));
  EXPECT_FALSE(file_matches(host, {}));
}

TEST(FileFilterTest, TheFilterCountsBehindEveryEncapsulation) {
  CaptureFilter host = make({{}, "host 10.0.0.1", true, Use::kFiles});
  CaptureFilter no_ssh = make({{}, "not port 22", true, Use::kFiles});
  for (const Encapsulated& kind : encapsulations(kSsh4)) {
    SCOPED_TRACE(kind.name);
    EXPECT_TRUE(host.matches(frame_of(ethernet(kind.payload, kind.type))));
    EXPECT_FALSE(no_ssh.matches(frame_of(ethernet(kind.payload, kind.type))));
  }
  for (const Encapsulated& kind : encapsulations(kHttp6)) {
    SCOPED_TRACE(kind.name);
    EXPECT_FALSE(host.matches(frame_of(ethernet(kind.payload, kind.type))));
    EXPECT_TRUE(no_ssh.matches(frame_of(ethernet(kind.payload, kind.type))));
  }
}

TEST(FileFilterTest, EveryLinkTypeGetsAProgramOfItsOwn) {
  CaptureFilter filter = make({{}, "tcp port 8080", true, Use::kFiles});
  filter.set_on_problem([](LinkType, const std::string& why) { ADD_FAILURE() << why; });
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(file_matches(filter, ethernet(kHttp4)));
    EXPECT_TRUE(file_matches(filter, kHttp4, LinkType::kRaw));
    EXPECT_FALSE(file_matches(filter, kSsh4, LinkType::kRaw));
    EXPECT_TRUE(file_matches(filter, kHttp6, LinkType::kIpv6));
    EXPECT_TRUE(file_matches(filter, Bytes(14, 0) + be16(kIpv4) + kHttp4, LinkType::kLinuxSll));
    // AF_INET6 of FreeBSD and of macOS.
    EXPECT_TRUE(file_matches(filter, Bytes{28, 0, 0, 0} + kHttp6, LinkType::kNull));
    EXPECT_TRUE(file_matches(filter, Bytes{30, 0, 0, 0} + kHttp6, LinkType::kNull));
  }
}

TEST(FileFilterTest, AFilterThatDoesNotFitALinkTypeSaysSoOnce) {
  std::vector<std::pair<LinkType, std::string>> said;
  const auto on_problem = [&](LinkType link_type, const std::string& why) {
    said.emplace_back(link_type, why);
  };
  CaptureFilter ether = make({{}, "ether host 02:02:02:02:02:02", true, Use::kFiles});
  ether.set_on_problem(on_problem);
  EXPECT_TRUE(file_matches(ether, ethernet(kHttp4)));
  EXPECT_TRUE(said.empty());
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(file_matches(ether, kHttp4, LinkType::kRaw));
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].first, LinkType::kRaw);
  EXPECT_NE(said[0].second.find("cannot be applied"), std::string::npos) << said[0].second;

  CaptureFilter ip6 = make({{}, "ip6", true, Use::kFiles});
  ip6.set_on_problem(on_problem);
  EXPECT_FALSE(file_matches(ip6, kHttp4, LinkType::kIpv4));
  EXPECT_EQ(said.size(), 1u) << "no frame of this link type can be IPv6, which is no mistake";
}

}  // namespace
}  // namespace tcp_sniffer::capture_filter_test
