#include "io/output/kafka_statistics.h"

#include <simdjson.h>

#include <algorithm>

namespace tcp_sniffer {
namespace {

using simdjson::SUCCESS;
using simdjson::dom::element;
using simdjson::dom::object;

int64_t number(const element& of, const char* name, int64_t otherwise) {
  int64_t value = 0;
  return of[name].get(value) == SUCCESS ? value : otherwise;
}

std::string text(const element& of, const char* name) {
  std::string_view value;
  return of[name].get(value) == SUCCESS ? std::string(value) : "";
}

// visit(each member's value), if it is an object.
template <typename Visit>
void for_each(const element& of, const char* name, const Visit& visit) {
  object members;
  if (of[name].get(members) != SUCCESS) return;
  for (const auto& member : members) visit(member.value);
}

}  // namespace

struct KafkaStatistics::Parser {
  simdjson::dom::parser parser;
};

KafkaStatistics::KafkaStatistics() : parser_(std::make_unique<Parser>()) {}
KafkaStatistics::~KafkaStatistics() = default;
KafkaStatistics::KafkaStatistics(KafkaStatistics&&) noexcept = default;
KafkaStatistics& KafkaStatistics::operator=(KafkaStatistics&&) noexcept = default;

std::vector<KafkaChange> KafkaStatistics::read(std::string_view json) {
  std::vector<KafkaChange> changes;
  element all;
  if (parser_->parser.parse(json.data(), json.size()).get(all) != SUCCESS || !all.is_object()) {
    return changes;
  }
  readings_++;
  sent_ = static_cast<uint64_t>(std::max<int64_t>(number(all, "txmsgs", 0), 0));

  std::map<int64_t, std::string> names;
  bool any_is_up = false;
  bool has_partition = false;
  for_each(all, "brokers", [&](const element& broker) {
    // Those below 0 are the addresses that the user gave, not brokers of the cluster.
    const int64_t id = number(broker, "nodeid", -1);
    if (id < 0) return;
    const std::string name = text(broker, "nodename") + "/" + std::to_string(id);
    names[id] = name;
    const bool is_up = text(broker, "state") == "UP";
    any_is_up |= is_up;
    const auto known = up_.find(name);
    if (known == up_.end()) {
      if (is_up) up_[name] = true;
    } else if (known->second != is_up) {
      known->second = is_up;
      changes.push_back(
          {is_up ? KafkaChange::Kind::kBrokerUp : KafkaChange::Kind::kBrokerDown, name, 0});
    }
  });
  const auto look_at = [&](const element& partition) {
    const int64_t id = number(partition, "partition", -1);
    if (id < 0) return;  // of messages that have no partition yet
    has_partition = true;
    const int64_t leader = number(partition, "leader", -1);
    const auto [known, is_new] = leaders_.emplace(id, leader);
    if (is_new || known->second == leader) return;
    known->second = leader;
    changes.push_back({KafkaChange::Kind::kLeaderChanged, names[leader], id});
  };
  for_each(all, "topics", [&](const element& topic) { for_each(topic, "partitions", look_at); });
  readings_without_topic_ = any_is_up && !has_partition ? readings_without_topic_ + 1 : 0;
  return changes;
}

}  // namespace tcp_sniffer
