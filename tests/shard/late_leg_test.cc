// Several interfaces: the directions of a connection come on two of them, and one of them is late.
// Packet times are those of the capture, so a response may be there before its request.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/shard_harness.h"

namespace tcp_sniffer::late_leg_test {
namespace {

using namespace shard_harness;
using nlohmann::json;

struct Packet {
  Segment segment;
  std::string payload;
};

// What crosses the cable, in order, a packet each `step_ns`.
class Wire {
 public:
  explicit Wire(uint16_t client_port = 40000) : key_(key_of(client_port)) {}

  void handshake() {
    add(Side::kLow, kTcpSyn, "");
    add(Side::kHigh, kTcpSyn | kTcpAck, "");
    add(Side::kLow, kTcpAck, "");
  }
  void exchange(int number, size_t body = 5) {
    const std::string path = "/" + std::to_string(number);
    add(Side::kLow, kTcpAck | kTcpPsh, "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    add(Side::kHigh, kTcpAck, "");
    send(Side::kHigh, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body) +
                          "\r\nX-For: " + path + "\r\n\r\n" + std::string(body, 'b'));
    add(Side::kLow, kTcpAck, "");
  }
  void upload(int number, size_t body) {
    const std::string path = "/" + std::to_string(number);
    send(Side::kLow, "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                         std::to_string(body) + "\r\n\r\n" + std::string(body, 'u'));
    add(Side::kHigh, kTcpAck | kTcpPsh,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-For: " + path + "\r\n\r\n");
    add(Side::kLow, kTcpAck, "");
  }
  void close(Side first) {
    add(first, kTcpFin | kTcpAck, "");
    add(other(first), kTcpFin | kTcpAck, "");
    add(first, kTcpAck, "");
  }
  void pause(int64_t ns) { time_ns_ += ns; }
  // In segments of 1,400 bytes, each answered by an acknowledgment.
  void send(Side side, std::string_view text) {
    while (!text.empty()) {
      const std::string_view piece = text.substr(0, 1400);
      add(side, kTcpAck, piece);
      text.remove_prefix(piece.size());
      if (!text.empty()) add(other(side), kTcpAck, "");
    }
  }
  void add(Side side, uint8_t flags, std::string_view payload) {
    const auto from = static_cast<size_t>(side);
    Segment segment;
    segment.key = key_;
    segment.side = side;
    segment.flags = flags;
    segment.sequence = next_[from];
    if ((flags & kTcpAck) != 0) segment.acknowledgment = next_[1 - from];
    segment.window = 65535;
    if ((flags & kTcpSyn) != 0) segment.window_scale = 7;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(payload.size());
    segment.ttl = 64;
    segment.time_ns = time_ns_;
    packets.push_back({segment, std::string(payload)});
    next_[from] += segment.payload_size + ((flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
    time_ns_ += step_ns;
  }

  // The packets as two interfaces capture them, of which that of `side` is late.
  std::vector<Packet> captured(Side side, int64_t late_ns) const {
    std::vector<Packet> late = packets;
    for (Packet& packet : late) {
      if (packet.segment.side == side) packet.segment.time_ns += late_ns;
    }
    std::stable_sort(late.begin(), late.end(), [](const Packet& a, const Packet& b) {
      return a.segment.time_ns < b.segment.time_ns;
    });
    return late;
  }

  std::vector<Packet> packets;
  int64_t step_ns = 100'000;

 private:
  const FlowKey key_;
  uint32_t next_[2] = {0xffffff00, 5000};
  int64_t time_ns_ = kStartNs;
};

ShardSettings late_settings() {
  ShardSettings settings;
  settings.reassembly.acked_wait_ns = kLateLegWaitNs;
  settings.reassembly.late_wait_ns = kLateLegWaitNs;
  settings.reassembly.buffer_max = kLateLegBytes;
  return settings;
}

class LateLeg : public testing::TestWithParam<std::pair<Side, int64_t>> {
 protected:
  void take(const Wire& wire, bool to_the_end = true) {
    const auto [side, late_ms] = GetParam();
    int64_t clock_ns = 0;
    for (Packet& packet : wire.captured(side, late_ms * kMs)) {
      clock_ns = std::max(clock_ns, packet.segment.time_ns);
      packet.segment.clock_ns = clock_ns;
      harness.add(packet.segment, packet.payload);
    }
    if (!to_the_end) return;
    harness.drain();
    harness.check_ledger();
    EXPECT_EQ(harness.count(ShardCounter::missing), 0u);
    EXPECT_EQ(harness.count(ShardCounter::unpaired), 0u);
    for (const std::string& line : harness.lines) {
      EXPECT_FALSE(json::parse(line).contains("incomplete")) << line;
    }
  }
  // Each request, and after it its own response.
  void expect_pairs(int count) {
    std::vector<int> requests;
    std::vector<int> responses;
    for (const std::string& text : harness.lines) {
      const json line = json::parse(text);
      if (line["direction"] == "request") {
        requests.push_back(std::stoi(line["path"].get<std::string>().substr(1)));
      } else {
        responses.push_back(std::stoi(line["headers"]["x-for"].get<std::string>().substr(1)));
        ASSERT_TRUE(line.contains("exchange")) << text;
        EXPECT_EQ(line["exchange"], responses.size() - 1) << text;
        EXPECT_LE(responses.size(), requests.size()) << "a request comes before its response";
      }
    }
    ASSERT_EQ(requests.size(), static_cast<size_t>(count));
    EXPECT_EQ(requests, responses);
  }

  ShardHarness harness{late_settings()};
};

// Both interfaces see both directions, and the capture of one is later than packets wait for it:
// the connection has ended by then. A connection that begins after the end is another one.
TEST(LateInterface, AWholeConnectionThatComesAgainIsTakenOnce) {
  for (const bool several : {true, false}) {
    ShardHarness harness(several ? late_settings() : ShardSettings{});
    Wire wire;
    wire.handshake();
    wire.exchange(0);
    wire.close(Side::kLow);
    const std::vector<Packet> first = wire.packets;
    wire.packets.clear();
    wire.pause(kMs);
    wire.handshake();
    wire.exchange(1);
    wire.close(Side::kLow);
    const std::vector<Packet> second = wire.packets;
    int64_t clock_ns = 0;
    for (const auto* packets : {&first, &first, &second, &second}) {
      for (const Packet& packet : *packets) {
        Segment segment = packet.segment;
        clock_ns = std::max(clock_ns, segment.time_ns);
        segment.clock_ns = clock_ns;
        harness.add(segment, packet.payload);
      }
    }
    harness.drain();
    harness.check_ledger();
    // In a file, packets from before are what they are: the same capture may be read twice.
    EXPECT_EQ(harness.count(ShardCounter::messages_written), several ? 4u : 8u);
    EXPECT_EQ(harness.count(ShardCounter::connections_opened), several ? 2u : 4u);
  }
}

TEST_P(LateLeg, EveryExchangeOfAKeepAliveConnectionIsWhole) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 400; i++) wire.exchange(i);
  wire.close(Side::kHigh);
  take(wire);
  expect_pairs(400);
}

TEST_P(LateLeg, AShortConnectionThatIsOverBeforeTheOtherLegBeginsIsWhole) {
  Wire wire;
  wire.handshake();
  wire.exchange(0);
  wire.close(Side::kLow);
  take(wire);
  expect_pairs(1);
}

TEST_P(LateLeg, AResponseLargerThanTheUsualWindowIsWhole) {
  Wire wire;
  wire.step_ns = 2'000;  // within the time that a leg is late
  wire.handshake();
  wire.exchange(0, 6'000'000);
  wire.exchange(1);
  wire.close(Side::kLow);
  take(wire);
  expect_pairs(2);
}

TEST_P(LateLeg, AnUploadLargerThanTheUsualWindowIsWhole) {
  Wire wire;
  wire.step_ns = 2'000;
  wire.handshake();
  wire.upload(0, 6'000'000);
  wire.exchange(1);
  wire.close(Side::kLow);
  take(wire);
  expect_pairs(2);
}

TEST_P(LateLeg, AOneByteBodyThatIsAcknowledgedFirstIsNoKeepAliveProbe) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 20; i++) {
    const std::string path = "/" + std::to_string(i);
    wire.add(Side::kLow, kTcpAck,
             "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    wire.add(Side::kHigh, kTcpAck, "");
    wire.add(Side::kLow, kTcpAck | kTcpPsh, "x");
    wire.add(Side::kHigh, kTcpAck,
             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-For: " + path + "\r\n\r\n");
    wire.add(Side::kLow, kTcpAck, "");
    wire.add(Side::kHigh, kTcpAck | kTcpPsh, "y");
    wire.add(Side::kLow, kTcpAck, "");
  }
  wire.close(Side::kLow);
  take(wire);
  expect_pairs(20);
}

// The first leg's packets from before the capture are missing, those of the other leg are not.
TEST_P(LateLeg, AConnectionMetInItsMiddleHasItsLaterExchanges) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 10; i++) wire.exchange(i);
  const size_t before = wire.packets.size();
  for (int i = 10; i < 2000; i++) wire.exchange(i);
  wire.packets.erase(wire.packets.begin(), wire.packets.begin() + static_cast<ptrdiff_t>(before));
  take(wire, false);
  harness.drain();
  harness.check_ledger();
  // The last 1,900 are beyond what either leg has seen alone.
  std::vector<int> answered;
  for (const std::string& text : harness.lines) {
    const json line = json::parse(text);
    EXPECT_FALSE(line.contains("incomplete")) << text;
    if (line["direction"] == "response" && line.contains("exchange")) {
      answered.push_back(std::stoi(line["headers"]["x-for"].get<std::string>().substr(1)));
    }
  }
  EXPECT_GE(answered.size(), 1900u);
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
}

// What is really missing is still given up, and the rest is whole.
TEST_P(LateLeg, ALostSegmentIsGivenUpAndTheRestIsWhole) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 100; i++) wire.exchange(i);
  const size_t lost_at = wire.packets.size();
  wire.exchange(100);
  for (int i = 101; i < 1500; i++) wire.exchange(i);
  wire.packets.erase(wire.packets.begin() + static_cast<ptrdiff_t>(lost_at) + 2);
  take(wire, false);
  harness.drain();
  harness.check_ledger();
  EXPECT_EQ(harness.count(ShardCounter::requests), 1500u);
  EXPECT_EQ(harness.count(ShardCounter::gaps), 1u);
  EXPECT_GE(harness.count(ShardCounter::responses), 1499u);
}

