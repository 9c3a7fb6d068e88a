// What gives way when a shard's memory runs short, and that those who behave still come out.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "support/shard_harness.h"

namespace tcp_sniffer::shard_memory_test {
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
  void lose(Client& client, uint32_t bytes) { client.sent += bytes; }
  void acknowledge(const Client& client) {
    segment(client, Side::kLow, "", kTcpAck, client.sent, client.received);
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
  // A segment of a connection of which nothing else is ever seen.
  void stray(uint16_t port, std::string_view text) {
    segment(Client{port}, Side::kLow, text, kTcpAck, 777'000, 888'000);
  }
  // An exchange whose response takes three segments, so that it needs memory in between.
  void exchange(Client& client) {
    request(client, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    response(client, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    response(client, std::string(1500, 'a'));
    response(client, std::string(1500, 'b'));
  }
  // Connections given up for this reason.
  uint64_t evicted(std::string_view reason) const {
    uint64_t count = 0;
    for (const EventRecord& record : harness.events.records) {
      count += record.kind == EventKind::kConnectionEvicted && record.detail == reason;
    }
    return count;
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
  EXPECT_EQ(clients.lines_with("\"path\":\"/upload\""), evicted);
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

// Heads and holes take memory that bodies may not, up to where new connections are refused. When
// all of them are active, too, those go that hold most for what they delivered.
TEST(ShardMemory, NewConnectionsAreRefusedUntilTheBlockIsOverWhereEverybodyIsActive) {
  Clients clients(with_memory(kMemory));
  Clients::Client good = clients.open(60000);
  clients.exchange(good);
  clients.harness.process();
  std::string head = "GET / HTTP/1.1\r\n";
  while (head.size() < 200'000) head += "X-Filler: 0123456789012345678901234567890123456789\r\n";
  for (uint16_t port = 1; port <= 100; port++) {
    Clients::Client attacker = clients.open(port);
    for (size_t at = 0; at < head.size(); at += 1400) {
      clients.request(attacker, std::string_view(head).substr(at, 1400));
    }
    ASSERT_LE(clients.used(), kMemory);
  }
  clients.harness.process();
  EXPECT_GE(clients.harness.count(ShardCounter::connections_evicted), 1u);
  EXPECT_EQ(clients.evicted("most held, for memory"),
            clients.harness.count(ShardCounter::connections_evicted));
  const size_t before = clients.harness.lines.size();
  clients.exchange(good);
  Clients::Client fresh = clients.open(60001);
  clients.exchange(fresh);
  clients.harness.process();
  EXPECT_EQ(clients.harness.lines.size(), before + 4);
  clients.harness.drain();
  clients.harness.check_ledger();
}

// Bytes behind a hole, and never the byte in front of them: who does that is given up before a body
// of anybody else is cut, however often it speaks.
TEST(ShardMemory, WhoHoldsMuchAndDeliveredLittleGoesFirstHoweverRecentlyItSpoke) {
  constexpr uint16_t kGood = 10;
  constexpr int kRounds = 60;  // an attacker more in each
  constexpr size_t kLarge = size_t{16} << 20;
  Clients clients(with_memory(kLarge));
  std::vector<Clients::Client> good;
  for (uint16_t i = 0; i < kGood; i++) {
    good.push_back(clients.open(static_cast<uint16_t>(60000 + i)));
    clients.exchange(good.back());
  }
  Clients::Client uploader = clients.open(50000);
  const std::string part(4000, 'u');
  clients.request(uploader, "POST /whole HTTP/1.1\r\nContent-Length: " +
                                std::to_string(part.size() * kRounds) + "\r\n\r\n");
  std::vector<Clients::Client> attackers;
  for (int round = 0; round < kRounds; round++) {
    attackers.push_back(clients.open(static_cast<uint16_t>(1 + round)));
    clients.request(attackers.back(), "POST /hole HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
    if (round % 2 == 1) {
      // Further than any window, and going on there: the head jumps, but that delivers nothing.
      clients.lose(attackers.back(), 64u << 20);
      for (int i = 0; i < kStrayAgreement; i++) clients.request(attackers.back(), "0123456789");
    }
    clients.lose(attackers.back(), 1);
    for (int i = 0; i < 300; i++) clients.request(attackers.back(), std::string(1400, 'h'));
    for (const Clients::Client& attacker : attackers) clients.acknowledge(attacker);
    for (Clients::Client& client : good) clients.exchange(client);
    clients.request(uploader, part);
    clients.clock_ns += kSecond / 10;
    clients.harness.process();
    ASSERT_LE(clients.used(), kLarge);
  }
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_refused), 0u);
  EXPECT_GE(clients.harness.count(ShardCounter::connections_evicted), kRounds / 2u);
  EXPECT_EQ(clients.evicted("most held, for memory"),
            clients.harness.count(ShardCounter::connections_evicted));
  EXPECT_EQ(clients.lines_with(std::string(1500, 'a') + std::string(1500, 'b')),
            uint64_t{kGood} * (kRounds + 1));
  EXPECT_EQ(clients.lines_with("\"bodySize\":" + std::to_string(part.size() * kRounds)), 1u);
  for (const std::string& line : clients.harness.lines) {
    if (line.find("\"incomplete\"") != std::string::npos) {
      EXPECT_NE(line.find("\"path\":\"/hole\""), std::string::npos);
    }
  }
  clients.harness.drain();
  clients.harness.check_ledger();
}

// Nor is memory taken for what is only announced, beyond a quarter of it.
TEST(ShardMemory, AnAnnouncedBodyTakesMemoryForWhatHasComeOfIt) {
  constexpr uint16_t kClients = 50;
  constexpr size_t kAll = size_t{64} << 20;
  Clients clients(with_memory(kAll));
  for (uint16_t port = 1; port <= kClients; port++) {
    Clients::Client client = clients.open(port);
    clients.unfinished_post(client, 17'000);
  }
  clients.harness.process();
  EXPECT_LE(clients.used(), kAll / 4 + size_t{kClients} * (17'000 * 8 + 4096));
  clients.harness.drain();
  EXPECT_EQ(clients.lines_with("\"path\":\"/upload\""), kClients);
  clients.harness.check_ledger();
}

// What uploads took while memory was plentiful is there for all of them when it no longer is.
TEST(ShardMemory, MemoryForWhatHasNotComeIsTakenBackBeforeAnyBodyIsCut) {
  constexpr uint16_t kUploads = 25;
  constexpr size_t kBody = size_t{1} << 20;
  ShardSettings settings = with_memory(size_t{32} << 20);
  settings.protocols.http.hands_bodies_over = true;
  Clients clients(settings);
  std::vector<Clients::Client> uploads;
  for (uint16_t i = 0; i < kUploads; i++) {
    uploads.push_back(clients.open(static_cast<uint16_t>(1 + i)));
    clients.request(uploads.back(), "POST /upload HTTP/1.1\r\nContent-Length: " +
                                        std::to_string(kBody) + "\r\n\r\n");
  }
  const std::string part(4096, 'u');
  for (size_t at = 0; at < kBody; at += part.size()) {
    for (Clients::Client& upload : uploads) clients.request(upload, part);
  }
  clients.harness.process();
  EXPECT_EQ(clients.lines_with("\"path\":\"/upload\""), kUploads);
  EXPECT_EQ(clients.lines_with("\"incomplete\""), 0u);
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_evicted), 0u);
  clients.harness.drain();
  clients.harness.check_ledger();
}

// They hold much for what they delivered only because it was there.
TEST(ShardMemory, UploadsThatBeganWhileMemoryWasPlentifulAreNotGivenUp) {
  constexpr uint16_t kUploads = 6;
  Clients clients(with_memory(size_t{32} << 20));
  std::vector<Clients::Client> uploads;
  for (uint16_t i = 0; i < kUploads; i++) {
    uploads.push_back(clients.open(static_cast<uint16_t>(60000 + i)));
    clients.unfinished_post(uploads.back(), 10'000);
  }
  clients.harness.process();
  EXPECT_GE(clients.used(), kUploads * (size_t{1} << 20));
  for (uint16_t port = 1; port <= 300; port++) {
    Clients::Client other = clients.open(port);
    clients.unfinished_post(other, 100'000);
    clients.harness.process();
  }
  EXPECT_EQ(clients.harness.count(ShardCounter::connections_evicted), 0u);
  EXPECT_GE(clients.harness.count(ShardCounter::incomplete_limit) +
                clients.harness.count(ShardCounter::memory_refusals),
            1u);
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

// What anybody can send without an answer takes no place from a connection that has two sides: one
// address and port after the other, in the middle of a stream nobody knows.
TEST(ShardPlaces, ConnectionsWithTwoSidesOutlastSegmentsOfWhoNeverGetsAnAnswer) {
  constexpr uint16_t kReal = 1000;
  for (const std::string_view text :
       {std::string_view("xy"), std::string_view("\x16\x03"),
        std::string_view(
            "neither a request nor a response, but as long as a whole line may be\r\n"),
        std::string_view("GET /spoofed HTTP/1.1\r\nHost: a\r\n\r\n")}) {
    for (const uint64_t spare : {0, 1, 100}) {
      ShardSettings settings;
      settings.connections_max = kReal + spare;
      Clients clients(settings);
      std::vector<Clients::Client> real;
      for (uint16_t i = 0; i < kReal; i++) {
        real.push_back(clients.open(static_cast<uint16_t>(1 + i)));
        clients.exchange(real.back());
      }
      for (uint16_t port = 2000; port < 7000; port++) clients.stray(port, text);
      clients.harness.process();
      uint64_t lost = 0;
      for (const EventRecord& record : clients.harness.events.records) {
        lost += record.kind == EventKind::kConnectionEvicted && record.key.low_port <= kReal;
      }
      // A whole request is worth a place; the next one takes it from the one before.
      EXPECT_LE(lost, text.starts_with("GET") && spare == 0 ? 1u : 0u) << text << " " << spare;
      for (Clients::Client& client : real) clients.exchange(client);
      clients.harness.drain();
      EXPECT_EQ(clients.lines_with("\"path\":\"/page\""), 2u * kReal);
      EXPECT_LE(clients.lines_with("\"afterGap\""), 2 * lost + 5000 * text.starts_with("GET"));
      clients.harness.check_ledger();
    }
  }
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
}  // namespace tcp_sniffer::shard_memory_test
