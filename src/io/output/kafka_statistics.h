#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

// What changed in the cluster.
struct KafkaChange {
  enum class Kind : uint8_t { kBrokerDown, kBrokerUp, kLeaderChanged };

  Kind kind = Kind::kBrokerDown;
  std::string broker;     // HOST:PORT/ID; of a partition that has no leader: empty
  int64_t partition = 0;  // kLeaderChanged
};

// Reads librdkafka's statistics (its STATISTICS.md) one after the other, and tells what changed
// between them. With hundreds of partitions they have hundreds of kilobytes.
class KafkaStatistics {
 public:
  KafkaStatistics();
  ~KafkaStatistics();
  KafkaStatistics(KafkaStatistics&&) noexcept;
  KafkaStatistics& operator=(KafkaStatistics&&) noexcept;

  // What changed since the last ones. A broker is up when the connection to it is.
  std::vector<KafkaChange> read(std::string_view json);

  // Messages that were sent to brokers, each as often as it was.
  uint64_t sent() const { return sent_; }
  uint64_t readings() const { return readings_; }
  // Whether a broker is up and the topic has had no partition for kPatience readings: longer than
  // the brokers take to make one.
  bool lacks_topic() const { return readings_without_topic_ >= kPatience; }
  static constexpr uint64_t kPatience = 5;

 private:
  struct Parser;

  std::unique_ptr<Parser> parser_;
  uint64_t sent_ = 0;
  uint64_t readings_ = 0;
  uint64_t readings_without_topic_ = 0;
  std::map<std::string, bool> up_;      // brokers that were up once, by name
  std::map<int64_t, int64_t> leaders_;  // by partition
};

}  // namespace tcp_sniffer
