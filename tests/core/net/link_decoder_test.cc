// Link layers: what stands before the IP header.

#include <gtest/gtest.h>

#include <string>

#include "support/decode_one.h"

namespace tcp_sniffer::link_decoder_test {
namespace {

using namespace packets;

// --- VLAN and other link layer encapsulations ------------------------------------------------

TEST(LinkDecoder, StackedVlansKeepTheOutermostId) {
  const Packet packet = ethernet(0x88a8, be16(0xe064) + be16(0x8100) + be16(200) + be16(0x9100) +
                                             be16(300) + be16(0x0800) + ipv4_tcp("tagged"));
  const Decoded decoded = decode_ethernet_frame(packet);
  expect_client4_segment(decoded, "tagged");
  EXPECT_EQ(decoded.segment.vlan, 100);
  EXPECT_EQ(decoded.segment.key.vlan, 0);
  EXPECT_EQ(decoded.counters.get(Encapsulation::kVlan), 3u);

  DecodeOptions key_vlan;
  key_vlan.key_vlan = true;
  EXPECT_EQ(decode_ethernet_frame(packet, key_vlan).segment.key.vlan, 100);
}

TEST(LinkDecoder, PriorityTagIsNoVlan) {
  const Packet packet =
      ethernet(0x8100, be16(0xa000) + be16(0x8100) + be16(42) + be16(0x0800) + ipv4_tcp("x"));
  EXPECT_EQ(decode_ethernet_frame(packet).segment.vlan, 42);
}

TEST(LinkDecoder, EndlessVlanTagsEnd) {
  Packet tags;
  for (int i = 0; i < 300; ++i) tags = tags + be16(1) + be16(0x8100);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x8100, tags)).fate, FrameFate::kTunnelTooDeep);
}

TEST(LinkDecoder, BackboneServiceTagHidesAnEthernetFrame) {
  const Packet packet =
      ethernet(0x88e7, be32(0x00123456) + ethernet(0x8100, be16(9) + be16(0x0800) + ipv4_tcp("b")));
  const Decoded decoded = decode_ethernet_frame(packet);
  expect_client4_segment(decoded, "b");
  EXPECT_EQ(decoded.segment.vlan, 9);
}

TEST(LinkDecoder, LlcAndSnapAreOpened) {
  const Packet snap = bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + ipv4_tcp("snap");
  expect_client4_segment(decode_ethernet_frame(ethernet(static_cast<uint32_t>(snap.size()), snap)),
                         "snap");
  const Packet ip_sap = bytes({6, 6, 3}) + ipv4_tcp("sap");
  expect_client4_segment(
      decode_ethernet_frame(ethernet(static_cast<uint32_t>(ip_sap.size()), ip_sap)), "sap");
  const Packet spanning_tree = bytes({0x42, 0x42, 3, 0, 0, 0, 0, 0});
  EXPECT_EQ(decode_ethernet_frame(ethernet(8, spanning_tree)).fate, FrameFate::kNotIp);
}

TEST(LinkDecoder, MplsLabelsAreSkipped) {
  const Packet labels = bytes({0, 1, 0x00, 64, 0, 2, 0x01, 64});
  const Decoded decoded = decode_ethernet_frame(ethernet(0x8847, labels + ipv4_tcp("labelled")));
  expect_client4_segment(decoded, "labelled");
  EXPECT_EQ(decoded.counters.get(Encapsulation::kMpls), 1u);
  expect_client_segment(decode_ethernet_frame(ethernet(0x8848, labels + ipv6_tcp(tcp("six")))),
                        "six");
}

TEST(LinkDecoder, MplsPseudowiresCarryEthernet) {
  const Packet label = bytes({0, 1, 0x01, 64});
  const Packet frame = ethernet(0x0800, ipv4_tcp("wire"));
  expect_client4_segment(
      decode_ethernet_frame(ethernet(0x8847, label + bytes({0, 0, 0, 1}) + frame)), "wire");
  expect_client4_segment(decode_ethernet_frame(ethernet(0x8847, label + frame)), "wire");
  // A station address that begins like an IPv4 header.
  Packet odd = frame;
  odd[0] = 0x45;
  expect_client4_segment(decode_ethernet_frame(ethernet(0x8847, label + odd)), "wire");
}

TEST(LinkDecoder, MplsWithoutBottomLabelIsNotIp) {
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x8847, Packet(40, 0))).fate, FrameFate::kNotIp);
}

