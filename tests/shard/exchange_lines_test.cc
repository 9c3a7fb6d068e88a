#include "shard/exchange_lines.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "support/shard_harness.h"

// Requests that wait for their responses, when memory is short.
namespace tcp_sniffer::exchange_lines_test {
namespace {

using namespace shard_harness;
using Json = nlohmann::json;

// Clients and servers of a shard with `records: exchange`, or a condition, and little memory.
class Clients {
 public:
  explicit Clients(size_t memory, const std::string& where = {})
      : harness_(settings(memory, where)) {}

  void send(uint16_t port, Side side, std::string_view text) {
    if (!ends_.has_sent(port, side)) {
      send(port, side, kTcpSyn | (side == Side::kHigh ? kTcpAck : 0), "");
    }
    send(port, side, kTcpAck, text);
  }
  void process() { harness_.process(); }
  void drain() {
    harness_.drain();
    harness_.check_ledger();
  }
  uint64_t count(ShardCounter counter) const { return harness_.count(counter); }
  size_t lines() const { return harness_.lines.size(); }

  // How many lines have each cause of being alone.
  std::map<std::string, size_t> causes() const {
    std::map<std::string, size_t> causes;
    for (const std::string& text : harness_.lines) {
      const Json line = Json::parse(text);
      if (!line.contains("orphan")) {
        causes["none"]++;
      } else {
        causes[line["orphan"].get<std::string>() + " " + line.value("orphanCause", "")]++;
      }
    }
    return causes;
  }

 private:
  // With a condition the lines are those of messages.
  static ShardSettings settings(size_t memory, const std::string& where) {
    ShardSettings settings;
    settings.lines.by_exchange = where.empty();
    settings.choice.where = where;
    settings.memory_bytes_max = memory;
    return settings;
  }

  void send(uint16_t port, Side side, uint8_t flags, std::string_view text) {
    harness_.add(ends_.segment(port, side, flags, text.size(), now_ns_ += 1000), text);
  }

  ShardHarness harness_;
  Ends ends_;
  int64_t now_ns_ = kStartNs;
};

std::string request_of(size_t body_size) {
  return "POST /a HTTP/1.1\r\nContent-Length: " + std::to_string(body_size) + "\r\n\r\n" +
         std::string(body_size, 'x');
}
constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";

TEST(ExchangeLines, RequestsThatWaitAreHeldUntilTheirResponsesCome) {
  Clients clients(1u << 24);
  for (uint16_t port = 1000; port < 1010; port++) clients.send(port, Side::kLow, request_of(100));
  clients.process();
  EXPECT_EQ(clients.count(ShardCounter::messages_held), 10u);
  EXPECT_EQ(clients.lines(), 0u);
  for (uint16_t port = 1000; port < 1005; port++) clients.send(port, Side::kHigh, kAnswer);
  clients.process();
  EXPECT_EQ(clients.count(ShardCounter::messages_held), 5u);
  EXPECT_EQ(clients.lines(), 5u);
  clients.drain();
  EXPECT_EQ(clients.causes(),
            (std::map<std::string, size_t>{{"none", 5}, {"responseNotCaptured shutdown", 5}}));
}

TEST(ExchangeLines, TheOldestLeaveAloneWhenMemoryIsTightAndSoDoTheirResponses) {
  constexpr size_t kMemory = 1u << 20;
  constexpr uint16_t kClients = 700;
  Clients clients(kMemory);
  for (uint16_t i = 0; i < kClients; i++) {
    clients.send(1000 + i, Side::kLow, request_of(3000));
    if (i % 10 == 0) clients.process();
    ASSERT_LE(clients.count(ShardCounter::memory_bytes), kMemory);
  }
  clients.process();
  const uint64_t left = clients.count(ShardCounter::exchanges_left_early);
  EXPECT_GT(left, kClients / 2);
  EXPECT_EQ(clients.lines(), left);
  EXPECT_EQ(clients.count(ShardCounter::messages_held), kClients - left);
  EXPECT_EQ(clients.count(ShardCounter::connections_evicted), 0u) << "they held no more";
  // The oldest one's request has left, the youngest one's waits.
  clients.send(1000, Side::kHigh, kAnswer);
  clients.send(1000 + kClients - 1, Side::kHigh, kAnswer);
  clients.process();
  std::map<std::string, size_t> causes = clients.causes();
  EXPECT_EQ(causes["responseNotCaptured limit"], left);
  EXPECT_EQ(causes["requestNotCaptured limit"], 1u);
  EXPECT_EQ(causes["none"], 1u);
  clients.drain();
  EXPECT_EQ(clients.count(ShardCounter::messages_written), kClients + 2u);
}

TEST(ExchangeLines, ARequestThatIsTooLargeToWaitLeavesAtOnce) {
  Clients clients(1u << 20);
  const std::string request = request_of(60000);
  for (uint16_t port = 1000; port < 1040; port++) {
    for (size_t at = 0; at < request.size(); at += 1400) {
      clients.send(port, Side::kLow, std::string_view(request).substr(at, 1400));
    }
    clients.process();
  }
  EXPECT_GT(clients.count(ShardCounter::exchanges_left_early), 0u);
  clients.drain();
  EXPECT_EQ(clients.count(ShardCounter::messages_written), 40u);
}

TEST(ExchangeLines, WhenMemoryIsTightAConditionIsDecidedWithWhatIsKnown) {
  constexpr size_t kMemory = 1u << 20;
  constexpr uint16_t kClients = 700;
  // Of the requests alone every second one is wanted.
  Clients clients(kMemory, "status = 204 or path = '/a' and not status");
  for (uint16_t i = 0; i < kClients; i++) {
    const std::string request = request_of(3000);
    clients.send(1000 + i, Side::kLow, i % 2 == 0 ? request : "PUT /b" + request.substr(7));
    if (i % 10 == 0) clients.process();
    ASSERT_LE(clients.count(ShardCounter::memory_bytes), kMemory);
  }
  clients.process();
  const uint64_t left = clients.count(ShardCounter::exchanges_left_early);
  EXPECT_GT(left, kClients / 2);
  EXPECT_EQ(clients.lines(), clients.count(ShardCounter::messages_written));
  EXPECT_EQ(clients.lines() + clients.count(ShardCounter::messages_filtered), left);
  EXPECT_NEAR(static_cast<double>(clients.lines()), static_cast<double>(left) / 2, 1);
  // The request of the youngest waits, and is written with its response.
  const uint64_t before = clients.lines();
  clients.send(1000 + kClients - 1, Side::kHigh, kAnswer);
  clients.process();
  EXPECT_EQ(clients.lines(), before + 2);
  clients.drain();
}

TEST(ExchangeLines, AConditionOfTheRequestAloneWritesItAtOnceAndItsResponseToo) {
  Clients clients(1u << 24, "path = '/a'");
  for (uint16_t port = 1000; port < 1010; port++) clients.send(port, Side::kLow, request_of(100));
  clients.process();
  EXPECT_EQ(clients.lines(), 10u);
  EXPECT_EQ(clients.count(ShardCounter::messages_held), 0u);
  for (uint16_t port = 1000; port < 1005; port++) clients.send(port, Side::kHigh, kAnswer);
  clients.process();
  EXPECT_EQ(clients.lines(), 15u);
  clients.drain();
  EXPECT_EQ(clients.count(ShardCounter::messages_written), 15u);
}

}  // namespace
}  // namespace tcp_sniffer::exchange_lines_test
