#include "io/base/wake_event.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace tcp_sniffer {

WakeEvent::WakeEvent() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

WakeEvent::~WakeEvent() {
  if (fd_ >= 0) close(fd_);
}

void WakeEvent::notify() noexcept {
  // A signal handler must leave errno as it found it. A full counter is as good as one more.
  const int saved_errno = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
  errno = saved_errno;
}

bool WakeEvent::drain() noexcept {
  uint64_t count = 0;
  return read(fd_, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

bool WakeEvent::wait(int other_fd, int timeout_ms) noexcept {
  pollfd fds[2] = {{fd_, POLLIN, 0}, {other_fd, POLLIN, 0}};
  if (::poll(fds, 2, timeout_ms) <= 0) return false;
  return (fds[0].revents & POLLIN) != 0 && drain();
}

}  // namespace tcp_sniffer