TEST(LinkDecoder, PppoeSessionIsOpenedAndDiscoveryIsNotIp) {
  const Packet ppp = be16(0x0021) + ipv4_tcp("dsl");
  const Packet session =
      bytes({0x11, 0, 0, 7}) + be16(static_cast<uint32_t>(ppp.size())) + ppp + Packet(8, 0);
  const Decoded decoded = decode_ethernet_frame(ethernet(0x8864, session));
  expect_client4_segment(decoded, "dsl");
  EXPECT_EQ(decoded.counters.get(Encapsulation::kPppoe), 1u);
  EXPECT_EQ(decoded.counters.get(Encapsulation::kPpp), 1u);
  EXPECT_EQ(decode_ethernet_frame(ethernet(0x8863, session)).fate, FrameFate::kNotIp);
}

TEST(LinkDecoder, PppoeLengthDecidesForOffloadedPackets) {
  const std::string payload(1400, 'd');
  Packet packet = ipv4_tcp(payload);
  write_be16(&packet[2], 0);
  const Packet ppp = be16(0x0021) + packet;
  const Packet session =
      bytes({0x11, 0, 0, 7}) + be16(static_cast<uint32_t>(ppp.size())) + ppp + Packet(8, 0);
  expect_client4_segment(decode_ethernet_frame(ethernet(0x8864, session)), payload);
}

// --- Other link types ------------------------------------------------------------------------

TEST(LinkDecoder, LoopbackFamiliesOfEverySystem) {
  expect_client4_segment(decode(LinkType::kNull, bytes({2, 0, 0, 0}) + ipv4_tcp("n")), "n");
  expect_client4_segment(decode(LinkType::kNull, bytes({0, 0, 0, 2}) + ipv4_tcp("n")), "n");
  expect_client4_segment(decode(LinkType::kLoop, bytes({0, 0, 0, 2}) + ipv4_tcp("n")), "n");
  for (const int family : {10, 24, 28, 30}) {
    expect_client_segment(decode(LinkType::kNull, bytes({family, 0, 0, 0}) + ipv6_tcp(tcp("n"))),
                          "n");
    expect_client_segment(decode(LinkType::kLoop, bytes({0, 0, 0, family}) + ipv6_tcp(tcp("n"))),
                          "n");
  }
  expect_client4_segment(decode(LinkType::kNull, bytes({0, 0, 8, 0}) + ipv4_tcp("n")), "n");
  EXPECT_EQ(decode(LinkType::kNull, bytes({7, 0, 0, 0}) + ipv4_tcp("n")).fate, FrameFate::kNotIp);
  EXPECT_EQ(decode(LinkType::kNull, bytes({2, 0, 0})).fate, FrameFate::kNotIp);
}

TEST(LinkDecoder, RawLinksBeginWithIp) {
  for (const LinkType type : {LinkType::kRaw, LinkType::kIpv4, LinkType::kIpv6}) {
    expect_client4_segment(decode(type, ipv4_tcp("raw")), "raw");
    expect_client_segment(decode(type, ipv6_tcp(tcp("raw"))), "raw");
  }
}

// As newer kernels record QinQ on `any`: the type is that behind all tags, and the inner
// tag, without its own type, still stands in front of the packet.
TEST(LinkDecoder, TagsThatACookedCaptureDoesNotNameAreRead) {
  const Packet packet = ipv4_tcp("hidden");
  const Packet snap = bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + packet;
  const auto size = static_cast<uint32_t>(snap.size());
  const Packet mpls = bytes({0, 1, 1, 64}) + packet;
  struct {
    uint32_t type;
    Packet data;
    uint64_t tags;
  } const cases[] = {
      {0x0800, be16(0x2007) + be16(0x0800) + packet, 1},
      {0x0800, be16(0x2007) + be16(0x8100) + be16(5) + be16(0x0800) + packet, 2},
      {0x0800, be16(0x4007) + be16(0x0800) + packet, 1},  // its priority looks like a version
      {0x8847, be16(0x2007) + be16(0x8847) + mpls, 1},
      {size, be16(0x2007) + be16(size) + snap, 1},
      // The outer tag, as libpcap puts it back.
      {0x88a8, be16(9) + be16(0x0800) + be16(0x2007) + be16(0x0800) + packet, 2},
  };
  for (const auto& [type, data, tags] : cases) {
    for (const bool is_second_form : {false, true}) {
      const Packet frame =
          is_second_form ? be16(type) + Packet(18, 0) + data : Packet(14, 0) + be16(type) + data;
      const Decoded decoded =
          decode(is_second_form ? LinkType::kLinuxSll2 : LinkType::kLinuxSll, frame);
      expect_client4_segment(decoded, "hidden");
      EXPECT_EQ(decoded.counters.get(Encapsulation::kVlan), tags);
    }
  }
  // A packet of 2,048 bytes has the type of IPv4 where such a tag would.
  const std::string long_payload(2048 - 40, 'p');
  const Decoded plain =
      decode(LinkType::kLinuxSll, Packet(14, 0) + be16(0x0800) + ipv4_tcp(long_payload));
  expect_client4_segment(plain, long_payload);
  EXPECT_EQ(plain.counters.get(Encapsulation::kVlan), 0u);
}

