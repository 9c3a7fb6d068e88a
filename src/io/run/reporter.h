#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "io/config/config.h"
#include "io/event/event_log.h"
#include "io/event/event_queue.h"
#include "io/run/outputs.h"
#include "io/run/report.h"
#include "io/run/run_mode.h"
#include "io/run/shard_set.h"

namespace tcp_sniffer {

// Reports on a run while it goes on and when it ends: the shards' events, losses, limits,
// statistics. All on the control thread, except totals(). The parts of the run outlive it; the mode
// is connected.
class Reporter {
 public:
  using Clock = std::chrono::steady_clock;

  struct Parts {
    const Config& config;
    EventLog& log;
    EventQueue& events;
    RunMode& mode;
    const ShardSet& shards;
    const Outputs& outputs;
  };
  Reporter(const Parts& parts, Clock::time_point started_at);

  // The published figures, summed. Any thread.
  Totals totals() const;

  void report_started(int metrics_port);
  // Whatever there is to report now.
  void report(Clock::time_point now);
  // The shards' events alone.
  void report_events();
  // What there is to report at the end: limits, losses, messages that were not taken. Returns the
  // last figures.
  Totals report_end();
  // Events that were not reported.
  void report_lost_events(const Totals& ending);

 private:
  void report_limits();
  void report_limit_once(const char* key, uint64_t value, const char* what);
  void report_losses(Clock::time_point now, bool at_the_end);
  void report_statistics(Clock::time_point now);

  const Parts parts_;
  Clock::time_point next_statistics_;
  Totals last_statistics_;
  std::vector<std::string> reported_limits_;
  Losses reported_losses_;
  int64_t losses_since_us_;  // of the wall clock: when they were reported the last time
  Clock::time_point next_losses_;
};

// How a run ended, beside its figures.
struct RunEnd {
  double seconds = 0;  // that it took
  // Kinds of threads that have not ended. They still have figures of their own, and a fault loses
  // some: then the sums need not hold.
  std::vector<std::string> unfinished{};
  bool fault = false;
};
// The last event of every run. Any thread.
void report_stopped(const Config& config, EventLog& log, const Totals& ending, const RunEnd& end);

}  // namespace tcp_sniffer
