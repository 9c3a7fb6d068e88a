// Settings that change while a shard runs: what becomes of messages and exchanges under way.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "core/field/fields.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::reload_test {
namespace {

using namespace shard_harness;
using Json = nlohmann::json;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

std::vector<FieldRef> fields(const std::vector<std::string>& names) {
  std::vector<FieldRef> found;
  for (const std::string& name : names) found.push_back(std::get<FieldRef>(parse_field(name)));
  return found;
}

// A shard and connections to it, whose segments are processed as they are sent.
class Wire {
 public:
  explicit Wire(const ShardSettings& settings) : harness_(settings) {}

  void client(uint16_t port, std::string_view text) { send(port, Side::kLow, text); }
  void server(uint16_t port, std::string_view text) { send(port, Side::kHigh, text); }
  void change(const ShardSettings& settings) { harness_.shard().change(settings); }
  void pass_time(int64_t ns) {
    now_ns_ += ns;
    harness_.process(now_ns_);
  }
  uint64_t count(ShardCounter counter) const { return harness_.count(counter); }

  // The lines since the last call.
  std::vector<Json> lines() {
    std::vector<Json> parsed;
    for (const std::string& line : harness_.lines) parsed.push_back(Json::parse(line));
    harness_.lines.clear();
    return parsed;
  }
  std::string text() {
    std::string all;
    for (const std::string& line : harness_.lines) all += line + "\n";
    harness_.lines.clear();
    return all;
  }
  // Which messages, as `path` or `status` for each.
  std::vector<std::string> what() {
    std::vector<std::string> found;
    for (const Json& line : lines()) {
      found.push_back(line.contains("path") ? line["path"].get<std::string>()
                                            : std::to_string(line["statusCode"].get<int>()));
    }
    return found;
  }
  void end() {
    harness_.drain();
    harness_.check_ledger();
  }

 private:
  void send(uint16_t port, Side side, std::string_view text) {
    if (!ends_.has_sent(port, Side::kLow)) {
      add(port, Side::kLow, kTcpSyn, "");
      add(port, Side::kHigh, kTcpSyn | kTcpAck, "");
      add(port, Side::kLow, kTcpAck, "");
    }
    add(port, side, kTcpAck, text);
    harness_.process();
  }
  void add(uint16_t port, Side side, uint8_t flags, std::string_view text) {
    harness_.add(ends_.segment(port, side, flags, text.size(), now_ns_ += 1000), text);
  }

