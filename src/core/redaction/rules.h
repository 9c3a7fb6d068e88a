#pragma once

#include <string>
#include <vector>

namespace tcp_sniffer {

// What is to be hidden, as the configuration says it.
struct RedactionRules {
  std::vector<std::string> headers{};   // redactHeaders
  std::vector<std::string> query{};     // redactQuery
  std::vector<std::string> body{};      // redactBody
  std::vector<std::string> patterns{};  // redactPattern; each is valid
  std::string hash_key{};               // redactMode hash: the bytes of redactKeyFile; else empty

  bool any_of_bodies() const { return !body.empty() || !patterns.empty(); }
  bool any() const { return !headers.empty() || !query.empty() || any_of_bodies(); }
};

}  // namespace tcp_sniffer
