#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/proxy_headers.h"
#include "support/repetitions.h"
#include "support/shard_harness.h"

// A PROXY header in front of other traffic changes nothing but that `proxied` is added, wherever
// segments are cut.
namespace tcp_sniffer::proxy_stream_test {
namespace {

using namespace shard_harness;
using nlohmann::json;
using proxy_headers::tlv;
using proxy_headers::version_2;

const json kEndpoints = {{"source", {{"ip", "203.0.113.7"}, {"port", 56324}}},
                         {"destination", {{"ip", "10.0.0.2"}, {"port", 80}}}};
constexpr std::string_view kInet("\xcb\x00\x71\x07\x0a\x00\x00\x02\xdc\x04\x00\x50", 12);

struct Header {
  std::string bytes;
  json proxied;  // null: none is said
};

std::vector<Header> headers() {
  json tls = kEndpoints;
  tls["tls"] = true;
  const std::string inet(kInet);
  return {{"PROXY TCP4 203.0.113.7 10.0.0.2 56324 80\r\n", kEndpoints},
          {"PROXY UNKNOWN\r\n", {}},
          {"PROXY UNKNOWN ::1 ::2 1 2\r\n", {}},
          {version_2(0x21, 0x11, inet), kEndpoints},
          {version_2(0x21, 0x12, inet + tlv(0x04, "noop")), kEndpoints},
          {version_2(0x21, 0x11, inet + tlv(0x20, std::string("\x01\0\0\0\0", 5))), tls},
          {version_2(0x20, 0x00, ""), {}},
          {version_2(0x21, 0x00, ""), {}},
          {version_2(0x21, 0x31, std::string(216, 'u')), {}}};
}

// What client and server send, the server after all of the client's.
struct Talk {
  std::string client;
  std::string server;
};

const std::vector<Talk>& talks() {
  static const std::vector<Talk> kTalks = {
      {"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n"},
      {"PROXY / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"},
      {"\r\nPUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"},
      {std::string("\x16\x03\x01\x00\x05hello", 10), std::string("\x16\x03\x03\x00\x05world", 10)},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", std::string("\0\0\x12\x04\0\0\0\0\0", 9)},
      {"STAT\r\nQUIT\r\n", "+OK 2 320\r\n+OK bye\r\n"},
      {"", ""},
  };
  return kTalks;
}

struct Result {
  std::vector<json> lines;
  std::vector<EventKind> events;
  std::vector<StreamNature> natures;
  uint64_t parsed = 0;
  uint64_t ignored = 0;
  uint64_t captured = 0;

