#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "io/base/problem.h"
#include "io/config/config.h"
#include "io/event/event_log.h"
#include "io/event/events.h"
#include "io/run/metrics.h"
#include "io/run/shard_set.h"
#include "io/run/thread_watch.h"

namespace tcp_sniffer {

// What a mode has from the run that it belongs to. All of it outlives the mode.
struct RunHost {
  const Config& config;
  EventLog& log;
  std::chrono::steady_clock::time_point started_at;
  // Both are called on a capture thread: when it has ended, and with the words of an exception.
  std::function<void()> on_end;
  std::function<void(const char*)> on_fault;
};

// How frames come to the shards: from an interface (LiveRun), from capture files on one thread
// (FileRun) or on several (TeamRun), or from captures that still grow (FollowRun). It owns the
// sources, the dispatchers and the capture threads.
//
// The engine's control thread calls, in this order: open, connect, start, finish. Everything else
// may be called from connect on. The shards outlive the mode.
class RunMode {
 public:
  RunMode() = default;
  virtual ~RunMode() = default;
  RunMode(const RunMode&) = delete;
  RunMode& operator=(const RunMode&) = delete;

  // Opens what frames come from. Nothing: it is open.
  virtual std::optional<Problem> open() = 0;
  // Which shards this mode works with. After open.
  virtual ShardPlan shard_plan() const = 0;
  // Makes the way from the sources to the shards.
  virtual void connect(ShardSet& shards) = 0;
  // Starts the capture threads. Throws std::system_error when the system refuses one.
  virtual void start() = 0;
  // The input ends here. Any thread.
  virtual void stop() noexcept = 0;
  // After stop: what waits in the kernel is left there. Any thread.
  virtual void abort() noexcept {}
  // Whether the capture threads have ended: no more blocks go to the shards. Any thread.
  virtual bool done() const = 0;
  // Waits for that.
  virtual void finish() = 0;
  // Why captures ended before their end, one for each that did. After finish.
  virtual std::vector<Problem> problems() const = 0;

  // The published figures of each capture thread. Any thread.
  virtual std::vector<MetricsSources::Capture> statistics() const = 0;
  // The capture threads that have not ended. Any thread.
  virtual void see(std::vector<ThreadSight>& threads) const = 0;
  // The input's fields of the event `started`.
  virtual void describe(EventFields& fields) const = 0;
  // Reports what only this mode has to report while it runs. Control thread.
  virtual void report(std::chrono::steady_clock::time_point now) = 0;
  // Takes from the terminal what report() left there.
  virtual void end_report() {}
};

// The mode that the configuration asks for. Looks into capture files, as the user the run goes on
// as.
std::unique_ptr<RunMode> make_run_mode(const RunHost& host);

}  // namespace tcp_sniffer