INSTANTIATE_TEST_SUITE_P(BothLegs, LateLeg,
                         testing::Values(std::pair(Side::kLow, 0), std::pair(Side::kLow, 1),
                                         std::pair(Side::kLow, 50), std::pair(Side::kLow, 70),
                                         std::pair(Side::kHigh, 1), std::pair(Side::kHigh, 50),
                                         std::pair(Side::kHigh, 70)),
                         [](const auto& tested) {
                           return std::string(tested.param.first == Side::kLow ? "Client"
                                                                               : "Server") +
                                  std::to_string(tested.param.second) + "Ms";
                         });

// Without the wait the same capture loses messages: the tests above can fail.
TEST(OneInterface, DoesNotWaitForALateDirection) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 400; i++) wire.exchange(i);
  ShardHarness harness{ShardSettings{}};
  int64_t clock_ns = 0;
  for (Packet& packet : wire.captured(Side::kLow, 70 * kMs)) {
    clock_ns = std::max(clock_ns, packet.segment.time_ns);
    packet.segment.clock_ns = clock_ns;
    harness.add(packet.segment, packet.payload);
  }
  harness.drain();
  EXPECT_GT(harness.count(ShardCounter::missing) + harness.count(ShardCounter::unpaired), 0u);
}

// Only one leg is there: its messages come out after the wait, not at the end.
TEST(OneLeg, ComesOutAfterTheWait) {
  for (const Side seen : {Side::kLow, Side::kHigh}) {
    Wire wire;
    wire.handshake();
    for (int i = 0; i < 10; i++) wire.exchange(i);
    wire.pause(kLateLegWaitNs);
    for (int i = 10; i < 20; i++) wire.exchange(i);
    ShardHarness harness{late_settings()};
    int64_t last_ns = 0;
    for (Packet& packet : wire.packets) {
      if (packet.segment.side != seen) continue;
      packet.segment.clock_ns = last_ns = packet.segment.time_ns;
      harness.add(packet.segment, packet.payload);
    }
    harness.process(last_ns);
    EXPECT_EQ(harness.lines.size(), 20u);
    harness.drain();
    harness.check_ledger();
    EXPECT_EQ(harness.count(ShardCounter::missing), 0u);
  }
}

// A sweep decides the same at the end of the wait, without a packet.
TEST(OneLeg, ComesOutWhenOnlyTimeGoesOn) {
  Wire wire;
  wire.handshake();
  wire.exchange(0);
  ShardHarness harness{late_settings()};
  int64_t last_ns = 0;
  for (Packet& packet : wire.packets) {
    if (packet.segment.side != Side::kHigh) continue;
    packet.segment.clock_ns = last_ns = packet.segment.time_ns;
    harness.add(packet.segment, packet.payload);
  }
  harness.process(last_ns + kLateLegWaitNs / 2);
  EXPECT_EQ(harness.lines.size(), 0u);
  harness.process(last_ns + kLateLegWaitNs);
  EXPECT_EQ(harness.lines.size(), 1u);
  harness.drain();
  harness.check_ledger();
}

}  // namespace
}  // namespace tcp_sniffer::late_leg_test
