#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "io/config/config_check.h"
#include "io/config/config_parse.h"

// A configuration from its JSON, parsed, resolved and checked as the program does.
namespace tcp_sniffer::parsed_config {

inline constexpr Environment kServer = {.cpus = 4};

// Parses, resolves and checks as the program does. Returns the message, or "" when accepted.
inline std::string refusal(std::string_view text, Config& config, const Environment& environment) {
  if (auto wrong = parse_config_json(text, config)) return wrong->message();
  resolve_defaults(config, environment);
  if (auto wrong = check_config(config, environment)) return wrong->message();
  return "";
}

inline std::string refusal(std::string_view text) {
  Config config;
  return refusal(text, config, kServer);
}

inline Config accepted(std::string_view text, const Environment& environment = kServer) {
  Config config;
  EXPECT_EQ(refusal(text, config, environment), "") << text;
  return config;
}

}  // namespace tcp_sniffer::parsed_config
