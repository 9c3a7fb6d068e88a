// keyVlan and keyTunnel: what is one connection when its directions, or two copies of it, come in
// different VLANs or tunnels. Each capture with 0 and 3 shards.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "packets/packet_builder.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"
#include "support/run_program.h"

namespace tcp_sniffer::key_options_test {
namespace {

using packets::Packet;
using Arguments = std::vector<std::string>;

constexpr uint32_t kEthernet = 1;

struct Outcome {
  std::vector<Json> messages;
  Json stopped;

  std::set<std::string> connection_ids() const {
    std::set<std::string> ids;
    for (const Json& message : messages) ids.insert(message["connectionId"]);
    return ids;
  }
  // The only message of that direction.
  Json only(std::string_view direction) const {
    Json found;
    for (const Json& message : messages) {
      if (message["direction"] != direction) continue;
      EXPECT_TRUE(found.is_null()) << "a second " << direction;
      found = message;
    }
    EXPECT_FALSE(found.is_null()) << "no " << direction;
    return found;
  }
};

// An IPv4 packet of a conversation, and which side sent it.
struct Sent {
  bool from_server = false;
  Packet packet;
};

// Handshake, a request, its response, and the end, between the same addresses and ports each time.
std::vector<Sent> conversation() {
  constexpr uint8_t kSyn = 2;
  constexpr uint8_t kAck = 16;
  constexpr uint8_t kFinAck = 17;
  constexpr uint8_t kPushAck = 24;
  constexpr std::string_view kRequest = "GET /key HTTP/1.1\r\nHost: a\r\n\r\n";
  constexpr std::string_view kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  std::vector<Sent> sent;
  uint32_t next[2] = {1000, 2000};  // client, server
  uint16_t next_id = 1;
  const auto say = [&](bool from_server, uint8_t flags, std::string_view payload = {}) {
    packets::TcpFields fields;
    fields.sequence = next[from_server ? 1 : 0];
    fields.acknowledgment = flags == kSyn ? 0 : next[from_server ? 0 : 1];
    fields.flags = flags;
    packets::Ipv4Fields ip;
    ip.id = next_id++;
    if (from_server) {
      std::swap(fields.source_port, fields.destination_port);
      std::swap(ip.source, ip.destination);
    }
    sent.push_back(
        {from_server, packets::ipv4_tcp(ip, packets::tcp(fields, packets::text(payload)))});
    const bool takes_number = (flags & 3) != 0;  // SYN or FIN
    next[from_server ? 1 : 0] += static_cast<uint32_t>(payload.size()) + (takes_number ? 1 : 0);
  };
  say(false, kSyn);
  say(true, kSyn | kAck);
  say(false, kAck);
  say(false, kPushAck, kRequest);
  say(true, kPushAck, kResponse);
  say(false, kFinAck);
  say(true, kFinAck);
  say(false, kAck);
  return sent;
}

// An Ethernet frame with an 802.1Q tag.
Packet in_vlan(uint32_t vlan, const Packet& packet) {
  using namespace packets;
  return ethernet(0x8100, be16(vlan) + be16(0x0800) + packet);
}

// An Ethernet frame with the packet in VXLAN (RFC 7348 section 5).
Packet in_vxlan(uint32_t network, const Packet& packet) {
  using namespace packets;
  const Packet header = bytes({8, 0, 0, 0}) + be32(network << 8);
  return ethernet(0x0800, ipv4_udp(50000, 4789, header + ethernet(0x0800, packet)));
}

class KeyOptions : public testing::Test {
 protected:
  using Wrap = std::function<Packet(uint32_t, const Packet&)>;

  // The directions apart: the client's packets in one VLAN or tunnel, the server's in another.
  static CaptureMaker each_direction(const Wrap& wrap, uint32_t client, uint32_t server) {
    CaptureMaker maker(kEthernet);
    for (const Sent& sent : conversation()) {
      put(maker, wrap(sent.from_server ? server : client, sent.packet));
    }
    return maker;
  }

  // Every packet in both, one after the other, as two customers with the same addresses have it.
  static CaptureMaker both(const Wrap& wrap, uint32_t one, uint32_t other) {
    CaptureMaker maker(kEthernet);
    for (const Sent& sent : conversation()) {
      put(maker, wrap(one, sent.packet));
      put(maker, wrap(other, sent.packet));
    }
    return maker;
  }

  static void put(CaptureMaker& maker, const Packet& frame) {
    maker.frame(std::string(frame.begin(), frame.end()));
  }

