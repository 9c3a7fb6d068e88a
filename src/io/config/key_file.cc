#include "io/config/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

// Whether nobody can read or write the file but its owner, or, if that is root and this process is
// not, a group that may only read it: so Kubernetes gives secrets to a process.
bool is_private(const struct stat& status) {
  const mode_t others = status.st_mode & (S_IRWXG | S_IRWXO);
  return others == 0 || (others == S_IRGRP && status.st_uid == 0 && geteuid() != 0);
}

std::string unreadable() {
  return std::string("cannot be read: ") + std::strerror(errno);
}

// Reads an open file that is private. Empty, or what is wrong with it, from the verb on.
std::string fault_of(int file, std::string& text) {
  struct stat status {};
  if (fstat(file, &status) != 0) return unreadable();
  if (!S_ISREG(status.st_mode)) return "is no file";
  if (!is_private(status)) {
    return "may be read or written by others than its owner (chmod 600)";
  }
  text.resize(kKeyFileMax + 1);
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t read_now = read(file, text.data() + size, text.size() - size);
    if (read_now < 0) return unreadable();
    if (read_now == 0) break;
    size += static_cast<size_t>(read_now);
  }
  if (size > kKeyFileMax) return "is too large";
  text.resize(size);
  return {};
}

std::string read_private_file(const std::string& path, std::string& text) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  std::string fault = file < 0 ? unreadable() : fault_of(file, text);
  if (file >= 0) close(file);
  return fault;
}

}  // namespace

std::optional<Problem> read_key_file(const std::string& path, std::string& key) {
  std::string fault = read_private_file(path, key);
  if (key.ends_with('\n')) key.pop_back();
  if (key.ends_with('\r')) key.pop_back();
  if (fault.empty() && key.empty()) fault = "is empty";
  if (fault.empty()) return {};
  return Problem{ErrorCode::kInvalidConfig, "redactKeyFile: " + quote_text(path) + " ",
                 fault + "; allowed: a file of 1 to " + std::to_string(kKeyFileMax) +
                     " bytes that only its owner may read"};
}

std::optional<Problem> read_kafka_settings(Config& config) {
  config.kafka_settings.clear();
  for (const std::string& text : config.kafka_properties) {
    KafkaProperty property;
    read_kafka_property(text, false, property);  // it was checked when it was read
    config.kafka_settings.push_back(std::move(property));
  }
  if (config.kafka_properties_file.empty()) return {};
  std::string text;
  std::string fault = read_private_file(config.kafka_properties_file, text);
  const char* join = " ";
  if (fault.empty()) {
    fault = read_kafka_properties(text, config.kafka_settings);
    join = ": ";
  }
  if (fault.empty()) return {};
  return Problem{ErrorCode::kInvalidConfig,
                 "kafkaPropertiesFile: " + quote_text(config.kafka_properties_file) + join,
                 fault + "; allowed: a file of NAME=VALUE lines, of up to " +
                     std::to_string(kKeyFileMax) + " bytes, that only its owner may read"};
}

}  // namespace tcp_sniffer
