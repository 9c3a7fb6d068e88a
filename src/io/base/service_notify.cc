#include "io/base/service_notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tcp_sniffer {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// False: it is no name of a local socket.
bool address_of(std::string_view name, sockaddr_un& address, socklen_t& size) {
  address = {};
  address.sun_family = AF_UNIX;
  if (name.size() < 2 || (name[0] != '/' && name[0] != '@')) return false;
  if (name.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, name.data(), name.size());
  // The length alone ends an abstract name; a path has a zero at its end.
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (name[0] == '@') {
    address.sun_path[0] = '\0';
  } else {
    size++;
  }
  return true;
}

}  // namespace

bool has_service_manager() {
  return !variable("NOTIFY_SOCKET").empty();
}

bool service_notify(std::string_view lines) noexcept {
  sockaddr_un address{};
  socklen_t size = 0;
  if (!address_of(variable("NOTIFY_SOCKET"), address, size)) return false;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval patience = {.tv_sec = 0, .tv_usec = kServicePatience.count()};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const bool taken =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
      send(fd, lines.data(), lines.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(lines.size());
  close(fd);
  return taken;
}

std::string reloading_lines() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count());
}

std::optional<std::chrono::microseconds> service_watchdog() {
  const auto period = whole_number(variable("WATCHDOG_USEC"));
  if (!period || *period == 0 || *period > INT64_MAX) return {};
  const std::string_view process = variable("WATCHDOG_PID");
  if (!process.empty() && whole_number(process) != static_cast<uint64_t>(getpid())) return {};
  return std::chrono::microseconds(static_cast<int64_t>(*period));
}

}  // namespace tcp_sniffer
