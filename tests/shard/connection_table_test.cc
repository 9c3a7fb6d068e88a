#include "shard/connection_table.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/limits.h"
#include "core/message/message_output.h"
#include "core/protocol/protocols.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::connection_table_test {
namespace {

using shard_harness::hash_of;

FlowKey key_number(uint32_t number) {
  FlowKey key = shard_harness::key_of(static_cast<uint16_t>(number));
  key.tunnel_id = number;
  return key;
}

TEST(ConnectionTable, FindsWhatWasInsertedAndNothingElse) {
  ConnectionTable table;
  Connection* first = table.insert(7, key_number(1));
  Connection* second = table.insert(9, key_number(2));
  EXPECT_EQ(table.find(7, key_number(1)), first);
  EXPECT_EQ(table.find(9, key_number(2)), second);
  EXPECT_EQ(table.find(7, key_number(2)), nullptr);
  EXPECT_EQ(table.find(8, key_number(1)), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

TEST(ConnectionTable, KeysWithTheSameHashAreDifferentConnections) {
  ConnectionTable table;
  Connection* first = table.insert(7, key_number(1));
  Connection* second = table.insert(7, key_number(2));
  EXPECT_NE(first, second);
  EXPECT_EQ(table.find(7, key_number(1)), first);
  EXPECT_EQ(table.find(7, key_number(2)), second);
}

TEST(ConnectionTable, AnErasedConnectionLeavesItsNeighboursReachable) {
  ConnectionTable table;
  std::vector<Connection*> chain;
  for (uint32_t i = 0; i < 10; i++) chain.push_back(table.insert(4095, key_number(i)));
  table.erase(chain[3]);
  table.erase(chain[0]);
  EXPECT_EQ(table.find(4095, key_number(3)), nullptr);
  for (const uint32_t i : {1u, 2u, 4u, 5u, 6u, 7u, 8u, 9u}) {
    EXPECT_EQ(table.find(4095, key_number(i)), chain[i]) << i;
  }
}

TEST(ConnectionTable, AReusedObjectIsAsNew) {
  ConnectionTable table;
  Connection* connection = table.insert(1, key_number(1));
  connection->state = ConnectionState::kClosing;
  connection->streams[0].head = 5;
  connection->streams[1].ended = true;
  connection->pending.is_set = true;
  connection->identity.roles.know(Side::kLow);
  table.erase(connection);
  Connection* again = table.insert(2, key_number(2));
  EXPECT_EQ(again, connection);
  EXPECT_EQ(again->state, ConnectionState::kHandshake);
  EXPECT_EQ(again->streams[0].head, kStreamOrigin);
  EXPECT_FALSE(again->streams[1].ended);
  EXPECT_FALSE(again->pending.is_set);
  EXPECT_FALSE(again->identity.roles.known());
  EXPECT_EQ(again->identity.key, key_number(2));
}

struct CountedMessages final : MessageOutput {
  int messages = 0;
  void on_message(const Message&, ConnectionIdentity&) override { messages++; }
  bool may_split(const Message&) const override { return false; }
  PartTaken on_part(const Message&, ConnectionIdentity&) override { return PartTaken::kNever; }
  void on_unanswered(const Message&, ConnectionIdentity&, Orphan) override {}
  void on_orphan(ConnectionIdentity&, uint64_t, Orphan) override {}
  void on_connection_over(ConnectionIdentity&, Incomplete) override {}
};

TEST(ConnectionTable, AReusedObjectSpeaksItsProtocolFromTheBeginning) {
  BufferPool pool(1 << 20);
  ShardCounters counters;
  CountedMessages output;
  shard_harness::RecordedEvents events;
  Protocols protocols({}, pool, counters, output, events);
  const auto consume = [&](Connection& connection, Side side, std::string_view text,
                           uint64_t offset = 0) {
    ProtocolCall call(protocols, connection.protocol, connection.choice, connection.identity, 0, 0,
                      Incomplete::kNo);
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()),
                                         text.size());
    EXPECT_EQ(call.consume(side, kStreamOrigin + offset, bytes, {}, false), text.size());
  };
  const auto close = [&](Connection& connection) {
    ProtocolCall(protocols, connection.protocol, connection.choice, connection.identity, 0, 0,
                 Incomplete::kClosed)
        .close();
  };
  ConnectionTable table;
  Connection* connection = table.insert(1, key_number(1));
  const std::string_view connect = "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n";
  consume(*connection, Side::kLow, connect);
  consume(*connection, Side::kHigh, "HTTP/1.1 200 OK\r\n\r\n");
  consume(*connection, Side::kLow, "GET / HTTP/1.1\r\n\r\n", connect.size());
  EXPECT_EQ(output.messages, 2);  // what passes through the tunnel is none
  close(*connection);
  table.erase(connection);
  Connection* again = table.insert(2, key_number(2));
  ASSERT_EQ(again, connection);
  consume(*again, Side::kLow, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(output.messages, 3);
  close(*again);
}

TEST(ConnectionTable, GrowsAndKeepsConnectionsWhereTheyAre) {
  ConnectionTable table;
  std::vector<Connection*> all;
  for (uint32_t i = 0; i < 100'000; i++) {
    const FlowKey key = key_number(i);
    all.push_back(table.insert(hash_of(key), key));
    ASSERT_NE(all.back(), nullptr) << i;
  }
  for (uint32_t i = 0; i < all.size(); i++) {
    const FlowKey key = key_number(i);
    ASSERT_EQ(table.find(hash_of(key), key), all[i]);
  }
}

TEST(ConnectionTable, AChainThatIsTooLongIsRefusedAndTheOthersStay) {
  ConnectionTable table;
  for (uint32_t i = 0; i < kProbesMax; i++) ASSERT_NE(table.insert(5, key_number(i)), nullptr) << i;
  EXPECT_EQ(table.insert(5, key_number(1000)), nullptr);
  EXPECT_EQ(table.size(), kProbesMax);
  EXPECT_EQ(table.find(5, key_number(1000)), nullptr);
  EXPECT_NE(table.insert(5000, key_number(1001)), nullptr);
}

TEST(ConnectionTable, AgreesWithAMap) {
  for (uint64_t seed = 0; seed < 30; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    ConnectionTable table;
    std::map<uint32_t, Connection*> model;
    // Few hash values, so that chains run into each other and over the end of the slots.
    const auto hash = [](uint32_t number) { return uint64_t{4080} + (number * 7) % 40; };
    for (int step = 0; step < 3000; step++) {
      const auto number = static_cast<uint32_t>(random() % 60);
      const auto found = model.find(number);
      Connection* connection = table.find(hash(number), key_number(number));
      ASSERT_EQ(connection, found == model.end() ? nullptr : found->second);
      if (connection == nullptr) {
        connection = table.insert(hash(number), key_number(number));
        if (connection != nullptr) model[number] = connection;
      } else if (random() % 2 == 0) {
        table.erase(connection);
        model.erase(found);
      }
      ASSERT_EQ(table.size(), model.size());
      if (step % 100 == 0) table.check_invariants();
    }
  }
}

// ---------------------------------------------------------------- lists

struct ConnectionListTest : testing::Test {
  ConnectionList<&Connection::by_activity> list;
  Connection a, b, c;

  std::vector<Connection*> order() const {
    std::vector<Connection*> all;
    for (Connection* at = list.front(); at != nullptr; at = at->by_activity.next) all.push_back(at);
    EXPECT_EQ(all.size(), list.size());
    EXPECT_EQ(list.back(), all.empty() ? nullptr : all.back());
    return all;
  }
};

TEST_F(ConnectionListTest, TheFrontIsTheOldest) {
  list.push_back(&a);
  list.push_back(&b);
  list.push_back(&c);
  EXPECT_EQ(order(), (std::vector{&a, &b, &c}));
  list.move_to_back(&a);
  EXPECT_EQ(order(), (std::vector{&b, &c, &a}));
  list.move_to_back(&a);
  EXPECT_EQ(order(), (std::vector{&b, &c, &a}));
}

TEST_F(ConnectionListTest, AnyPlaceCanBeRemoved) {
  list.push_back(&a);
  list.push_back(&b);
  list.push_back(&c);
  list.remove(&b);
  EXPECT_EQ(order(), (std::vector{&a, &c}));
  list.remove(&a);
  list.remove(&c);
  EXPECT_TRUE(list.empty());
  list.push_back(&b);
  EXPECT_EQ(order(), (std::vector{&b}));
}

TEST_F(ConnectionListTest, ASearchGoesOnBehindTheBookmark) {
  list.push_back(&a);
  list.push_back(&b);
  list.push_back(&c);
  EXPECT_EQ(list.first_unpassed(), &a);
  list.pass(&a);
  list.pass(&b);
  EXPECT_EQ(list.first_unpassed(), &c);
  // What is passed and moves to the back is to be looked at again.
  list.move_to_back(&b);
  EXPECT_EQ(list.first_unpassed(), &c);
  list.pass(&c);
  EXPECT_EQ(list.first_unpassed(), &b);
  list.remove(&a);
  list.remove(&c);
  EXPECT_EQ(list.first_unpassed(), &b);
}

}  // namespace
}  // namespace tcp_sniffer::connection_table_test
