// What an output to Kafka does when brokers refuse what it sends, or are not there.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "io/output/kafka_writer.h"
#include "support/kafka_output.h"
#include "support/mock_kafka.h"
#include "support/run_program.h"

namespace tcp_sniffer::kafka_writer_faults_test {
namespace {

using namespace kafka_output;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

TEST(KafkaWriter, AMessageThatIsTooLargeIsLostAndReportedAndTheOthersArrive) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  Output output(kafka.brokers(), {.properties = {{"message.max.bytes", "2000"}}});
  output.put(1, line_of(0));
  output.put(1, line_of(1, 3000));
  output.put(1, line_of(2));
  output.finish();
  EXPECT_EQ(output.writer().written(), 2u);
  EXPECT_EQ(output.writer().counts().failed, 1u);
  EXPECT_EQ(output.reports().failed.at("MSG_SIZE_TOO_LARGE"), 1u);
  EXPECT_NE(output.reports().failed_words.find("too large"), std::string::npos);
  EXPECT_EQ(numbers_by_key(kafka.read("messages", 1)).at(key_of(1)), (std::vector<uint64_t>{0, 2}));
}

TEST(KafkaWriter, WhatABrokerRejectsForGoodIsCountedAndReportedInItsWords) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  kafka.answer(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  Output output(kafka.brokers(), {.properties = {{"topic.metadata.refresh.interval.ms", "100"}}});
  put_lines(output, 0, 10);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().counts().failed == 10; }));
  EXPECT_EQ(output.writer().written(), 0u);
  // It may be written again.
  uint64_t number = 10;
  ASSERT_TRUE(until([&] {
    output.put(1, line_of(number++));
    output.flush();
    return output.writer().written() > 0;
  }));
  output.finish();
  const Reports reports = output.reports();
  EXPECT_EQ(reports.failed.at("TOPIC_AUTHORIZATION_FAILED"), output.writer().counts().failed);
  EXPECT_EQ(reports.failed_words, "Broker: Topic authorization failed");
}

TEST(KafkaWriter, ATopicThatIsNotThereLosesItsMessagesAndSaysSo) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  rd_kafka_mock_topic_set_error(kafka.cluster(), "messages",
                                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  Output output(kafka.brokers(), {.properties = {{"topic.metadata.propagation.max.ms", "100"},
                                                 {"topic.metadata.refresh.interval.ms", "100"}}});
  put_lines(output, 0, 10);
  output.finish();
  EXPECT_EQ(output.writer().written(), 0u);
  EXPECT_EQ(output.writer().discarded(), 10u);
  ASSERT_FALSE(output.reports().failed.empty());
  EXPECT_EQ(output.reports().failed_words.find("number"), std::string::npos);
  EXPECT_NE(output.reports().failed.begin()->first.find("UNKNOWN_TOPIC"), std::string::npos);
}

TEST(KafkaWriter, ATopicThatIsNotThereIsReportedWhileItsMessagesWait) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  rd_kafka_mock_topic_set_error(kafka.cluster(), "messages",
                                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  Output output(kafka.brokers());
  put_lines(output, 0, 10);
  output.flush();
  ASSERT_TRUE(until([&] { return !output.reports().errors.empty(); }));
  EXPECT_EQ(output.reports().errors.front().name, "UNKNOWN_TOPIC_OR_PART");
  EXPECT_EQ(output.writer().discarded(), 0u);
  rd_kafka_mock_topic_set_error(kafka.cluster(), "messages", RD_KAFKA_RESP_ERR_NO_ERROR);
  output.finish();
  EXPECT_EQ(output.writer().written(), 10u);
}

TEST(KafkaWriter, WhatCannotBeSentAnyMoreEndsTheOutputWithTheLibrarysWords) {
  constexpr int16_t kInitProducerId = 22;
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  kafka.answer(kInitProducerId, {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED});
  Output output(kafka.brokers());
  put_lines(output, 0, 10);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().end() == OutputThread::End::kFailed; }));
  EXPECT_EQ(output.writer().problem().code, ErrorCode::kOutputFailed);
  EXPECT_NE(output.writer().problem().message().find("CLUSTER_AUTHORIZATION_FAILED"),
            std::string::npos)
      << output.writer().problem().message();
  put_lines(output, 10, 10);
  output.finish();
  EXPECT_EQ(output.writer().discarded(), 20u);
}

