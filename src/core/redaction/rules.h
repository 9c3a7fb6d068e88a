#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

constexpr std::string_view kRedacted = "[redacted]";

// What is to be hidden, as the configuration says it.
struct RedactionRules {
  std::vector<std::string> headers{};  // redactHeaders
  std::vector<std::string> query{};    // redactQuery

  bool any() const { return !headers.empty() || !query.empty(); }
};

}  // namespace tcp_sniffer
