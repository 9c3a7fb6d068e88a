#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/output/kafka_writer.h"
#include "support/mock_kafka.h"
#include "support/run_program.h"

// A KafkaWriter within the test, and lines for it.
namespace tcp_sniffer::kafka_output {

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
  std::chrono::milliseconds connect_timeout{0};
};

inline KafkaSettings settings_of(const std::string& brokers, const Options& options) {
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
        writer_({settings_of(brokers, options), options.framing, -1, options.connect_timeout},
                queue_) {
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

  // Waits until the library has told how the cluster is now: a change is told in comparison with
  // it. Statistics that were on their way may be older.
  bool sees_the_cluster() {
    const uint64_t before = writer_.counts().readings;
    return until([&] { return writer_.counts().readings >= before + 2; });
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

inline std::string key_of(uint64_t connection) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(connection));
  return text;
}

inline std::string line_of(uint64_t number, size_t size = 100) {
  std::string line = "{\"number\":" + std::to_string(number) + ",\"text\":\"";
  line.resize(std::max(line.size(), size - 3), 'x');
  return line + "\"}\n";
}

// Numbers of the lines that came, in the order of each connection.
inline std::map<std::string, std::vector<uint64_t>> numbers_by_key(
    const std::vector<KafkaRecord>& records) {
  std::map<std::string, std::vector<uint64_t>> numbers;
  for (const KafkaRecord& record : records) {
    numbers[record.key].push_back(Json::parse(record.value)["number"].get<uint64_t>());
  }
  return numbers;
}

// `count` lines over ten connections; each of them is there once and in order.
inline void put_lines(Output& output, uint64_t from, uint64_t count) {
  for (uint64_t i = from; i < from + count; i++) ASSERT_TRUE(output.put(i % 10, line_of(i)));
}

inline void expect_each_once_in_order(const std::vector<KafkaRecord>& records, uint64_t count) {
  EXPECT_EQ(records.size(), count);
  for (const auto& [key, numbers] : numbers_by_key(records)) {
    EXPECT_EQ(numbers.size(), count / 10) << key;
    for (size_t i = 0; i < numbers.size(); i++) {
      ASSERT_EQ(numbers[i], numbers.front() + i * 10) << key;
    }
    EXPECT_EQ(key, key_of(numbers.front()));
  }
}

}  // namespace tcp_sniffer::kafka_output
