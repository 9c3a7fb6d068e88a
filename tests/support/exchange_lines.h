#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// The messages that lines of exchanges consist of, as the lines that they would be by themselves.
namespace tcp_sniffer {

inline std::vector<nlohmann::json> messages_of_exchange(const nlohmann::json& exchange) {
  nlohmann::json shared = exchange;
  for (const char* own :
       {"request", "interim", "response", "latencyMs", "totalMs", "orphan", "orphanCause"}) {
    shared.erase(own);
  }
  std::vector<nlohmann::json> messages;
  const auto add = [&](const nlohmann::json& part, const char* direction) {
    nlohmann::json message = shared;
    message["direction"] = direction;
    message.update(part);
    message.erase("bodyBytes");
    messages.push_back(message);
  };
  if (exchange.contains("request")) add(exchange["request"], "request");
  for (const nlohmann::json& interim : exchange.value("interim", nlohmann::json::array()))
    add(interim, "response");
  if (exchange.contains("response")) {
    add(exchange["response"], "response");
    if (exchange.contains("latencyMs")) messages.back()["latencyMs"] = exchange["latencyMs"];
  }
  return messages;
}

// Sorted, as text.
inline std::vector<std::string> messages_of_exchanges(const std::vector<std::string>& lines) {
  std::vector<std::string> messages;
  for (const std::string& line : lines) {
    for (const nlohmann::json& message : messages_of_exchange(nlohmann::json::parse(line))) {
      messages.push_back(message.dump());
    }
  }
  std::sort(messages.begin(), messages.end());
  return messages;
}

inline std::vector<std::string> sorted_messages(const std::vector<std::string>& lines) {
  std::vector<std::string> messages;
  for (const std::string& line : lines) messages.push_back(nlohmann::json::parse(line).dump());
  std::sort(messages.begin(), messages.end());
  return messages;
}

}  // namespace tcp_sniffer
