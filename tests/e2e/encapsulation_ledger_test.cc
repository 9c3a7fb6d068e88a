// An exchange inside every encapsulation there is, from the capture file to the ledger.

#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/counters.h"
#include "core/net/encapsulation.h"
#include "core/net/link_type.h"
#include "packets/packet_builder.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::encapsulation_ledger_test {
namespace {

using namespace packets;

// One segment of the exchange, as the innermost IP packet.
struct Inner {
  bool from_client = true;
  TcpFields tcp;
  std::string_view payload;

  Packet ipv4() const {
    Ipv4Fields fields;
    if (!from_client) std::swap(fields.source, fields.destination);
    return ipv4_tcp(fields, packets::tcp(tcp, text(payload)));
  }
  Packet ipv6() const {
    const IpAddress client = ipv6_address(1);
    const IpAddress server = ipv6_address(2);
    return packets::ipv6(kTcpProtocol, from_client ? client : server, from_client ? server : client,
                         packets::tcp(tcp, text(payload)));
  }
};

// Handshake, request, response.
std::vector<Inner> exchange() {
  constexpr std::string_view kRequest = "GET /inside HTTP/1.1\r\nHost: a\r\n\r\n";
  constexpr std::string_view kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndeep";
  constexpr auto kRequestSize = static_cast<uint32_t>(kRequest.size());
  TcpFields client;
  TcpFields server;
  std::swap(server.source_port, server.destination_port);
  client.acknowledgment = server.sequence = 2001;
  client.sequence = 1001;
  server.acknowledgment = 1001 + kRequestSize;
  TcpFields syn = client;
  syn.sequence--;
  syn.acknowledgment = 0;
  syn.flags = CaptureMaker::kSyn;
  TcpFields answer = server;
  answer.sequence--;
  answer.acknowledgment = 1001;
  answer.flags = CaptureMaker::kSyn | CaptureMaker::kAck;
  return {
      {true, syn, ""}, {false, answer, ""}, {true, client, kRequest}, {false, server, kResponse}};
}

// A frame of the capture.
struct Wrapped {
  LinkType link_type;
  Packet bytes;
  // Opened beside the one that it is about: what the encapsulation itself is made of.
  std::vector<Encapsulation> also = {};
};

Wrapped on_ethernet(const Packet& ip) {
  return {LinkType::kEthernet, ethernet(0x0800, ip)};
}

Wrapped in_udp(uint16_t port, const Packet& payload) {
  return on_ethernet(ipv4_udp(50000, port, payload));
}

Packet with_size(const Packet& header, const Packet& content) {
  return header + be16(static_cast<uint32_t>(content.size())) + content;
}

// The key that it has in the ledger.
std::string label_of(Encapsulation encapsulation) {
  const auto first = static_cast<size_t>(FrameCounter::opened_vlan);
  return std::string(kFrameCounters.at(first + static_cast<size_t>(encapsulation)).label);
}

// Without `default`: the compiler refuses an encapsulation that has no case here.
Wrapped wrapped(Encapsulation encapsulation, const Inner& inner) {
  const Packet ip = inner.ipv4();
  const Packet frame = ethernet(0x0800, ip);
  const Packet ppp = be16(0x0021) + ip;
  const Packet snap = bytes({0xaa, 0xaa, 3, 0, 0, 0, 8, 0});
  switch (encapsulation) {
    case Encapsulation::kVlan:
      return {LinkType::kEthernet, ethernet(0x8100, be16(7) + be16(0x0800) + ip)};
    case Encapsulation::kMpls:
      return {LinkType::kEthernet, ethernet(0x8847, bytes({0, 1, 1, 64}) + ip)};
    case Encapsulation::kPppoe:
      return {LinkType::kEthernet,
              ethernet(0x8864, with_size(bytes({0x11, 0, 0, 7}), ppp)),
              {Encapsulation::kPpp}};
    case Encapsulation::kPpp:
      return {LinkType::kPpp, bytes({0xff, 3}) + ppp};
    case Encapsulation::kWifi:
      return {LinkType::kIeee80211,
              bytes({0x08, 0x01, 0, 0}) + Packet(18, 2) + bytes({0x10, 0}) + snap + ip};
    case Encapsulation::kIpInIp:
      return on_ethernet(ipv4_tunnel(4, ip));
    case Encapsulation::kEtherIp:
      return on_ethernet(ipv4_tunnel(97, bytes({0x30, 0}) + frame));
    case Encapsulation::kGre:
      return on_ethernet(ipv4_tunnel(47, bytes({0, 0, 8, 0}) + ip));
    case Encapsulation::kPptp: {
      const Packet header = bytes({0x30, 0x01, 0x88, 0x0b}) +
                            be16(static_cast<uint32_t>(ppp.size())) + be16(9) + be32(1);
      Wrapped made = on_ethernet(ipv4_tunnel(47, header + ppp));
      made.also = {Encapsulation::kPpp};
      return made;
    }
    case Encapsulation::kErspan: {
      Wrapped made = on_ethernet(ipv4_tunnel(
          47, bytes({0x10, 0, 0x88, 0xbe}) + be32(1) + be32(0x10000001) + be32(0) + frame));
      made.also = {Encapsulation::kGre};
      return made;
    }
    case Encapsulation::kVxlan:
      return in_udp(4789, bytes({8, 0, 0, 0, 0, 1, 2, 0}) + frame);
    case Encapsulation::kGeneve:
      return in_udp(6081, bytes({0, 0, 0x65, 0x58, 0, 0, 9, 0}) + frame);
    case Encapsulation::kGtp:
      return in_udp(2152,
                    bytes({0x30, 255}) + be16(static_cast<uint32_t>(ip.size())) + be32(4711) + ip);
    case Encapsulation::kTeredo:
      return in_udp(3544, inner.ipv6());
    case Encapsulation::kL2tp: {
      Wrapped made = in_udp(1701, bytes({0, 2, 0, 1, 0, 2, 0xff, 3}) + ppp);
      made.also = {Encapsulation::kPpp};
      return made;
    }
    case Encapsulation::kAyiya:
      return in_udp(5072, bytes({0x41, 0x52, 0x11, 41}) + be32(1) + Packet(16, 1) + Packet(20, 2) +
                              inner.ipv6());
    case Encapsulation::kCount:
      break;
  }
  throw std::logic_error("an encapsulation that has no case");
}

class EncapsulationLedgerTest : public testing::TestWithParam<size_t> {};

TEST_P(EncapsulationLedgerTest, AnExchangeInsideIsReadAndCountedAsThisAndNothingElse) {
  const auto encapsulation = static_cast<Encapsulation>(GetParam());
  const std::vector<Inner> segments = exchange();
  const Wrapped first = wrapped(encapsulation, segments[0]);
  CaptureMaker maker(static_cast<uint32_t>(first.link_type));
  for (const Inner& segment : segments) {
    const Packet frame = wrapped(encapsulation, segment).bytes;
    maker.frame({reinterpret_cast<const char*>(frame.data()), frame.size()});
  }
  const Descriptor file = memory_file(maker.bytes());
  const Finished run = run_engine(
      {"-r", "/proc/self/fd/" + std::to_string(file.get()), "-p", "80", "--format", "ndjson"});

  EXPECT_EQ(run.exit.code, 0) << run.err;
  const std::vector<Json> lines = json_lines(run.out);
  ASSERT_EQ(lines.size(), 2u) << run.out;
  EXPECT_EQ(lines[0]["path"], "/inside");
  EXPECT_EQ(lines[0]["receiver"]["port"], 80);
  EXPECT_EQ(lines[1]["statusCode"], 200);
  EXPECT_EQ(lines[1]["body"], "deep");
  for (const Json& line : lines) EXPECT_FALSE(line.contains("incomplete")) << line;

  Json expected;
  for (size_t one = 0; one < kEncapsulations; one++) expected[label_of(Encapsulation(one))] = 0;
  const auto opened = [&](Encapsulation one) { expected[label_of(one)] = segments.size(); };
  opened(encapsulation);
  for (const Encapsulation one : first.also) opened(one);
  const Json stopped = event_named(run.err, "stopped");
  EXPECT_EQ(stopped["encapsulation"], expected);
  EXPECT_EQ(stopped["frames"]["dispatched"], segments.size());
  expect_ledger_closes(stopped);
}

INSTANTIATE_TEST_SUITE_P(, EncapsulationLedgerTest, testing::Range(size_t{0}, kEncapsulations),
                         [](const auto& at) { return label_of(Encapsulation(at.param)); });

}  // namespace
}  // namespace tcp_sniffer::encapsulation_ledger_test
