#include "io/output/kafka_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "support/kafka_output.h"
#include "support/mock_kafka.h"
#include "support/run_program.h"

namespace tcp_sniffer::kafka_writer_test {
namespace {

using namespace kafka_output;
using std::chrono::milliseconds;

TEST(KafkaWriter, EachLineArrivesOnceWithItsKeyAndHeadersInTheOrderOfItsConnection) {
  const MockKafka kafka(3);
  kafka.make_topic("messages", 4);
  Output output(kafka.brokers());
  put_lines(output, 0, 5000);
  output.finish();
  EXPECT_EQ(output.writer().written(), 5000u);
  EXPECT_EQ(output.writer().counts().retried, 0u);
  const auto records = kafka.read("messages", 4);
  expect_each_once_in_order(records, 5000);
  std::map<std::string, std::set<int32_t>> partitions;
  uint64_t bytes = 0;
  for (const KafkaRecord& record : records) {
    partitions[record.key].insert(record.partition);
    bytes += record.value.size();
    ASSERT_EQ(record.headers, (std::map<std::string, std::string>{{"schemaVersion", "1"},
                                                                  {"sensor", "gateway-7"}}));
    ASSERT_NE(record.value.back(), '\n');
  }
  for (const auto& [key, of_key] : partitions) EXPECT_EQ(of_key.size(), 1u) << key;
  EXPECT_EQ(output.writer().bytes(), bytes);
}

TEST(KafkaWriter, SeveralLinesOfOneMarkAreMessagesOfTheirOwn) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  Output output(kafka.brokers());
  output.put(1, line_of(0) + line_of(1) + line_of(2), 3);
  output.put(2, line_of(3), 3);  // an exchange with an interim response
  output.put(3, line_of(4), 0);  // a part of a message
  output.finish();
  EXPECT_EQ(output.writer().written(), 6u);
  const auto numbers = numbers_by_key(kafka.read("messages", 1));
  EXPECT_EQ(numbers.at(key_of(1)), (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(numbers.at(key_of(2)), (std::vector<uint64_t>{3}));
  EXPECT_EQ(numbers.at(key_of(3)), (std::vector<uint64_t>{4}));
}

TEST(KafkaWriter, AnErrorThatMayPassIsTriedAgainAndNothingIsLostOrDoubled) {
  const MockKafka kafka(3);
  kafka.make_topic("messages", 4, 3);
  kafka.answer(MockKafka::kProduce,
               {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
  Output output(kafka.brokers(), {.properties = {{"retry.backoff.ms", "20"}}});
  put_lines(output, 0, 1000);
  output.finish();
  EXPECT_EQ(output.writer().written(), 1000u);
  EXPECT_GT(output.writer().counts().retried, 0u);
  EXPECT_TRUE(output.reports().failed.empty());
  expect_each_once_in_order(kafka.read("messages", 4), 1000);
}

TEST(KafkaWriter, BrokersThatGoAndComeBackAreReportedAndNothingIsLost) {
  const MockKafka kafka(1);
  kafka.make_topic("messages", 2);
  Output output(kafka.brokers(), {.properties = {{"reconnect.backoff.max.ms", "100"}}});
  put_lines(output, 0, 100);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().written() == 100; }));
  const auto has = [&](KafkaChange::Kind kind) {
    const auto changes = output.reports().changes;
    return std::any_of(changes.begin(), changes.end(),
                       [&](const KafkaChange& change) { return change.kind == kind; });
  };
  ASSERT_TRUE(output.sees_the_cluster());
  kafka.set_up(false);
  put_lines(output, 100, 100);
  output.flush();
  ASSERT_TRUE(until([&] { return has(KafkaChange::Kind::kBrokerDown); }));
  EXPECT_FALSE(output.reports().errors.empty());
  EXPECT_GT(output.writer().counts().errors, 0u);
  EXPECT_EQ(output.writer().written(), 100u);
  kafka.set_up(true);
  ASSERT_TRUE(until([&] { return has(KafkaChange::Kind::kBrokerUp); }));
  output.finish();
  EXPECT_EQ(output.writer().written(), 200u);
  expect_each_once_in_order(kafka.read("messages", 2), 200);
}

TEST(KafkaWriter, AnotherLeaderIsReportedAndNothingIsLost) {
  const MockKafka kafka(2);
  kafka.make_topic("messages", 1, 2);
  rd_kafka_mock_partition_set_leader(kafka.cluster(), "messages", 0, 1);
  Output output(kafka.brokers());
  put_lines(output, 0, 100);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().written() == 100; }));
  ASSERT_TRUE(output.sees_the_cluster());
  rd_kafka_mock_partition_set_leader(kafka.cluster(), "messages", 0, 2);
  put_lines(output, 100, 100);
  output.flush();
  ASSERT_TRUE(until([&] {
    const auto changes = output.reports().changes;
    return std::any_of(changes.begin(), changes.end(), [](const KafkaChange& change) {
      return change.kind == KafkaChange::Kind::kLeaderChanged && change.broker.ends_with("/2") &&
             change.partition == 0;
    });
  }));
  output.finish();
  EXPECT_EQ(output.writer().written(), 200u);
  expect_each_once_in_order(kafka.read("messages", 1), 200);
}

