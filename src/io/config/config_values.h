#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>

#include "io/base/problem.h"
#include "io/config/config_keys.h"

namespace tcp_sniffer {

// Why a configuration is rejected: one line for people that names the key, the value and what is
// allowed, without control characters.
inline Problem error(std::string words) {
  return {ErrorCode::kInvalidConfig, "", std::move(words)};
}

// Sets the key's member from a JSON value. Returns nothing, or what is wrong: the value, the
// fault, and what is allowed ("70000 is out of range; allowed: ..."). The member is unchanged or
// partly set after a fault; the configuration is then thrown away.
std::optional<std::string> set_value(const KeySpec& key, const nlohmann::json& value,
                                     Config& config);

// The JSON value of what the key's member holds now.
nlohmann::json get_value(const KeySpec& key, const Config& config);

// The key's default for people: `1048576`, `none`, `files: true; live: false`.
std::string default_text(const KeySpec& key);

// What the key allows, for people: `a whole number from 1 to 65535`.
std::string allowed_text(const KeySpec& key);

}  // namespace tcp_sniffer
