#pragma once

#include <optional>
#include <string>

#include "io/base/problem.h"
#include "io/config/config.h"

namespace tcp_sniffer {

constexpr size_t kKeyFileMax = 65536;

// Reads the key of `redactMode: hash` into `key`: the file's bytes, without a line end at its end.
// Returns nothing, or why the file is rejected: it cannot be read, others than its owner may read
// or write it (a group may read a file of root's that this process does not own), or it is no file,
// empty or above kKeyFileMax.
std::optional<Problem> read_key_file(const std::string& path, std::string& key);

// Fills kafka_settings from kafkaProperties and, if there is one, kafkaPropertiesFile. Returns
// nothing, or why the file is rejected; no error shows what is in it.
std::optional<Problem> read_kafka_settings(Config& config);

}  // namespace tcp_sniffer