  // With both numbers of shards; the same messages.
  Outcome read(const CaptureMaker& maker, const Arguments& arguments) {
    const auto path = folder_ / "capture.pcap";
    write_file(path, maker.bytes());
    std::vector<Outcome> outcomes;
    std::vector<std::multiset<std::string>> lines;
    for (const char* shards : {"0", "3"}) {
      Arguments all = {"-r", path.string(), "--format", "ndjson", "--shards", shards};
      all.insert(all.end(), arguments.begin(), arguments.end());
      const Finished finished = run_engine(all);
      EXPECT_EQ(finished.exit.code, 0) << finished.err;
      const auto written = lines_of(finished.out);
      lines.emplace_back(written.begin(), written.end());
      outcomes.push_back({json_lines(finished.out), event_named(finished.err, "stopped")});
      expect_ledger_closes(outcomes.back().stopped);
    }
    EXPECT_EQ(lines[0], lines[1]);
    return outcomes[0];
  }

  static void expect_joined(const Outcome& outcome) {
    EXPECT_EQ(outcome.stopped["connections"]["opened"], 1);
    EXPECT_EQ(outcome.connection_ids().size(), 1u);
    EXPECT_EQ(outcome.only("request")["exchange"], 0);
    const Json response = outcome.only("response");
    EXPECT_EQ(response["exchange"], 0);
    EXPECT_TRUE(response.contains("latencyMs"));
    EXPECT_EQ(outcome.stopped["messages"]["unpaired"], 0);
  }

  static void expect_apart(const Outcome& outcome) {
    EXPECT_EQ(outcome.stopped["connections"]["opened"], 2);
    EXPECT_EQ(outcome.connection_ids().size(), 2u);
    EXPECT_EQ(outcome.only("request")["path"], "/key");
    const Json response = outcome.only("response");
    EXPECT_EQ(response["body"], "ok");
    EXPECT_FALSE(response.contains("exchange"));
    EXPECT_FALSE(response.contains("latencyMs"));
    EXPECT_EQ(outcome.stopped["messages"]["unpaired"], 1);
  }

  // Two whole exchanges, or one of which the second copy is a repetition.
  static void expect_exchanges(const Outcome& outcome, size_t exchanges) {
    EXPECT_EQ(outcome.messages.size(), 2 * exchanges);
    EXPECT_EQ(outcome.connection_ids().size(), exchanges);
    EXPECT_EQ(outcome.stopped["connections"]["opened"], exchanges);
    EXPECT_EQ(outcome.stopped["messages"]["unpaired"], 0);
    for (const Json& message : outcome.messages) {
      EXPECT_FALSE(message.contains("incomplete")) << message;
      EXPECT_EQ(message["exchange"], 0);
    }
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(KeyOptions, DirectionsInDifferentVlansAreOneConnectionUnlessKeyVlanSaysOtherwise) {
  const CaptureMaker maker = each_direction(in_vlan, 10, 20);
  expect_joined(read(maker, {}));
  expect_joined(read(maker, {"--no-key-vlan"}));
  expect_apart(read(maker, {"--key-vlan"}));
}

TEST_F(KeyOptions, DirectionsInOneVlanAreOneConnectionWithKeyVlan) {
  expect_joined(read(each_direction(in_vlan, 10, 10), {"--key-vlan"}));
}

TEST_F(KeyOptions, KeyVlanTellsTheSameAddressesInTwoVlansApart) {
  const CaptureMaker maker = both(in_vlan, 10, 20);
  expect_exchanges(read(maker, {"--key-vlan"}), 2);
  expect_exchanges(read(maker, {}), 1);
}

TEST_F(KeyOptions, DirectionsInDifferentTunnelsAreApartUnlessKeyTunnelIsOff) {
  const CaptureMaker maker = each_direction(in_vxlan, 1, 2);
  expect_apart(read(maker, {}));
  expect_apart(read(maker, {"--key-tunnel"}));
  expect_joined(read(maker, {"--no-key-tunnel"}));
}

TEST_F(KeyOptions, DirectionsInOneTunnelAreOneConnectionWithKeyTunnel) {
  expect_joined(read(each_direction(in_vxlan, 7, 7), {"--key-tunnel"}));
}

TEST_F(KeyOptions, KeyTunnelTellsTheSameAddressesInTwoTunnelsApart) {
  const CaptureMaker maker = both(in_vxlan, 1, 2);
  expect_exchanges(read(maker, {}), 2);
  expect_exchanges(read(maker, {"--no-key-tunnel"}), 1);
}

}  // namespace
}  // namespace tcp_sniffer::key_options_test
