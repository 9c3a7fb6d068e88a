#pragma once

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// A cluster of brokers within the test, and what was written to it.
namespace tcp_sniffer {

struct KafkaRecord {
  int32_t partition = 0;
  std::string key;
  std::string value;
  std::map<std::string, std::string> headers;
};

class MockKafka {
 public:
  explicit MockKafka(int brokers = 1) {
    handle_ = make(RD_KAFKA_PRODUCER, {});
    cluster_ = rd_kafka_mock_cluster_new(handle_, brokers);
    EXPECT_NE(cluster_, nullptr);
  }
  ~MockKafka() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  rd_kafka_mock_cluster_t* cluster() const { return cluster_; }
  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  std::string url(std::string_view topic) const {
    return "kafka://" + brokers() + "/" + std::string(topic);
  }
  void make_topic(const std::string& topic, int partitions, int replicas = 1) const {
    EXPECT_EQ(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, replicas),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  // The next requests of this kind are answered so.
  static constexpr int16_t kProduce = 0;
  void answer(int16_t request, const std::vector<rd_kafka_resp_err_t>& errors) const {
    rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), errors.data());
  }
  void set_up(bool up, int32_t broker = -1) const {
    EXPECT_EQ(up ? rd_kafka_mock_broker_set_up(cluster_, broker)
                 : rd_kafka_mock_broker_set_down(cluster_, broker),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  // Everything that is in the topic, each partition in its order.
  std::vector<KafkaRecord> read(const std::string& topic, int partitions) const {
    rd_kafka_t* const reader = make(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers()},
                                                        {"group.id", "reader"},
                                                        {"enable.partition.eof", "true"},
                                                        {"fetch.wait.max.ms", "10"},
                                                        {"auto.offset.reset", "earliest"}});
    rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
      rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset = 0;
    }
    EXPECT_EQ(rd_kafka_assign(reader, all), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(all);
    std::vector<KafkaRecord> records;
    int ends = 0;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (ends < partitions && std::chrono::steady_clock::now() < deadline) {
      rd_kafka_message_t* const message = rd_kafka_consumer_poll(reader, 100);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ends++;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) records.push_back(record_of(*message));
      rd_kafka_message_destroy(message);
    }
    EXPECT_EQ(ends, partitions) << "the topic was not read to its end";
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return records;
  }

 private:
  static rd_kafka_t* make(rd_kafka_type_t type,
                          const std::map<std::string, std::string>& settings) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    char words[256] = "";
    for (const auto& [name, value] : settings) {
      EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), words, sizeof(words)),
                RD_KAFKA_CONF_OK)
          << words;
    }
    rd_kafka_conf_set_log_cb(conf, nullptr);
    rd_kafka_t* const made = rd_kafka_new(type, conf, words, sizeof(words));
    EXPECT_NE(made, nullptr) << words;
    return made;
  }

  static KafkaRecord record_of(const rd_kafka_message_t& message) {
    KafkaRecord record;
    record.partition = message.partition;
    record.key.assign(static_cast<const char*>(message.key), message.key_len);
    record.value.assign(static_cast<const char*>(message.payload), message.len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
      record.headers[name] = std::string(static_cast<const char*>(value), size);
    }
    return record;
  }

  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace tcp_sniffer
