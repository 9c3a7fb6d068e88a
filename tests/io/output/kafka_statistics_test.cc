#include "io/output/kafka_statistics.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer::kafka_statistics_test {
namespace {

TEST(KafkaStatistics, TellBrokersThatGoAndComeBackAndLeaders) {
  const auto text = [](const char* state, int leader) {
    return std::string(R"({"txmsgs":5,"brokers":{"bootstrap":{"nodeid":-1,"state":"DOWN"},)") +
           R"("b":{"nodeid":2,"nodename":"host:9092","state":")" + state +
           R"("}},"topics":{"t":{"partitions":{"0":{"partition":0,"leader":)" +
           std::to_string(leader) + R"(},"-1":{"partition":-1,"leader":-1}}}}})";
  };
  KafkaStatistics statistics;
  EXPECT_TRUE(statistics.read(text("CONNECT", 2)).empty());
  EXPECT_TRUE(statistics.read(text("UP", 2)).empty());
  EXPECT_EQ(statistics.sent(), 5u);
  auto changes = statistics.read(text("TRY_CONNECT", -1));
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].kind, KafkaChange::Kind::kBrokerDown);
  EXPECT_EQ(changes[0].broker, "host:9092/2");
  EXPECT_EQ(changes[1].kind, KafkaChange::Kind::kLeaderChanged);
  EXPECT_EQ(changes[1].broker, "");
  changes = statistics.read(text("UP", 2));
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].kind, KafkaChange::Kind::kBrokerUp);
  EXPECT_EQ(changes[1].broker, "host:9092/2");
  EXPECT_EQ(statistics.readings(), 4u);
  for (const char* broken : {"", "[]", "{", R"({"brokers":3,"topics":[1],"txmsgs":"x"})",
                             R"({"brokers":{"a":1},"topics":{"t":{"partitions":{"0":7}}}})"}) {
    EXPECT_TRUE(statistics.read(broken).empty()) << broken;
  }
}

}  // namespace
}  // namespace tcp_sniffer::kafka_statistics_test
