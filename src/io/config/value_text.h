#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/config/config_keys.h"

namespace tcp_sniffer {

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
