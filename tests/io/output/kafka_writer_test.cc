#include "io/output/kafka_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/mock_kafka.h"
#include "support/run_program.h"

namespace tcp_sniffer::kafka_writer_test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What a writer reported.
struct Reports {
  std::vector<KafkaError> errors;
  std::map<std::string, uint64_t> failed;  // messages, by the name of the error
  std::string failed_words;
  std::vector<KafkaChange> changes;
};

struct Options {
  std::vector<std::pair<std::string, std::string>> properties{};
  MessageFraming framing = MessageFraming::kLines;
  uint64_t queue_bytes_max = 64u << 20;
  uint32_t blocks_max = LineOutput::kBlocksForWaiting;
};

KafkaSettings settings_of(const std::string& brokers, const Options& options) {
  KafkaSettings settings;
  settings.target = {brokers, "messages"};
  settings.sensor = "gateway-7";
  for (const auto& [name, value] : options.properties) {
    settings.properties.push_back({name, value, false});
  }
  settings.queue_bytes_max = options.queue_bytes_max;
  return settings;
}

// A writer with one shard's end in front of it.
class Output {
 public:
  explicit Output(const std::string& brokers, const Options& options = {})
      : lines_(queue_, memory_,
               {.may_wait = true, .blocks_max = options.blocks_max, .marks_lines = true}),
        writer_({settings_of(brokers, options), options.framing, -1}, queue_) {
    const auto problem = writer_.open();
    EXPECT_FALSE(problem) << problem->message();
    KafkaWriter::Listener listener;
    listener.on_error = [this](const KafkaError& error) {
      const std::lock_guard lock(mutex_);
      reports_.errors.push_back(error);
    };
    listener.on_failed = [this](const KafkaError& error, uint64_t messages) {
      const std::lock_guard lock(mutex_);
      reports_.failed[error.name] += messages;
      reports_.failed_words = error.words;
    };
    listener.on_change = [this](const KafkaChange& change) {
      const std::lock_guard lock(mutex_);
      reports_.changes.push_back(change);
    };
    writer_.start(std::move(listener));
  }

  // False: nobody takes lines any more.
  bool put(uint64_t connection, std::string_view text, uint64_t messages = 1) {
    if (!lines_.begin_line(text.size())) return false;
    std::memcpy(lines_.reserve(text.size()), text.data(), text.size());
    lines_.commit(lines_.reserve(0) + text.size());
    lines_.end_line(messages, 1, connection);
    put_ += messages;
    return true;
  }
  void flush() { lines_.flush(); }
  void end() {
    lines_.flush();
    writer_.end_of_input();
  }
  void finish() {
    end();
    ASSERT_TRUE(until([this] { return writer_.done(); }));
    expect_the_equations();
  }
  void expect_the_equations() {
    const KafkaWriter::Counts counts = writer_.counts();
    EXPECT_EQ(writer_.written() + writer_.discarded(), put_);
    EXPECT_EQ(counts.acknowledged, writer_.written());
    EXPECT_LE(counts.failed, writer_.discarded());
    EXPECT_EQ(counts.queued, 0u);
  }

  KafkaWriter& writer() { return writer_; }
  LineOutput& lines() { return lines_; }
  uint64_t messages_put() const { return put_; }
  Reports reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

 private:
  LineQueue queue_;
  BufferPool memory_{size_t{1} << 30};
  LineOutput lines_;
  std::mutex mutex_;
  Reports reports_;
  uint64_t put_ = 0;
  KafkaWriter writer_;
};

std::string key_of(uint64_t connection) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(connection));
  return text;
}

std::string line_of(uint64_t number, size_t size = 100) {
  std::string line = "{\"number\":" + std::to_string(number) + ",\"text\":\"";
  line.resize(std::max(line.size(), size - 3), 'x');
  return line + "\"}\n";
}

// Numbers of the lines that came, in the order of each connection.
std::map<std::string, std::vector<uint64_t>> numbers_by_key(
    const std::vector<KafkaRecord>& records) {
  std::map<std::string, std::vector<uint64_t>> numbers;
  for (const KafkaRecord& record : records) {
    numbers[record.key].push_back(Json::parse(record.value)["number"].get<uint64_t>());
  }
  return numbers;
}

// `count` lines over ten connections; each of them is there once and in order.
void put_lines(Output& output, uint64_t from, uint64_t count) {
  for (uint64_t i = from; i < from + count; i++) ASSERT_TRUE(output.put(i % 10, line_of(i)));
}

void expect_each_once_in_order(const std::vector<KafkaRecord>& records, uint64_t count) {
  EXPECT_EQ(records.size(), count);
  for (const auto& [key, numbers] : numbers_by_key(records)) {
    EXPECT_EQ(numbers.size(), count / 10) << key;
    for (size_t i = 0; i < numbers.size(); i++) {
      ASSERT_EQ(numbers[i], numbers.front() + i * 10) << key;
    }
    EXPECT_EQ(key, key_of(numbers.front()));
  }
}

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
  // The library's statistics must have seen the broker up.
  const auto has = [&](KafkaChange::Kind kind) {
    const auto changes = output.reports().changes;
    return std::any_of(changes.begin(), changes.end(),
                       [&](const KafkaChange& change) { return change.kind == kind; });
  };
  std::this_thread::sleep_for(milliseconds(2 * KafkaClient::kStatisticsMs));
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
  std::this_thread::sleep_for(milliseconds(2 * KafkaClient::kStatisticsMs));
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
}  // namespace tcp_sniffer::kafka_writer_test
