#pragma once

namespace tcp_sniffer {

// A file descriptor that becomes readable when some other thread, or a signal handler, wakes the
// capture thread. Lives as long as the source that waits on it. If the kernel refuses the
// descriptor, `fd()` is -1, which poll(2) passes over: waits then last to their timeout.
//
// Thread safety: `notify` from any thread and from signal handlers; `drain` by the waiting thread.
class WakeEvent {
 public:
  WakeEvent();
  ~WakeEvent();
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;

  void notify() noexcept;

  // Takes all notifications so far; true when there were any.
  bool drain() noexcept;

  // Waits for a notification, or for `other_fd` (-1: none) to become readable, at most
  // `timeout_ms` (-1: no limit). True when notified; the notification is taken.
  bool wait(int other_fd, int timeout_ms) noexcept;

  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace tcp_sniffer
