// Engine: the control thread – signals, the ordered stop, the end.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "io/base/printable.h"
#include "io/base/writable.h"
#include "io/run/engine.h"

namespace tcp_sniffer {

namespace {

using std::chrono::milliseconds;

// How often the control thread looks at the shards' events and the clock.
constexpr int kControlMs = 50;

}  // namespace

// A FIFO as output: the capture begins when it has a reader, so that nothing is lost before.
// False: the run was stopped first.
bool Engine::wait_for_reader() {
  if (outputs_.file() == nullptr || !is_fifo(config_.output)) return true;
  bool said = false;
  for (;;) {
    // An error is left to Outputs::open, which may run as another user.
    if (!outputs_.file()->open() || !outputs_.file()->lacks_reader()) return true;
    if (!said) {
      EventFields fields;
      fields["file"] = config_.output;
      log_.emit(LogLevel::kWarn, event::kNoReader,
                "the output has no reader: the capture begins when it has one", fields);
      said = true;
    }
    if (const Clock::time_point now = Clock::now(); service_.due(now)) {
      service_.wait_for("a reader of " + printable(config_.output), now);
    }
    pollfd watched[2] = {{control_event_.fd(), POLLIN, 0},
                         {has_life_line() ? STDIN_FILENO : -1, POLLIN, 0}};
    poll(watched, 2, kControlMs);
    control_event_.drain();
    if (watched[1].revents != 0 && input_has_ended()) return false;
    const bool hung_up = signals_.hang_ups() > 0 && config_file_ == nullptr;
    if (signals_.stops() > 0 || (hung_up && !signals_.ignores_hang_ups())) return false;
  }
}

// The life line: what comes on standard input is passed over.
bool Engine::input_has_ended() {
  char ignored[256];
  return read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0;
}

void Engine::control_loop() {
  bool input_open = has_life_line();
  while (!mode_->done()) {
    pollfd watched[2] = {{control_event_.fd(), POLLIN, 0},
                         {input_open ? STDIN_FILENO : -1, POLLIN, 0}};
    poll(watched, 2, kControlMs);
    control_event_.drain();
    on_signals();
    notice_fault();
    if (input_open && watched[1].revents != 0 && input_has_ended()) {
      input_open = false;
      request_stop();
    }
    const Clock::time_point now = Clock::now();
    if (config_.duration_ms != 0 && now >= started_at_ + milliseconds(config_.duration_ms)) {
      request_stop();
    }
    if (outputs_.ended_by_itself() || (shards_->count_reached() && !stopping_)) stop_captures();
    if (stop_requested_ && !stopping_ &&
        (now >= stop_at_ || reporter_->totals().of(ShardCounter::connections_open) == 0)) {
      stop_captures();
    }
    if (stopping_ && (abort_requested_ || outputs_.ended_by_itself() ||
                      now >= stop_at_ + milliseconds(config_.drain_timeout_ms))) {
      // Nobody takes the lines: shards and capture threads must not wait for that.
      shards_->abandon_lines();
      outputs_.abort_bodies();
    }
    reporter_->report(now);
    tell_service(now);
  }
  // A signal from here on ends the drain at once.
  const Clock::time_point deadline =
      !stop_requested_ ? Clock::time_point::max()
                       : std::min(stop_at_, Clock::now()) + milliseconds(config_.drain_timeout_ms);
  wait_for_shards(deadline);
}

void Engine::tell_service(Clock::time_point now) {
  if (service_.due(now)) service_.look(reporter_->totals(), see_threads(), now);
}

// Every thread that could stand still. A capture thread waits for shards, and those wait for the
// writer or for the thread that writes bodies: meanwhile these are judged in their place.
std::vector<ThreadSight> Engine::see_threads() {
  std::vector<ThreadSight> threads;
  mode_->see(threads);
  for (ThreadSight& capture : threads) capture.beats += shards_->beats_of_waits();
  shards_->see(threads);
  if (outputs_.bodies_are_waited_for()) waits_for_bodies_++;
  for (ThreadSight& thread : threads) thread.beats += waits_for_bodies_;
  outputs_.see(threads);
  threads.push_back({"signals", signals_.beats()});
  signals_.nudge();
  return threads;
}

void Engine::on_signals() {
  // Those that came at once ask for the same.
  if (const uint32_t came = signals_.hang_ups(); hang_ups_seen_ != came) {
    hang_ups_seen_ = came;
    on_hang_up();
  }
  for (const uint32_t came = signals_.stops(); stops_seen_ != came; stops_seen_++) {
    if (stop_requested_ && !abort_requested_) {
      abort_requested_ = true;
      mode_->abort();
      signals_.leave_after(SignalWatch::kPatience);
    }
    request_stop();
  }
}

void Engine::on_hang_up() {
  const bool reloads = config_file_ != nullptr && !terminal_is_gone();
  if (!reloads && config_.output.empty()) {
    if (!signals_.ignores_hang_ups()) request_stop();
    return;
  }
  service_.begin_reload();
  if (!config_.output.empty() && outputs_.file() != nullptr) outputs_.file()->reopen();
  if (reloads) reload();
  service_.end_reload();
}

// Then SIGHUP comes from the system.
bool Engine::terminal_is_gone() const {
  return on_terminal_ && isatty(STDOUT_FILENO) != 1;
}

void Engine::request_stop() {
  if (abort_requested_) stop_captures();
  if (stop_requested_) return;
  stop_requested_ = true;
  stop_at_ = Clock::now();
  service_.stopping();
  if (config_.wait_for_connections) {
    stop_at_ += kWaitForConnections;
  } else {
    stop_captures();
  }
}

void Engine::stop_captures() {
  if (!stop_requested_) {
    stop_requested_ = true;
    stop_at_ = Clock::now();
  }
  stop_at_ = std::min(stop_at_, Clock::now());
  stopping_ = true;
  mode_->stop();
}

// The captures have ended: shards drain and the writer writes what is left. Waits for this without
// a limit, after a request to stop until `deadline`, after a second one not at all.
void Engine::wait_for_shards(Clock::time_point deadline) {
  service_.stopping();
  mode_->finish();
  bool input_ended = false;
  bool given_up = false;
  while (!outputs_.done()) {
    if (!input_ended && shards_->done()) {
      input_ended = true;
      shards_->join();
      outputs_.end_of_input();
    }
    pollfd watched = {control_event_.fd(), POLLIN, 0};
    poll(&watched, 1, 2);
    control_event_.drain();
    const bool first = !stop_requested_;
    on_signals();
    notice_fault();
    if (first && stop_requested_) deadline = Clock::now() + milliseconds(config_.drain_timeout_ms);
    reporter_->report(Clock::now());
    tell_service(Clock::now());
    if (!given_up && (abort_requested_ || outputs_.ended_by_itself() || Clock::now() >= deadline)) {
      given_up = true;
      shards_->abandon_lines();
      outputs_.abort();
    }
  }
  reporter_->report_events();
}

int Engine::end_report() {
  Totals ending = reporter_->report_end();
  if (shards_->done()) ending.notes = shards_->notes();
  if (!fault_reported_) {
    for (const Problem& problem : mode_->problems()) fail(problem);
  }
  reporter_->report_lost_events(ending);
  if (const auto problem = outputs_.problem()) fail(*problem);
  outputs_.report_debug_log();
  report_stopped(ending, {});
  if (exit_status_ == 0 && config_.fail_if_none && ending.written == 0) return kNothingWritten;
  return exit_status_;
}

void Engine::report_stopped(const Totals& ending, const std::vector<std::string>& unfinished) {
  stopped_reported_ = true;
  const std::chrono::duration<double> took = Clock::now() - started_at_;
  tcp_sniffer::report_stopped(config_, log_, ending, {took.count(), unfinished, fault_reported_});
}

// The kinds of threads that have not ended.
std::vector<std::string> Engine::unfinished() const {
  std::vector<std::string> names;
  if (!mode_->done()) names.emplace_back("capture");
  if (!shards_->done()) names.emplace_back("shard");
  if (!outputs_.writer().done()) names.emplace_back("writer");
  if (!outputs_.bodies_done()) names.emplace_back("extract");
  if (names.empty()) names.emplace_back("control");
  return names;
}

// On the thread of the signals, when the run does not end in order: any thread may hang in a file
// system or in a fault of this program. This waits only for the writer, because its write must not
// be cut. Each of the waits is bounded, and the alarm bounds them all, because a lock may be held
// forever, too.
void Engine::leave() {
  static std::atomic<int> status{0};
  status.store(exit_status_, std::memory_order_relaxed);
  signal(SIGALRM, [](int) { _exit(status.load(std::memory_order_relaxed)); });
  alarm(3);
  if (running_.load(std::memory_order_acquire)) {
    outputs_.writer().abort();
    const Clock::time_point deadline = Clock::now() + milliseconds(1000);
    while (!outputs_.writer().between_messages() && Clock::now() < deadline) poll(nullptr, 0, 1);
    if (!stopped_reported_) report_stopped(reporter_->totals(), unfinished());
  }
  log_.close(1000);
  _exit(exit_status_);
}

}  // namespace tcp_sniffer