TEST(LinkDecoder, CookedCapturesAreRead) {
  const Packet sll = bytes({0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0});
  expect_client4_segment(decode(LinkType::kLinuxSll, sll + ipv4_tcp("any")), "any");
  const Packet sll2 = bytes({0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0});
  expect_client_segment(decode(LinkType::kLinuxSll2, sll2 + ipv6_tcp(tcp("any"))), "any");
  const Packet tagged = bytes({0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x81, 0, 0, 77, 8, 0});
  const Decoded decoded = decode(LinkType::kLinuxSll, tagged + ipv4_tcp("tag"));
  expect_client4_segment(decoded, "tag");
  EXPECT_EQ(decoded.segment.vlan, 77);
  const Packet llc = bytes({0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4}) +
                     bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0});
  expect_client4_segment(decode(LinkType::kLinuxSll, llc + ipv4_tcp("llc")), "llc");
}

TEST(LinkDecoder, PppWithAndWithoutFraming) {
  expect_client4_segment(decode(LinkType::kPpp, bytes({0xff, 3, 0, 0x21}) + ipv4_tcp("ppp")),
                         "ppp");
  expect_client4_segment(decode(LinkType::kPpp, bytes({0, 0x21}) + ipv4_tcp("ppp")), "ppp");
  expect_client4_segment(decode(LinkType::kPpp, bytes({0x21}) + ipv4_tcp("ppp")), "ppp");
  expect_client_segment(
      decode(LinkType::kPppHdlc, bytes({0xff, 3, 0, 0x57}) + ipv6_tcp(tcp("six"))), "six");
  EXPECT_EQ(decode(LinkType::kPpp, bytes({0xff, 3, 0xc0, 0x21}) + Packet(30, 0)).fate,
            FrameFate::kNotIp);
}

TEST(LinkDecoder, CiscoFramingIsReadUnderBothLinkTypes) {
  const Packet frame = bytes({0x0f, 0, 8, 0}) + ipv4_tcp("serial");
  expect_client4_segment(decode(LinkType::kCiscoHdlc, frame), "serial");
  expect_client4_segment(decode(LinkType::kPppHdlc, frame), "serial");
  EXPECT_EQ(decode(LinkType::kCiscoHdlc, bytes({0x8f, 0, 0x80, 0x35}) + Packet(20, 0)).fate,
            FrameFate::kNotIp);
}

TEST(LinkDecoder, PppEtherBeginsWithTheSessionHeader) {
  const Packet ppp = be16(0x0021) + ipv4_tcp("dsl");
  const Packet session = bytes({0x11, 0, 0, 7}) + be16(static_cast<uint32_t>(ppp.size())) + ppp;
  expect_client4_segment(decode(LinkType::kPppEther, session), "dsl");
}

Packet wifi(int type, int flags, const Packet& behind_address_3, const Packet& packet,
            int sequence_control = 0x10) {
  Packet header = bytes({type, flags, 0, 0}) + Packet(18, 0x02);
  return header + bytes({sequence_control, 0}) + behind_address_3 +
         bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + packet;
}

TEST(LinkDecoder, WifiDataFramesAreOpened) {
  const Packet packet = ipv4_tcp("air");
  const LinkType type = LinkType::kIeee80211;
  expect_client4_segment(decode(type, wifi(0x08, 0x01, {}, packet)), "air");
  expect_client4_segment(decode(type, wifi(0x08, 0x03, Packet(6, 2), packet)), "air");  // WDS
  expect_client4_segment(decode(type, wifi(0x88, 0x01, Packet(2, 0), packet)), "air");  // QoS
  expect_client4_segment(decode(type, wifi(0x88, 0x81, Packet(6, 0), packet)), "air");  // HT
  const Packet with_check_sequence = wifi(0x08, 0x01, {}, packet) + Packet(4, 0xee);
  expect_client4_segment(decode(type, with_check_sequence), "air");
}