  friend bool operator==(const Result&, const Result&) = default;
};

enum class Start { kSyn, kMidstream };

// The client's pieces, then the server's bytes, then a FIN of each.
Result run(const std::vector<std::string>& pieces, const std::string& server, Start start,
           bool pop3) {
  ShardSettings settings;
  settings.protocols.speak("pop3", pop3);
  settings.ports = PortSet(std::array<uint16_t, 1>{80});
  ShardHarness harness(settings);
  uint32_t sent = 0;
  const auto add = [&](Side side, uint8_t flags, uint32_t sequence, uint32_t acknowledgment,
                       const std::string& text) {
    Segment segment;
    segment.key = key_of(40000);
    segment.side = side;
    segment.flags = flags;
    segment.sequence = sequence;
    segment.acknowledgment = acknowledgment;
    segment.clock_ns = segment.time_ns = kStartNs;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    harness.add(segment, text);
  };
  if (start == Start::kSyn) {
    add(Side::kLow, kTcpSyn, 1000, 0, "");
    add(Side::kHigh, kTcpSyn | kTcpAck, 5000, 1001, "");
    add(Side::kLow, kTcpAck, 1001, 5001, "");
  }
  for (const std::string& piece : pieces) {
    add(Side::kLow, kTcpAck, 1001 + sent, 5001, piece);
    sent += static_cast<uint32_t>(piece.size());
  }
  const auto answered = static_cast<uint32_t>(server.size());
  if (answered > 0) add(Side::kHigh, kTcpAck, 5001, 1001 + sent, server);
  add(Side::kLow, kTcpFin | kTcpAck, 1001 + sent, 5001 + answered, "");
  add(Side::kHigh, kTcpFin | kTcpAck, 5001 + answered, 1002 + sent, "");
  harness.drain();
  harness.check_ledger();
  Result result;
  for (const std::string& line : harness.lines) {
    result.lines.push_back(json::parse(line));
    result.lines.back().erase("connectionId");
  }
  for (const EventRecord& record : harness.events.records) {
    result.events.push_back(record.kind);
    result.natures.push_back(record.nature);
  }
  result.parsed = harness.count(ShardCounter::parsed);
  result.ignored = harness.count(ShardCounter::ignored_stream);
  result.captured = harness.count(ShardCounter::captured);
  return result;
}

Result with_proxied(Result result, const Header& header) {
  for (json& line : result.lines) {
    if (!header.proxied.is_null()) line["proxied"] = header.proxied;
  }
  result.parsed += header.bytes.size();
  result.captured += header.bytes.size();
  return result;
}

TEST(ProxyStream, AHeaderAddsProxiedAndNothingElseWhereverItIsCut) {
  for (const bool pop3 : {false, true}) {
    for (const Talk& talk : talks()) {
      if (pop3 && !talk.server.starts_with("+OK") && !talk.server.starts_with("HTTP/1.1 200"))
        continue;
      const Result plain = run({talk.client}, talk.server, Start::kSyn, pop3);
      for (const Header& header : headers()) {
        const Result expected = with_proxied(plain, header);
        const std::string all = header.bytes + talk.client;
        EXPECT_EQ(run({header.bytes, talk.client}, talk.server, Start::kSyn, pop3), expected);
        // Behind the header the cut is that of an ordinary stream, which other tests try.
        const size_t step = header.bytes.size() > 200 || kSanitized ? 7 : 1;
        for (size_t cut = 1; cut <= header.bytes.size(); cut += step) {
          EXPECT_EQ(run({all.substr(0, cut), all.substr(cut)}, talk.server, Start::kSyn, pop3),
                    expected)
              << all << " cut at " << cut;
        }
        std::vector<std::string> bytes;
        for (const char c : header.bytes) bytes.emplace_back(1, c);
        bytes.push_back(talk.client);
        EXPECT_EQ(run(bytes, talk.server, Start::kSyn, pop3), expected) << all << " byte by byte";
      }
    }
  }
}

TEST(ProxyStream, AStreamMetWithItsHeaderIsMetAtItsBeginning) {
  for (const Header& header : headers()) {
    const Talk& talk = talks()[0];
    const std::string all = header.bytes + talk.client;
    // One byte alone may be a keep-alive probe, which no stream begins with.
    for (size_t cut = 2; cut <= header.bytes.size(); cut += cut < 50 ? 1 : 25) {
      const Result found = run({all.substr(0, cut), all.substr(cut)}, "", Start::kMidstream, false);
      ASSERT_EQ(found.lines.size(), 2u) << cut;
      for (const json& line : found.lines) {
        EXPECT_FALSE(line.contains("afterGap")) << line << cut;
        EXPECT_EQ(line.value("proxied", json()), header.proxied);
      }
    }
  }
}

TEST(ProxyStream, BytesThatAreNoHeaderAfterAllReachTheProtocolWhole) {
  std::mt19937 random(1);
  const std::vector<std::string> texts = {"PROXY / HTTP/1.1\r\n\r\n",
                                          "PROXY TCP4 / HTTP/1.1\r\n\r\n",
                                          "POST / HTTP/1.1\r\n\r\n",
                                          "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                                          "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\nHost: x\r\n\r\n",
                                          "PROXY UNKNOWN " + std::string(120, 'x') + "\r\n",
                                          version_2(0x22, 0x11, kInet) + "junk",
                                          version_2(0x21, 0x11, std::string(kInet) + "x") + "junk",
                                          "P",
                                          "\r\n\r",
                                          "PROXY TCP4 1.2"};
  for (const std::string& text : texts) {
    const Result whole = run({text}, "", Start::kSyn, false);
    EXPECT_EQ(whole.captured, text.size());
    for (int round = 0; round < 30; ++round) {
      std::vector<std::string> pieces;
      for (size_t at = 0; at < text.size();) {
        const size_t size = round == 0 ? 1 : 1 + random() % 9;
        pieces.push_back(text.substr(at, size));
        at += pieces.back().size();
      }
      const Result cut = run(pieces, "", Start::kSyn, false);
      EXPECT_EQ(cut.lines, whole.lines) << text;
      EXPECT_EQ(cut.events, whole.events) << text;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::proxy_stream_test
