#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/base/problem.h"
#include "io/base/wake_event.h"
#include "io/config/config.h"
#include "io/config/reload.h"
#include "io/event/event_log.h"
#include "io/event/event_queue.h"
#include "io/run/metrics.h"
#include "io/run/outputs.h"
#include "io/run/reporter.h"
#include "io/run/run_mode.h"
#include "io/run/service_watch.h"
#include "io/run/shard_set.h"
#include "io/run/signal_watch.h"

namespace tcp_sniffer {

// One run: owns every part, starts the threads in the order in which they need each other, and
// stops them in the opposite one:
//
//   capture thread(s) ─ end markers ─► shards drain ─ last lines ─► writer ─ flush ─► stopped
//
// The thread that calls run() is the control thread: signals, the life line on standard input,
// reports. Where the frames come from is up to the run's mode.
//
// The second signal ends the process whatever a thread does: when the run has not ended in order
// SignalWatch::kPatience later, the process is left without its threads (leave).
class Engine {
 public:
  // `config` is resolved and checked. With `life_line` the end of standard input ends a live run,
  // and one that follows captures.
  // `config_file`: read again on SIGHUP; nullptr: there is none. It outlives the engine.
  Engine(const Config& config, bool life_line, EventLog& log,
         const ConfigFile* config_file = nullptr);
  ~Engine();

  // Runs to the end and returns the exit status. Signals must be blocked in the calling thread
  // before any thread is started (block_signals).
  //
  // An exception on any thread, which is memory or a thread that the system refused, ends the run
  // with `fatal` INTERNAL; what the other threads have is still written.
  int run();

  // Blocks SIGINT, SIGTERM and SIGHUP for this and all later threads, and ignores SIGPIPE.
  static void block_signals();

 private:
  using Clock = std::chrono::steady_clock;

  // `waitForConnections`: the longest wait for open connections to end.
  static constexpr std::chrono::seconds kWaitForConnections{30};

  // The start.
  int run_to_the_end();
  std::optional<Problem> open();
  std::optional<Problem> drop_privileges() const;
  std::optional<Problem> start_metrics();
  void start_threads();

  // The control loop, and what it reacts to.
  bool wait_for_reader();
  void control_loop();
  bool has_life_line() const { return life_line_ && (config_.live() || config_.follow); }
  static bool input_has_ended();
  void tell_service(Clock::time_point now);
  std::vector<ThreadSight> see_threads();
  void on_signals();
  void on_hang_up();
  bool terminal_is_gone() const;
  void request_stop();
  void stop_captures();

  // The configuration file again.
  void reload_before_the_first_packet();
  void reload();
  void take_over(const Reload& reload);
  void report_reload(const Reload& reload) const;
  void report_reload_failed(const Problem& wrong) const;

  // The end.
  void wait_for_shards(Clock::time_point deadline);
  int end_report();
  void report_stopped(const Totals& ending, const std::vector<std::string>& unfinished);
  std::vector<std::string> unfinished() const;
  [[noreturn]] void leave();

  // What goes wrong.
  int fail(const Problem& problem);
  void on_fault(const char* what) noexcept;
  void notice_fault();
  void report_fault() noexcept;

  Config config_;  // the control thread changes the keys that reload
  const ConfigFile* const config_file_;
  const bool life_line_;
  const bool on_terminal_;  // messages go to one
  EventLog& log_;
  const Clock::time_point started_at_;
  EventQueue events_;
  WakeEvent control_event_;
  SignalWatch signals_;  // outlives what follows, whose end may hang
  LineQueue lines_;
  Outputs outputs_;
  // In the order in which they are made; each refers to those before it.
  std::unique_ptr<ShardSet> shards_;
  std::unique_ptr<RunMode> mode_;
  std::unique_ptr<Reporter> reporter_;
  std::unique_ptr<MetricsServer> metrics_;  // with metricsListen

  // The control thread's.
  ServiceWatch service_;
  uint64_t waits_for_bodies_ = 0;  // looks that saw one
  bool stop_requested_ = false;
  bool stopping_ = false;  // the captures were asked to stop
  bool abort_requested_ = false;
  Clock::time_point stop_at_;
  uint32_t stops_seen_ = 0;
  uint32_t hang_ups_seen_ = 0;

  std::atomic<bool> running_{false};  // all parts are there, and threads may be
  std::atomic<bool> fault_claimed_{false};
  std::atomic<bool> fault_{false};
  char fault_text_[256] = "";  // before fault_
  std::atomic<bool> fault_reported_{false};
  std::atomic<bool> stopped_reported_{false};
  std::atomic<int> exit_status_{0};
};

}  // namespace tcp_sniffer
