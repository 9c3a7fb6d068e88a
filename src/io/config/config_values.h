#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/config/config_keys.h"

namespace tcp_sniffer {

inline ConfigError error(std::string message) {
  return {.message = std::move(message)};
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

// What one argument of the command line means as a JSON value: `true`, `64K`, `500ms`, `0.5`. Text
// that is nothing of the kind stays text, and set_value then says what is wrong with it. For a key
// that is a list, one element.
nlohmann::json value_from_text(const KeySpec& key, std::string_view text);

// The parts of NAME=VALUE,NAME=VALUE. A part without = belongs to the value before it.
std::vector<std::string> split_properties(std::string_view text);

// `64K`, `1M`, `2G`, `64MiB` (powers of 1024) as bytes, or a plain number; nothing if it is no
// size. A size beyond 64 bits becomes the greatest number, which is out of every key's range.
std::optional<uint64_t> parse_size(std::string_view text);

// `500ms`, `5s`, `2m`, `1h` as milliseconds, or a plain number of them; as parse_size.
std::optional<uint64_t> parse_duration_ms(std::string_view text);

}  // namespace tcp_sniffer
