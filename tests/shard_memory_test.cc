// What gives way when a shard's memory runs short, and that those who behave still come out.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "shard_harness.h"

namespace tcp_sniffer {
namespace {

using namespace shard_harness;

constexpr int64_t kSecond = 1000 * kMs;

// Connections between numbered clients and one server, each side's place in its stream kept.
class Clients {
 public:
  explicit Clients(const ShardSettings& settings) : harness(settings) {}

  struct Client {
    uint16_t port = 0;
    uint32_t sent = 1001;
    uint32_t received = 5001;
  };

  Client open(uint16_t port) {
    Client client{port};
    segment(client, Side::kLow, "", kTcpSyn, 1000, 0);
    segment(client, Side::kHigh, "", kTcpSyn | kTcpAck, 5000, 1001);
    segment(client, Side::kLow, "", kTcpAck, 1001, 5001);
    return client;
  }
  void request(Client& client, std::string_view text) {
    segment(client, Side::kLow, text, kTcpAck, client.sent, client.received);
    client.sent += static_cast<uint32_t>(text.size());
  }
  void response(Client& client, std::string_view text) {
    segment(client, Side::kHigh, text, kTcpAck, client.received, client.sent);
    client.received += static_cast<uint32_t>(text.size());
  }
  // A POST of which `bytes` come, in segments of 1400, and never the rest.
  void unfinished_post(Client& client, size_t bytes) {
    request(client, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    const std::string piece(1400, 'x');
    for (size_t at = 0; at < bytes; at += piece.size()) request(client, piece);
  }
  // An exchange whose response takes three segments, so that it needs memory in between.
  void exchange(Client& client) {
    request(client, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    response(client, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    response(client, std::string(1500, 'a'));
    response(client, std::string(1500, 'b'));
  }
  uint64_t lines_with(std::string_view text) const {
    return static_cast<uint64_t>(std::count_if(
        harness.lines.begin(), harness.lines.end(),
        [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  size_t used() { return harness.count(ShardCounter::memory_bytes); }

  ShardHarness harness;
  int64_t clock_ns = kStartNs;

 private:
  void segment(const Client& client, Side side, std::string_view text, int flags, uint32_t sequence,
               uint32_t acknowledgment) {
    Segment made;
    made.key = key_of(client.port);
    made.side = side;
    made.flags = static_cast<uint8_t>(flags);
    made.sequence = sequence;
    made.acknowledgment = acknowledgment;
    made.window = 65535;
    made.clock_ns = made.time_ns = clock_ns;
    made.payload_size = made.payload_wire_size = static_cast<uint32_t>(text.size());
    harness.add(made, text);
  }
};

ShardSettings with_memory(size_t bytes) {
  ShardSettings settings;
  settings.memory_bytes_max = bytes;
  return settings;
}

constexpr size_t kMemory = size_t{2} << 20;

TEST(ShardMemory, BodiesAreCutFirstAndEverythingElseGoesOn) {
  Clients clients(with_memory(kMemory));
  for (uint16_t port = 1; port <= 20; port++) {
    Clients::Client attacker = clients.open(port);
    clients.unfinished_post(attacker, size_t{1} << 20);
  }
  clients.harness.process();
  // All of them are active: none is given up, and an eighth is left for heads and holes.
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_evicted), 0u);
  EXPECT_LE(clients.used(), kMemory - kMemory / 32);
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_open), 20u);
  clients.harness.drain();
  clients.harness.check_ledger();
  EXPECT_EQ(clients.lines_with("\"incomplete\":\"limit\""),
            clients.harness.count(ShardCounter::incomplete_limit));
  EXPECT_GE(clients.harness.count(ShardCounter::incomplete_limit), 15u);
  EXPECT_EQ(clients.lines_with("\"path\":\"/upload\""), 20u);
}

TEST(ShardMemory, IdleConnectionsThatHoldMemoryGoNextTheLeastRecentlyActiveFirst) {
  Clients clients(with_memory(kMemory));
  Clients::Client silent = clients.open(999);  // holds no memory, and is the oldest of all
  clients.exchange(silent);
  for (uint16_t port = 1; port <= 20; port++) {
    Clients::Client attacker = clients.open(port);
    clients.unfinished_post(attacker, size_t{1} << 20);
    clients.clock_ns += kMs;
  }
  clients.harness.process();
  ASSERT_EQ(clients.harness.count(ShardCounter::connections_evicted), 0u);
  clients.clock_ns += kScarceIdleNs;
  Clients::Client good = clients.open(500);
  clients.harness.process();
  const uint64_t evicted = clients.harness.count(ShardCounter::connections_evicted);
  EXPECT_GE(evicted, 1u);
  EXPECT_LT(evicted, 20u);
  EXPECT_LE(clients.used(), kMemory - kMemory / 4);
  EXPECT_EQ(clients.lines_with("\"incomplete\":\"evicted\""), evicted);
  ASSERT_EQ(clients.harness.events.records.size(), evicted);
  for (uint16_t i = 0; i < evicted; i++) {
    EXPECT_EQ(clients.harness.events.records[i].key.low_port, i + 1);
    EXPECT_STREQ(clients.harness.events.records[i].detail, "idle, for memory");
  }
  // Bodies are whole again, on a new connection and on the one that was merely silent.
  const size_t before = clients.harness.lines.size();
  clients.exchange(good);
  clients.exchange(silent);
  clients.harness.process();
  EXPECT_EQ(clients.harness.lines.size(), before + 4);
  for (size_t i = before; i < clients.harness.lines.size(); i++) {
    EXPECT_EQ(clients.harness.lines[i].find("\"incomplete\""), std::string::npos);
  }
  clients.harness.drain();
  clients.harness.check_ledger();
}

// Heads and holes take memory that bodies may not, up to where new connections are refused.
TEST(ShardMemory, NewConnectionsAreRefusedWhenNothingIdleIsLeftAndTakenAgainAfterwards) {
  Clients clients(with_memory(kMemory));
  std::string head = "GET / HTTP/1.1\r\n";
  while (head.size() < 200'000) head += "X-Filler: 0123456789012345678901234567890123456789\r\n";
  uint16_t port = 1;
  while (clients.harness.count(ShardCounter::connections_refused) == 0) {
    ASSERT_LT(port, 200);
    Clients::Client attacker = clients.open(port++);
    for (size_t at = 0; at < head.size(); at += 1400) {
      clients.request(attacker, std::string_view(head).substr(at, 1400));
    }
    clients.harness.process();
  }
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_evicted), 0u);
  EXPECT_LE(clients.used(), kMemory);
  EXPECT_GT(clients.used(), kMemory - kMemory / 32);
  clients.clock_ns += kScarceIdleNs;
  clients.harness.process(clients.clock_ns);
  EXPECT_GE(clients.harness.count(ShardCounter::connections_evicted), 1u);
  Clients::Client good = clients.open(60000);
  const size_t before = clients.harness.lines.size();
  clients.exchange(good);
  clients.harness.process();
  EXPECT_EQ(clients.harness.lines.size(), before + 2);
  clients.harness.drain();
  clients.harness.check_ledger();
}

TEST(ShardMemory, WellBehavedConnectionsBesideAnAttackComeOutWhole) {
  constexpr int kRounds = 400;
  constexpr uint16_t kGood = 20;
  Clients clients(with_memory(kMemory));
  std::vector<Clients::Client> good;
  for (uint16_t i = 0; i < kGood; i++)
    good.push_back(clients.open(static_cast<uint16_t>(60000 + i)));
  // Ten attackers a second, each leaving 256 KiB of an unfinished POST behind: 50 times the memory.
  for (int round = 0; round < kRounds; round++) {
    Clients::Client attacker = clients.open(static_cast<uint16_t>(1 + round));
    clients.unfinished_post(attacker, size_t{256} << 10);
    for (Clients::Client& client : good) clients.exchange(client);
    clients.clock_ns += kSecond / 10;
    if (round % 10 == 0) clients.harness.process();
    ASSERT_LE(clients.used(), kMemory);
  }
  clients.harness.drain();
  clients.harness.check_ledger();
  EXPECT_GE(clients.harness.count(ShardCounter::connections_evicted), 100u);
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_refused), 0u);
  EXPECT_EQ(clients.lines_with("\"path\":\"/page\""), uint64_t{kGood} * kRounds);
  // Where memory was short for a moment a body may be cut; four of five come out whole, and what
  // was cut says so.
  const uint64_t responses = clients.lines_with("\"statusCode\":200");
  EXPECT_EQ(responses, uint64_t{kGood} * kRounds);
  const uint64_t whole = clients.lines_with(std::string(1500, 'a') + std::string(1500, 'b'));
  EXPECT_GE(whole, responses * 4 / 5);
}

// Looking for idle holders of memory must not cost a walk over all who hold none.
TEST(ShardMemory, ABookmarkKeepsTheSearchLinear) {
  ConnectionList<&Connection::by_activity> list;
  Connection connections[4];
  for (Connection& connection : connections) list.push_back(&connection);
  EXPECT_EQ(list.first_unpassed(), &connections[0]);
  list.pass(&connections[0]);
  list.pass(&connections[1]);
  EXPECT_EQ(list.first_unpassed(), &connections[2]);
  list.move_to_back(&connections[1]);  // it may hold memory now
  EXPECT_EQ(list.first_unpassed(), &connections[2]);
  list.pass(&connections[2]);
  list.pass(&connections[3]);
  EXPECT_EQ(list.first_unpassed(), &connections[1]);
  list.pass(&connections[1]);
  EXPECT_EQ(list.first_unpassed(), nullptr);
  list.move_to_back(&connections[1]);  // the last one stays in its place, but moved all the same
  EXPECT_EQ(list.first_unpassed(), &connections[1]);
  list.remove(&connections[0]);
  list.remove(&connections[2]);
  list.remove(&connections[3]);
  EXPECT_EQ(list.first_unpassed(), &connections[1]);
}

}  // namespace
}  // namespace tcp_sniffer
