#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

// Kafka's own limit: a topic is a folder of the broker.
constexpr size_t kTopicSizeMax = 249;

// An output that is a topic of Kafka, as the key `output` names it: kafka://HOST[:PORT],.../TOPIC.
struct KafkaTarget {
  std::string brokers;  // HOST:PORT,... as librdkafka takes them
  std::string topic;
};

// Whether the output is meant to be one.
bool is_kafka(std::string_view output);
// Returns what is wrong with it, or nothing: `target` is set.
std::string read_kafka_target(std::string_view output, KafkaTarget& target);

// Why this machine can have no such output: librdkafka, which this loads, is not there. Empty: it
// is.
std::string fault_of_kafka();
// Of librdkafka, when it is there.
std::string kafka_library_version();

// A setting of librdkafka's own.
struct KafkaProperty {
  std::string name;
  std::string value;
  bool from_file = false;  // its value must not be shown
};

// Reads NAME=VALUE and asks librdkafka whether it knows it. Returns what is wrong, without the
// value of one that is from the file, or of one that has to be; or nothing: `property` is set.
std::string read_kafka_property(std::string_view text, bool from_file, KafkaProperty& property);
// Reads the lines of a file: NAME=VALUE each, or empty, or a comment that begins with #. Returns
// what is wrong, with the number of the line, or nothing.
std::string read_kafka_properties(std::string_view lines, std::vector<KafkaProperty>& properties);

// The text with the values of the file's properties hidden, wherever they stand in it.
std::string without_secrets(std::string text, const std::vector<KafkaProperty>& properties);

}  // namespace tcp_sniffer