TEST(KafkaWriter, AFullQueueHoldsUpItsShardAndLosesNothing) {
  const MockKafka kafka;
  kafka.make_topic("messages", 2);
  kafka.set_up(false);
  // 100 messages, and two blocks in front of them.
  Output output(kafka.brokers(), {.properties = {{"reconnect.backoff.max.ms", "100"}},
                                  .queue_bytes_max = 2 * 64000,
                                  .blocks_max = 2});
  std::thread shard([&] { put_lines(output, 0, 6000); });
  ASSERT_TRUE(until([&] { return output.lines().waits(); }));
  EXPECT_LE(output.writer().counts().queued, 100u);
  EXPECT_EQ(output.writer().discarded(), 0u);
  kafka.set_up(true);
  shard.join();
  output.finish();
  EXPECT_EQ(output.writer().written(), 6000u);
  expect_each_once_in_order(kafka.read("messages", 2), 6000);
}

TEST(KafkaWriter, AShardThatIsAbandonedWhileTheQueueIsFullEndsToo) {
  Output output("127.0.0.1:1", {.queue_bytes_max = 2 * 64000, .blocks_max = 2});
  bool all_taken = true;
  std::thread shard([&] {
    for (uint64_t i = 0; i < 100000 && all_taken; i++) all_taken = output.put(1, line_of(i));
  });
  ASSERT_TRUE(until([&] { return output.lines().waits(); }));
  output.lines().abandon();
  output.writer().abort();
  shard.join();
  EXPECT_FALSE(all_taken);
  output.finish();
  EXPECT_EQ(output.writer().discarded(), output.messages_put());
}

TEST(KafkaWriterLook, TellsThePartitionsOfATopicOrWhyItCannotBeWritten) {
  const MockKafka kafka;
  kafka.make_topic("messages", 7);
  const auto found = KafkaWriter::look_at(settings_of(kafka.brokers(), {}));
  ASSERT_TRUE(std::holds_alternative<uint32_t>(found));
  EXPECT_EQ(std::get<uint32_t>(found), 7u);

  rd_kafka_mock_topic_set_error(kafka.cluster(), "messages",
                                RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const auto denied = KafkaWriter::look_at(settings_of(kafka.brokers(), {}));
  ASSERT_TRUE(std::holds_alternative<Problem>(denied));
  EXPECT_NE(std::get<Problem>(denied).message().find("uthorization"), std::string::npos);

  const auto unreachable = KafkaWriter::look_at(settings_of("127.0.0.1:1", {}));
  ASSERT_TRUE(std::holds_alternative<Problem>(unreachable));
  EXPECT_EQ(std::get<Problem>(unreachable).code, ErrorCode::kOutputFailed);
  EXPECT_NE(std::get<Problem>(unreachable).message().find("refused"), std::string::npos);
}

TEST(KafkaWriterLook, SettingsThatDoNotFitAreReportedWithoutTheirSecrets) {
  KafkaSettings settings = settings_of("127.0.0.1:1", {});
  settings.properties = {{"acks", "1", false}};
  const auto wrong = KafkaWriter::look_at(settings);
  ASSERT_TRUE(std::holds_alternative<Problem>(wrong));
  EXPECT_EQ(std::get<Problem>(wrong).code, ErrorCode::kInvalidConfig);
  EXPECT_NE(std::get<Problem>(wrong).message().find("acks"), std::string::npos);

  settings.properties = {{"security.protocol", "ssl", true},
                         {"ssl.key.location", "/nowhere/hunter2.pem", true}};
  const auto hidden = KafkaWriter::look_at(settings);
  ASSERT_TRUE(std::holds_alternative<Problem>(hidden));
  EXPECT_EQ(std::get<Problem>(hidden).message().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace tcp_sniffer::kafka_writer_test
