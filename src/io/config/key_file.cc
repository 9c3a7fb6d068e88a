#include "io/config/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

// Empty, or what is wrong with the open file.
std::string fault_of(int file, std::string& key) {
  struct stat status {};
  if (fstat(file, &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "is no file";
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return "may be read or written by others than its owner (chmod 600)";
  }
  key.resize(kKeyFileMax + 1);
  size_t size = 0;
  while (size < key.size()) {
    const ssize_t read_now = read(file, key.data() + size, key.size() - size);
    if (read_now < 0) return std::strerror(errno);
    if (read_now == 0) break;
    size += static_cast<size_t>(read_now);
  }
  if (size > kKeyFileMax) return "is too large";
  key.resize(size);
  if (key.ends_with('\n')) key.pop_back();
  if (key.ends_with('\r')) key.pop_back();
  return key.empty() ? "is empty" : "";
}

}  // namespace

std::optional<ConfigError> read_key_file(const std::string& path, std::string& key) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  const std::string fault = file < 0 ? std::strerror(errno) : fault_of(file, key);
  if (file >= 0) close(file);
  if (fault.empty()) return {};
  return ConfigError{.message = "redactKeyFile: " + quote_text(path) + ": " + fault +
                                "; allowed: a file of 1 to " + std::to_string(kKeyFileMax) +
                                " bytes that only its owner may read"};
}

}  // namespace tcp_sniffer
