#pragma once

#include <optional>
#include <string>

#include "io/config/config.h"

namespace tcp_sniffer {

constexpr size_t kKeyFileMax = 65536;

// Reads the key of `redactMode: hash` into `key`: the file's bytes, without a line end at its end.
// Returns nothing, or why the file is refused: it cannot be read, others than its owner may read or
// write it, or it is no file, empty or above kKeyFileMax.
std::optional<ConfigError> read_key_file(const std::string& path, std::string& key);

}  // namespace tcp_sniffer
