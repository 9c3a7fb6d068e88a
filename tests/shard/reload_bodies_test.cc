// Settings that change while a shard runs: what becomes of bodies under way, and what is hidden.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/reload_wire.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::reload_bodies_test {
namespace {

using namespace reload_wire;
using namespace shard_harness;

TEST(Reload, WhatIsHiddenIsSoInEveryTextThatIsMadeAfterwards) {
  for (const bool by_exchange : {false, true}) {
    const auto hiding = [&](const Words& headers) {
      ShardSettings settings;
      settings.lines.by_exchange = by_exchange;
      settings.redaction.headers = headers;
      return settings;
    };
    Wire wire(hiding({"x-old"}));
    const std::string head = "X-Old: secret-one\r\nX-New: secret-two\r\n";
    wire.client(1000, "GET / HTTP/1.1\r\n" + head + "\r\n");
    wire.change(hiding({"x-old", "x-new"}));
    wire.server(1000, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + head + "\r\n");
    std::string text = wire.text();
    EXPECT_EQ(text.find("secret-one"), std::string::npos) << "hidden before and after";
    // The request was written before; the response was not.
    EXPECT_EQ(text.find("secret-two"), text.rfind("secret-two"));
    EXPECT_NE(text.find("secret-two"), std::string::npos);
    wire.client(1000, "GET / HTTP/1.1\r\n" + head + "\r\n");
    wire.change(hiding({"x-new"}));
    wire.server(1000, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + head + "\r\n");
    text = wire.text();
    EXPECT_EQ(text.find("secret-two"), std::string::npos) << "hidden before and after";
    EXPECT_NE(text.find("secret-one"), std::string::npos);
    wire.change(hiding({}));
    wire.client(1000, "GET / HTTP/1.1\r\n" + head + "\r\n");
    wire.server(1000, kOk);
    EXPECT_NE(wire.text().find("secret-two"), std::string::npos);
    wire.end();
  }
}

// The record of a head in one piece would show what is hidden.
TEST(Reload, APackedRecordHidesFromTheNextMessageOn) {
  ShardSettings settings;
  settings.lines.format = LineOptions::kPacked;
  LineQueue queue;
  RecordedEvents events;
  ConnectionCensus census{1};
  Shard shard(0, settings, census, queue, false, events);
  const auto take_lines = [&] {
    shard.output().flush();
    std::string bytes;
    for (LineBlock* lines = nullptr; queue.try_dequeue(lines);) {
      bytes.assign(lines->data, lines->used);
      lines->owner->give_back(lines);
    }
    return bytes;
  };
  const auto record_of = [&](uint16_t port) {
    const std::string text = "GET / HTTP/1.1\r\nX-New: secret\r\n\r\n";
    PacketBlock block;
    Segment segment;
    segment.key = key_of(port);
    segment.flow_hash = hash_of(segment.key);
    segment.flags = kTcpSyn;
    segment.clock_ns = segment.time_ns = block.clock_ns = kStartNs;
    block.segments[block.count++] = segment;
    segment.flags = kTcpAck;
    segment.sequence = 1;
    segment.payload = reinterpret_cast<const uint8_t*>(text.data());
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    block.segments[block.count++] = segment;
    shard.process(block);
    return take_lines();
  };
  EXPECT_NE(record_of(1000).find("secret"), std::string::npos);
  settings.redaction.headers = {"x-new"};
  shard.change(settings);
  const std::string hidden = record_of(1001);
  EXPECT_NE(hidden.find("[redacted]"), std::string::npos);
  EXPECT_EQ(hidden.find("secret"), std::string::npos);
  shard.drain();
  take_lines();
}

// The rest of it would stand there as if it were the whole.
TEST(Reload, ABodyThatHasBegunWithoutBeingKeptStaysSo) {
  ShardSettings with;
  ShardSettings without;
  without.protocols.http.body_max = 0;
  for (const bool first_with : {false, true}) {
    Wire wire(first_with ? with : without);
    wire.client(1000, get("/"));
    wire.server(1000, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcd");
    wire.change(first_with ? without : with);
    wire.server(1000, "efgh");
    wire.client(1000, get("/"));
    wire.server(1000, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcd");
    wire.server(1000, "efgh");
    const std::vector<Json> lines = wire.lines();
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[1]["bodySize"], 8);
    EXPECT_EQ(lines[1].value("body", "none"), "none");
    EXPECT_EQ(lines[3].value("body", "none"), first_with ? "none" : "abcdefgh");
    wire.end();
  }
}

// Bytes beyond the limit are missing between what is kept and what comes.
TEST(Reload, ABodyThatWasCutByALimitIsNotGoneOnWith) {
  ShardSettings small;
  small.protocols.http.body_max = 4;
  Wire wire(small);
  wire.client(1000, get("/"));
  wire.server(1000, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nabcd");
  wire.server(1000, "efgh");
  wire.change(ShardSettings());
  wire.server(1000, "ijkl");
  const std::vector<Json> lines = wire.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["body"], "abcd");
  EXPECT_EQ(lines[1]["bodyTruncated"], true);
  wire.end();
}

TEST(Reload, AReplyThatHasBegunIsKeptAsItWasBegun) {
  ShardSettings with;
  with.protocols.speak("pop3");
  ShardSettings without = with;
  without.protocols.http.body_max = 0;
  for (const bool first_with : {false, true}) {
    Wire wire(first_with ? with : without);
    wire.server(1000, "+OK ready\r\n");
    wire.client(1000, "USER a\r\n");
    wire.server(1000, "+OK\r\n");
    wire.client(1000, "PASS b\r\n");
    wire.server(1000, "+OK\r\n");
    wire.client(1000, "RETR 1\r\n");
    wire.server(1000, "+OK\r\none\r\n");
    wire.change(first_with ? without : with);
    wire.server(1000, "two\r\n.\r\n");
    const std::vector<Json> lines = wire.lines();
    ASSERT_EQ(lines.size(), 7u);
    EXPECT_EQ(lines[6].value("body", "none"), first_with ? "one\r\ntwo\r\n" : "none");
    wire.end();
  }
}

TEST(Reload, PartsAreWithheldOnceBodiesAreToBeSearched) {
  ShardSettings before;
  before.protocols.http.part_after_ns = 10 * kMs;
  ShardSettings after = before;
  after.redaction.body = {"password"};
  Wire wire(before);
  wire.client(1000, get("/"));
  wire.server(1000,
              "HTTP/1.1 200 OK\r\nContent-Length: 60\r\nContent-Type: text/plain\r\n\r\nabcd");
  wire.pass_time(20 * kMs);
  wire.change(after);
  wire.server(1000, "password=secret");
  wire.pass_time(20 * kMs);
  wire.server(1000, std::string(60 - 4 - 15, '.'));
  const std::vector<Json> lines = wire.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1]["body"], "abcd");
  for (const size_t part : {2, 3}) {
    EXPECT_EQ(lines[part]["part"], part);
    EXPECT_FALSE(lines[part].contains("body")) << lines[part];
    EXPECT_EQ(lines[part]["bodyRedacted"], "unreadable");
  }
  EXPECT_EQ(wire.count(ShardCounter::bodies_withheld), 1u);
  wire.end();
}

}  // namespace
}  // namespace tcp_sniffer::reload_bodies_test
