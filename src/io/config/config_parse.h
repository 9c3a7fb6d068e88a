#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/base/problem.h"
#include "io/config/config.h"

namespace tcp_sniffer {

// The longest configuration that is read.
constexpr size_t kConfigTextMax = size_t{1} << 20;

// Sets every key of the JSON object `text` in the configuration and marks it as given. Rejected:
// what is no JSON object in UTF-8, unknown and repeated keys, wrong types, values out of range.
// Returns nothing, or the reason.
std::optional<Problem> parse_config_json(std::string_view text, Config& config);

// Reads the configuration's text: a file whole, or, when `path` is "-", one line from the
// descriptor `standard_input` and not a byte after it. Returns nothing, or the reason.
std::optional<Problem> read_config_text(const std::string& path, int standard_input,
                                        std::string& text);

}  // namespace tcp_sniffer
