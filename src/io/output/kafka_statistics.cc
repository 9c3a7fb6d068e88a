#include "io/output/kafka_statistics.h"

#include <nlohmann/json.hpp>

namespace tcp_sniffer {
namespace {

using nlohmann::json;

// The member, or nothing of that type.
const json& member(const json& object, const char* name) {
  static const json kNothing = json::object();
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : kNothing;
}

int64_t number(const json& object, const char* name, int64_t otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<int64_t>() : otherwise;
}

std::string text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::vector<KafkaChange> KafkaStatistics::read(std::string_view json_text) {
  const json all = json::parse(json_text, nullptr, false);
  std::vector<KafkaChange> changes;
  if (!all.is_object()) return changes;
  readings_++;
  sent_ = static_cast<uint64_t>(std::max<int64_t>(number(all, "txmsgs", 0), 0));

  std::map<int64_t, std::string> names;
  bool any_is_up = false;
  bool has_partition = false;
  for (const json& broker : member(all, "brokers")) {
    // Those below 0 are the addresses that the user gave, not brokers of the cluster.
    const int64_t id = broker.is_object() ? number(broker, "nodeid", -1) : -1;
    if (id < 0) continue;
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
  }
  for (const json& topic : member(all, "topics")) {
    if (!topic.is_object()) continue;
    for (const json& partition : member(topic, "partitions")) {
      const int64_t id = partition.is_object() ? number(partition, "partition", -1) : -1;
      if (id < 0) continue;  // of messages that have no partition yet
      has_partition = true;
      const int64_t leader = number(partition, "leader", -1);
      const auto [known, is_new] = leaders_.emplace(id, leader);
      if (is_new || known->second == leader) continue;
      known->second = leader;
      changes.push_back({KafkaChange::Kind::kLeaderChanged, names[leader], id});
    }
  }
  readings_without_topic_ = any_is_up && !has_partition ? readings_without_topic_ + 1 : 0;
  return changes;
}

}  // namespace tcp_sniffer
