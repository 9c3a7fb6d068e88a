// Settings that change while a shard runs: which messages and fields of exchanges under way are
// written.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/field/fields.h"
#include "support/reload_wire.h"

namespace tcp_sniffer::reload_test {
namespace {

using namespace reload_wire;

std::vector<FieldRef> fields(const std::vector<std::string>& names) {
  std::vector<FieldRef> found;
  for (const std::string& name : names) found.push_back(std::get<FieldRef>(parse_field(name)));
  return found;
}

ShardSettings with_where(const std::string& where, bool by_exchange = false) {
  ShardSettings settings;
  settings.choice.where = where;
  settings.lines.by_exchange = by_exchange;
  return settings;
}

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
