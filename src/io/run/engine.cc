// Engine: making the parts of a run and starting them, and faults of this program.

#include "io/run/engine.h"

#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <utility>
#include <variant>

#include "io/base/privileges.h"
#include "io/capture/capture_priority.h"
#include "io/run/engine_settings.h"

namespace tcp_sniffer {

Engine::Engine(const Config& config, bool life_line, EventLog& log, const ConfigFile* config_file)
    : config_(config),
      config_file_(config_file),
      life_line_(life_line),
      on_terminal_(config.output.empty() && isatty(STDOUT_FILENO) == 1),
      log_(log),
      started_at_(Clock::now()),
      outputs_(config_, log_, lines_),
      service_(log_) {}

Engine::~Engine() = default;

void Engine::block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int Engine::run() {
  try {
    return run_to_the_end();
  } catch (const std::exception& error) {
    if (!running_.load(std::memory_order_relaxed)) throw;
    // Threads that could not be joined may be under way.
    on_fault(error.what());
    report_fault();
    leave();
  }
}

int Engine::run_to_the_end() {
  signals_.start([this] { control_event_.notify(); }, [this] { leave(); });
  if (!wait_for_reader()) {
    Totals nothing = sum_totals({}, {});
    nothing.live = config_.live();
    report_stopped(nothing, {});
    return exit_status_;
  }
  if (auto problem = open()) return fail(*problem);
  shards_ = std::make_unique<ShardSet>(config_, mode_->shard_plan(), outputs_, lines_, events_);
  mode_->connect(*shards_);
  reporter_ = std::make_unique<Reporter>(
      Reporter::Parts{config_, log_, events_, *mode_, *shards_, outputs_}, started_at_);
  if (auto problem = start_metrics()) return fail(*problem);
  reporter_->report_started(metrics_ ? metrics_->port() : 0);
  reload_before_the_first_packet();
  running_.store(true, std::memory_order_release);
  start_threads();
  service_.ready();
  control_loop();
  const int status = end_report();
  // What the thread was working on is in no state to be destroyed.
  if (fault_reported_) leave();
  return status;
}

// The output is opened by the user the run goes on as, as it will be at each SIGHUP. To open files
// takes no right that the user must not have; to open an interface does.
std::optional<Problem> Engine::open() {
  if (config_.live()) keep_right_to_raise_priority();
  if (!config_.live()) {
    if (auto problem = drop_privileges()) return problem;
  }
  mode_ = make_run_mode({config_, log_, started_at_, [this] { control_event_.notify(); },
                         std::bind_front(&Engine::on_fault, this)});
  if (auto problem = mode_->open()) return problem;
  if (config_.live()) {
    if (auto problem = drop_privileges()) return problem;
  }
  return outputs_.open();
}

std::optional<Problem> Engine::drop_privileges() const {
  if (config_.user.empty()) return {};
  const auto user = find_user(config_.user);
  if (const auto* problem = std::get_if<Problem>(&user)) return *problem;
  return become_user(std::get<UserIdentity>(user));
}

std::optional<Problem> Engine::start_metrics() {
  if (config_.metrics_listen.empty()) return {};
  MetricsSources sources;
  sources.captures = mode_->statistics();
  sources.shards = shards_->views();
  sources.requests = shards_->requests();
  sources.writer = &outputs_.writer();
  sources.kafka = outputs_.kafka();
  sources.lines = &lines_;
  metrics_ = std::make_unique<MetricsServer>();
  return metrics_->start(config_.metrics_listen, std::move(sources));
}

void Engine::start_threads() {
  const auto tell_control = [this] { control_event_.notify(); };
  const auto tell_fault = [this](const char* what) { on_fault(what); };
  const uint32_t captures = capture_count(config_);
  const auto cpu_of_shard = [this, captures](size_t i) { return cpu_of(config_, captures + i); };
  outputs_.start(tell_control, tell_fault);
  shards_->start(captures, cpu_of_shard, tell_control, tell_fault);
  mode_->start();
}

int Engine::fail(const Problem& problem) {
  log_.fatal(problem.code, problem.message());
  exit_status_ = exit_status(problem.code);
  return exit_status_;
}

// Any thread. The words of the first one are kept.
void Engine::on_fault(const char* what) noexcept {
  if (fault_claimed_.exchange(true, std::memory_order_acq_rel)) return;
  std::strncpy(fault_text_, what, sizeof(fault_text_) - 1);
  fault_.store(true, std::memory_order_release);
  control_event_.notify();
}

// The other threads write what they have, in the time that they have after a second signal.
void Engine::notice_fault() {
  if (fault_reported_ || !fault_.load(std::memory_order_acquire)) return;
  report_fault();
  signals_.leave_after(SignalWatch::kPatience);
  stop_captures();
}

void Engine::report_fault() noexcept {
  fault_reported_ = true;
  exit_status_ = exit_status(ErrorCode::kInternal);
  try {
    log_.fatal(ErrorCode::kInternal, std::string("a fault of this program: ") + fault_text_);
  } catch (const std::exception&) {
    // There is no memory for an event. The exit status reports it.
  }
}

}  // namespace tcp_sniffer
