#include "io/run/signal_watch.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "shard/start_thread.h"

namespace tcp_sniffer {

SignalWatch::~SignalWatch() {
  if (!thread_.joinable()) return;
  ended_.store(true, std::memory_order_release);
  changed_.notify();
  thread_.join();
}

void SignalWatch::start(std::function<void()> wake, std::function<void()> leave) {
  wake_ = std::move(wake);
  leave_ = std::move(leave);
  struct sigaction inherited {};
  ignores_hang_ups_ =
      sigaction(SIGHUP, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN;
  thread_ = start_thread("signals", [this] { run(); });
}

void SignalWatch::leave_after(std::chrono::milliseconds patience) {
  const int64_t wanted = (Clock::now() + patience).time_since_epoch().count();
  int64_t before = leave_at_.load(std::memory_order_acquire);
  while (wanted < before &&
         !leave_at_.compare_exchange_weak(before, wanted, std::memory_order_acq_rel)) {
  }
  changed_.notify();
}

void SignalWatch::run() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  const int signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  while (!ended_.load(std::memory_order_acquire)) {
    pulse_.beat();
    int timeout_ms = -1;
    if (const int64_t leave_at = leave_at_.load(std::memory_order_acquire); leave_at != kNever) {
      const auto left = Clock::time_point(Clock::duration(leave_at)) - Clock::now();
      if (left <= Clock::duration::zero()) return leave_();
      timeout_ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
    }
    pollfd watched[2] = {{signal_fd, POLLIN, 0}, {changed_.fd(), POLLIN, 0}};
    poll(watched, 2, timeout_ms);
    changed_.drain();
    if ((watched[0].revents & POLLIN) != 0) take(signal_fd);
  }
  close(signal_fd);
}

void SignalWatch::take(int signal_fd) {
  signalfd_siginfo info{};
  while (read(signal_fd, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGHUP) {
      hang_ups_.fetch_add(1, std::memory_order_release);
    } else if (stops_.fetch_add(1, std::memory_order_release) > 0) {
      leave_after(kPatience);
    }
  }
  wake_();
}

}  // namespace tcp_sniffer