TEST(KafkaWriter, UnreachableBrokersHoldUpNoEndAndAllIsCounted) {
  Output output("127.0.0.1:1");
  put_lines(output, 0, 1000);
  output.end();
  ASSERT_TRUE(until([&] { return !output.reports().errors.empty(); }));
  EXPECT_FALSE(output.writer().done());
  const auto before = Clock::now();
  output.writer().abort();
  ASSERT_TRUE(until([&] { return output.writer().done(); }));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(2));
  output.expect_the_equations();
  EXPECT_EQ(output.writer().discarded(), 1000u);
  EXPECT_EQ(output.writer().counts().failed, 0u);
  EXPECT_EQ(output.writer().written(), 0u);
}

TEST(KafkaWriter, AfterAFatalErrorAnotherProducerTakesOver) {
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  Output output(kafka.brokers());
  put_lines(output, 0, 100);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().written() == 100; }));
  // Of the oldest request under way it means that the broker has lost what it knew of the producer.
  kafka.answer(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  put_lines(output, 100, 50);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().counts().failed == 50; }));
  put_lines(output, 150, 100);
  output.finish();
  EXPECT_EQ(output.writer().end(), OutputThread::End::kNone);
  EXPECT_EQ(output.writer().written(), 200u);
  EXPECT_EQ(output.writer().discarded(), 50u);
  EXPECT_EQ(output.writer().counts().retried, 0u);
  const Reports reports = output.reports();
  EXPECT_EQ(reports.failed.at("OUT_OF_ORDER_SEQUENCE_NUMBER"), 50u);
  EXPECT_TRUE(std::any_of(
      reports.errors.begin(), reports.errors.end(),
      [](const KafkaError& error) { return error.name == "OUT_OF_ORDER_SEQUENCE_NUMBER"; }));
  for (const auto& [key, numbers] : numbers_by_key(kafka.read("messages", 1))) {
    EXPECT_EQ(numbers.size(), 20u) << key;
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << key;
  }
}

TEST(KafkaWriter, WithoutAnAnswerTheOutputFailsAfterItsTime) {
  Output output("127.0.0.1:1", {.connect_timeout = milliseconds(500)});
  const auto before = Clock::now();
  put_lines(output, 0, 10);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().end() == OutputThread::End::kFailed; }));
  EXPECT_GE(Clock::now() - before, milliseconds(500));
  const Problem& problem = output.writer().problem();
  EXPECT_EQ(problem.code, ErrorCode::kOutputFailed);
  for (const char* word : {"127.0.0.1:1", "500 ms", "refused", "_TRANSPORT"}) {
    EXPECT_NE(problem.message().find(word), std::string::npos) << problem.message();
  }
  output.finish();
  EXPECT_EQ(output.writer().discarded(), 10u);
}

TEST(KafkaWriter, AfterAnAnswerTheOutputWaitsForItsBrokers) {
  constexpr auto kTimeout = milliseconds(2000);
  const MockKafka kafka;
  kafka.make_topic("messages", 1);
  Output output(kafka.brokers(),
                {.properties = {{"reconnect.backoff.max.ms", "100"}}, .connect_timeout = kTimeout});
  put_lines(output, 0, 10);
  output.flush();
  ASSERT_TRUE(until([&] { return output.writer().written() == 10; }));
  kafka.set_up(false);
  put_lines(output, 10, 10);
  output.flush();
  const auto sent_at = Clock::now();
  ASSERT_TRUE(until([&] { return Clock::now() - sent_at > kTimeout; }));
  EXPECT_EQ(output.writer().end(), OutputThread::End::kNone);
  kafka.set_up(true);
  output.finish();
  EXPECT_EQ(output.writer().written(), 20u);
}

}  // namespace
}  // namespace tcp_sniffer::kafka_writer_faults_test