  ShardHarness harness_;
  Ends ends_;
  int64_t now_ns_ = kStartNs;
};

ShardSettings with_where(const std::string& where, bool by_exchange = false) {
  ShardSettings settings;
  settings.choice.where = where;
  settings.lines.by_exchange = by_exchange;
  return settings;
}

using Words = std::vector<std::string>;

TEST(Reload, AConditionIsThatOfTheRequestForBothMessages) {
  for (const bool live : {false, true}) {
    const auto where = [&](const std::string& text) {
      ShardSettings settings = with_where(text);
      settings.number_frames = !live;
      return settings;
    };
    Wire wire(where("path ~ \"/a*\""));
    wire.client(1000, get("/a1"));
    wire.client(1001, get("/b1"));
    wire.change(where("path ~ \"/b*\""));
    wire.server(1000, kOk);
    wire.server(1001, kOk);
    EXPECT_EQ(wire.what(), (Words{"/a1", "200"}));
    wire.client(1000, get("/a2"));
    wire.client(1001, get("/b2"));
    wire.server(1000, kOk);
    wire.server(1001, kOk);
    EXPECT_EQ(wire.what(), (Words{"/b2", "200"}));
    EXPECT_EQ(wire.count(ShardCounter::messages_filtered), 4u);
    wire.end();
  }
}

TEST(Reload, AConditionThatComesLeavesNoResponseOfAWrittenRequestOut) {
  for (const bool live : {false, true}) {
    ShardSettings all;
    all.number_frames = !live;
    ShardSettings some = with_where("path ~ \"/b*\"");
    some.number_frames = !live;
    Wire wire(all);
    wire.client(1000, get("/a1"));
    wire.change(some);
    wire.client(1001, get("/a2"));
    wire.server(1000, kOk);
    wire.server(1001, kOk);
    EXPECT_EQ(wire.what(), (Words{"/a1", "200"}));
    wire.client(1000, get("/a3"));
    wire.server(1000, kOk);
    EXPECT_EQ(wire.what(), Words{});
    wire.end();
  }
}

TEST(Reload, AConditionThatGoesStillDecidesAboutTheRequestsThatItMet) {
  for (const bool live : {false, true}) {
    ShardSettings all;
    all.number_frames = !live;
    ShardSettings errors = with_where("status >= 500");
    errors.number_frames = !live;
    Wire wire(errors);
    wire.client(1000, get("/a1"));
    wire.client(1001, get("/a2"));
    EXPECT_EQ(wire.count(ShardCounter::messages_held), 2u);
    wire.change(all);
    wire.client(1002, get("/b1"));
    EXPECT_EQ(wire.what(), Words{"/b1"}) << "nothing waits any more";
    wire.server(1000, kOk);
    wire.server(1001, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    wire.server(1002, kOk);
    EXPECT_EQ(wire.what(), (Words{"/a2", "503", "200"}));
    wire.client(1000, get("/a3"));
    wire.server(1000, kOk);
    EXPECT_EQ(wire.what(), (Words{"/a3", "200"}));
    EXPECT_EQ(wire.count(ShardCounter::messages_held), 0u);
    wire.end();
  }
}

// Through every order of two conditions and none, with exchanges under way.
TEST(Reload, EachExchangeIsWholeOrAbsentWhateverChangesBetweenItsMessages) {
  const Words conditions = {"", "status >= 500", "path ~ \"/?1\"", "latencyMs > 0.0015"};
  for (const bool by_exchange : {false, true}) {
    for (const std::string& first : conditions) {
      for (const std::string& second : conditions) {
        for (const std::string& third : conditions) {
          SCOPED_TRACE(first + " | " + second + " | " + third);
          Wire wire(with_where(first, by_exchange));
          uint16_t port = 1000;
          const auto begin = [&] {
            for (const char* path : {"/a1", "/a2", "/a3"}) wire.client(port++, get(path));
          };
          const auto finish = [&](uint16_t from) {
            for (uint16_t at = from; at < from + 3; at++) {
              wire.server(at, at % 2 == 0 ? kOk : "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n");
            }
          };
          begin();
          wire.change(with_where(second, by_exchange));
          begin();
          finish(1000);
          wire.change(with_where(third, by_exchange));
          begin();
          finish(1003);
          finish(1006);
          wire.end();
          std::map<std::string, int> messages;
          for (const Json& line : wire.lines()) {
            EXPECT_FALSE(line.contains("orphan")) << line;
            messages[line["connectionId"]] += by_exchange ? 2 : 1;
          }
          for (const auto& [connection, number] : messages) EXPECT_EQ(number, 2) << connection;
          EXPECT_EQ(wire.count(ShardCounter::messages_held), 0u);
          EXPECT_EQ(wire.count(ShardCounter::messages_written) +
                        wire.count(ShardCounter::messages_filtered),
                    18u);
        }
      }
    }
  }
}

TEST(Reload, AnInterimResponseFollowsTheRulesOfItsRequest) {
  Wire wire(with_where("status >= 500"));
  wire.client(1000, get("/a"));
  wire.server(1000, "HTTP/1.1 103 Early Hints\r\n\r\n");
  wire.change(with_where(""));
  wire.server(1000, "HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_EQ(wire.what(), Words{});
  wire.server(1000, kOk);
  EXPECT_EQ(wire.what(), Words{});
  EXPECT_EQ(wire.count(ShardCounter::messages_filtered), 4u);
  wire.end();
}

TEST(Reload, ALineHasTheFieldsThatWereSelectedWhenItsRequestWasWritten) {
  const auto selecting = [](const Words& names) {
    ShardSettings settings;
    settings.lines.by_exchange = true;
    settings.lines.select = fields(names);
    return settings;
  };
  Wire wire(selecting({"request.method", "request.path", "statusCode"}));
  wire.client(1000, get("/a"));
  wire.change(selecting({"statusCode", "request.path"}));
  wire.client(1001, get("/b"));
  wire.change(selecting({}));
  wire.client(1002, get("/c"));
  for (uint16_t port = 1000; port < 1003; port++) wire.server(port, kOk);
  const std::string text = wire.text();
  EXPECT_TRUE(
      text.starts_with("{\"request.method\":\"GET\",\"request.path\":\"/a\",\"statusCode\":200}\n"
                       "{\"statusCode\":200,\"request.path\":\"/b\"}\n"
                       "{\"timestamp\":"))
      << text;
  wire.end();
}

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

TEST(Reload, AResponseHasNoClientWhenNobodyAskedForItWhenItsRequestCame) {
  ShardSettings before;
  before.protocols.http.request_target_max = 1000;
  ShardSettings after = before;
  after.protocols.http.client.wanted = true;
  after.protocols.http.client.trusted_proxies = 1;
  Wire wire(before);
  const std::string request = "GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
  wire.client(1000, request);
  wire.change(after);
  wire.server(1000, kOk);
  wire.client(1000, request);
  wire.server(1000, kOk);
  const std::vector<Json> lines = wire.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_FALSE(lines[1].contains("client")) << lines[1];
  EXPECT_EQ(lines[3]["client"], "192.0.2.7");
  wire.end();
}

TEST(Reload, OfChangesThatAreNotTakenTheLastOneCounts) {
  Wire wire(with_where(""));
  for (int i = 0; i < 1000; i++) wire.change(with_where(i % 2 == 0 ? "status = 1" : ""));
  wire.change(with_where("path = \"/b\""));
  wire.client(1000, get("/a"));
  wire.server(1000, kOk);
  wire.client(1000, get("/b"));
  wire.server(1000, kOk);
  EXPECT_EQ(wire.what(), (Words{"/b", "200"}));
  wire.end();
}

// For the thread sanitizer: the shard runs while another thread gives it settings.
TEST(Reload, SettingsMayComeFromAnotherThreadAtAnyMoment) {
  std::vector<ShardSettings> kinds = {with_where(""), with_where("status >= 500"),
                                      with_where("path ~ \"/a*\"")};
  kinds[1].redaction.headers = {"host"};
  kinds[2].redaction.body = {"x"};
  kinds[2].lines.select = fields({"request.method", "statusCode", "connectionId"});
  Wire wire(kinds[0]);
  std::atomic<bool> done{false};
  std::thread control([&] {
    for (size_t i = 0; !done.load(std::memory_order_relaxed); i++) wire.change(kinds[i % 3]);
  });
  constexpr uint64_t kExchanges = 3000;
  for (uint64_t i = 0; i < kExchanges; i++) {
    const auto port = static_cast<uint16_t>(1000 + i % 50);
    wire.client(port, get(i % 3 == 0 ? "/a" : "/b"));
    wire.server(port, kOk);
  }
  done.store(true, std::memory_order_relaxed);
  control.join();
  wire.end();
  EXPECT_EQ(
      wire.count(ShardCounter::messages_written) + wire.count(ShardCounter::messages_filtered),
      2 * kExchanges);
  EXPECT_EQ(wire.lines().size(), wire.count(ShardCounter::messages_written));
}

}  // namespace
}  // namespace tcp_sniffer::reload_test
