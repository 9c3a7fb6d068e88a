#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/event/event_log.h"
#include "io/run/report.h"
#include "io/run/thread_watch.h"

namespace tcp_sniffer {

// Reports to the service manager, if there is one (io/base/service_notify.h): that the run is
// ready, reloads or stops, a line about it (STATUS), and that it lives (WATCHDOG=1), the last only
// while every thread goes on. The control thread calls it, so that it is watched as well.
//
// While the run waits for a reader before it begins, and while it stops, it asks for more time than
// the manager gives by itself, because both have limits of their own.
class ServiceWatch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ServiceWatch(EventLog& log);

  // Whether it is time for the next look().
  bool due(Clock::time_point now) const { return managed_ && now >= next_look_; }
  // Why the run does not begin yet. When it is due.
  void wait_for(std::string_view what, Clock::time_point now);
  // The capture is open, and all threads run.
  void ready();
  // Around a reload. `begin` is before anything of it is done.
  void begin_reload() const;
  void end_reload() const;
  void stopping();
  // Reports how the run is doing. When it is due.
  void look(const Totals& totals, const std::vector<ThreadSight>& threads, Clock::time_point now);

 private:
  std::string status(const Totals& totals, Clock::time_point now);
  void report_still(const std::vector<std::string>& still);

  EventLog& log_;
  const bool managed_;
  const std::optional<std::chrono::microseconds> watchdog_;
  std::chrono::microseconds interval_;  // between two looks
  Clock::time_point next_look_;
  ThreadWatch threads_;
  std::vector<std::string> still_;  // as reported
  bool stopping_ = false;
  uint64_t written_ = 0;  // at the last look
  Clock::time_point looked_at_;
};

}  // namespace tcp_sniffer