TEST(LinkDecoder, WifiFramesThatCanNotBeReadAreNotIp) {
  const Packet packet = ipv4_tcp("air");
  const LinkType type = LinkType::kIeee80211;
  EXPECT_EQ(decode(type, wifi(0x08, 0x41, {}, packet)).fate, FrameFate::kNotIp);  // encrypted
  EXPECT_EQ(decode(type, wifi(0x80, 0x00, {}, packet)).fate, FrameFate::kNotIp);  // beacon
  EXPECT_EQ(decode(type, wifi(0x48, 0x01, {}, packet)).fate, FrameFate::kNotIp);  // null
  EXPECT_EQ(decode(type, wifi(0x08, 0x05, {}, packet)).fate, FrameFate::kNotIp);  // fragment
  EXPECT_EQ(decode(type, wifi(0x08, 0x01, {}, packet, 0x11)).fate, FrameFate::kNotIp);
  EXPECT_EQ(decode(type, Packet(23, 8)).fate, FrameFate::kNotIp);
}

TEST(LinkDecoder, FirstPartOfAnAggregatedWifiFrameIsRead) {
  const Packet part = bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0}) + ipv4_tcp("first");
  const Packet frame = bytes({0x88, 0x01, 0, 0}) + Packet(18, 2) + bytes({0x10, 0, 0x80, 0}) +
                       Packet(12, 2) + be16(static_cast<uint32_t>(part.size())) + part;
  expect_client4_segment(decode(LinkType::kIeee80211, frame), "first");
}

TEST(LinkDecoder, WifiCaptureHeadersAreSkipped) {
  const Packet frame = wifi(0x08, 0x01, {}, ipv4_tcp("air"));
  const Packet radiotap = bytes({0, 0, 8, 0, 0, 0, 0, 0});
  expect_client4_segment(decode(LinkType::kIeee80211Radiotap, radiotap + frame), "air");

  // Timestamp and flags, the second presence word, data padded to 32 bits behind a QoS header.
  const Packet padded =
      bytes({0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0}) + Packet(8, 1) + bytes({0x20});
  const Packet qos = wifi(0x88, 0x01, Packet(4, 0), ipv4_tcp("air"));
  expect_client4_segment(decode(LinkType::kIeee80211Radiotap, padded + qos), "air");

  const Packet avs = be32(0x80211001) + be32(64) + Packet(56, 0);
  expect_client4_segment(decode(LinkType::kIeee80211Avs, avs + frame), "air");
  expect_client4_segment(decode(LinkType::kPrism, avs + frame), "air");
  const Packet prism = bytes({0x44, 0, 0, 0, 144, 0, 0, 0}) + Packet(136, 0);
  expect_client4_segment(decode(LinkType::kPrism, prism + frame), "air");
  EXPECT_EQ(decode(LinkType::kIeee80211Radiotap, bytes({0, 0, 80, 0, 0, 0, 0, 0})).fate,
            FrameFate::kNotIp);
}

TEST(LinkDecoder, NetfilterLogsOfBothByteOrdersAreRead) {
  const Packet packet = ipv4_tcp("log");
  const auto size = static_cast<int>(packet.size() + 4);
  const Packet little = bytes({2, 0, 0, 1, 8, 0, 1, 0, 8, 0, 1, 0, 5, 0, 10, 0, 0, 0, 0, 0}) +
                        bytes({size, 0, 9, 0}) + packet;
  expect_client4_segment(decode(LinkType::kNflog, little), "log");
  const Packet big = bytes({2, 0, 0, 1, 0, 8, 0, 1, 8, 0, 1, 0}) + bytes({0, size, 0, 9}) + packet;
  expect_client4_segment(decode(LinkType::kNflog, big), "log");
  EXPECT_EQ(decode(LinkType::kNflog, bytes({2, 0, 0, 1, 8, 0, 1, 0, 0, 0, 0, 0})).fate,
            FrameFate::kNotIp);
}

TEST(LinkDecoder, UnknownLinkTypesAreNotIp) {
  EXPECT_EQ(decode(static_cast<LinkType>(189), ipv4_tcp("usb")).fate, FrameFate::kNotIp);
}

}  // namespace
}  // namespace tcp_sniffer::link_decoder_test
