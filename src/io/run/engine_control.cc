// Engine: the control thread – signals, events, statistics, the ordered stop.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "io/base/writable.h"
#include "io/run/engine.h"
#include "io/run/summary.h"

namespace tcp_sniffer {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often the control thread looks at the shards' events and the clock.
constexpr int kControlMs = 50;

// `waitForConnections`: the longest wait for open connections to end.
constexpr auto kWaitForConnections = std::chrono::seconds(30);

int64_t wall_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

// A FIFO as output: the capture begins when somebody reads it, so that nothing is lost before.
// False: the run was stopped first.
bool Engine::wait_for_reader() {
  if (!is_fifo(config_.output)) return true;
  const bool watch_input = life_line_ && config_.live();
  bool said = false;
  for (;;) {
    // An error is left to open_output, whose user may be another one.
    if (writer_->open().empty() || !writer_->lacks_reader()) return true;
    if (!said) {
      EventFields fields;
      fields["file"] = config_.output;
      log_.emit(LogLevel::kWarn, event::kNoReader,
                "nobody reads the output: the capture begins when somebody does", fields);
      said = true;
    }
    pollfd watched[2] = {{control_event_.fd(), POLLIN, 0},
                         {watch_input ? STDIN_FILENO : -1, POLLIN, 0}};
    poll(watched, 2, kControlMs);
    control_event_.drain();
    if (watched[1].revents != 0 && input_has_ended()) return false;
    if (signals_.stops() > 0 || (signals_.hang_ups() > 0 && !signals_.ignores_hang_ups())) {
      return false;
    }
  }
}

// The life line: what comes on standard input is passed over.
bool Engine::input_has_ended() {
  char ignored[256];
  return read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0;
}

bool Engine::captures_done() const {
  return std::all_of(captures_.begin(), captures_.end(), [](const auto& capture) {
    return capture->done.load(std::memory_order_acquire);
  });
}

void Engine::control_loop() {
  next_stats_ = started_at_ + milliseconds(config_.stats_interval_ms);
  const bool watch_input = life_line_ && config_.live();
  bool input_open = watch_input;
  while (!captures_done()) {
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
    if (writer_->end() != OutputWriter::End::kNone) stop_captures();
    if (stop_requested_ && !stop_.load(std::memory_order_relaxed) &&
        (now >= stop_at_ || totals().of(ShardCounter::connections_open) == 0)) {
      stop_captures();
    }
    if (stop_.load(std::memory_order_relaxed) &&
        (abort_requested_ || writer_->end() != OutputWriter::End::kNone ||
         now >= stop_at_ + milliseconds(config_.drain_timeout_ms))) {
      // Nobody takes the lines: shards and capture threads must not wait for that.
      for (const auto& shard : shards_) shard->output().abandon();
      if (extractor_) extractor_->abort();
    }
    drain_events();
    timed_duties(now);
  }
  // A signal from here on ends the drain at once.
  const Clock::time_point deadline =
      !stop_requested_ ? Clock::time_point::max()
                       : std::min(stop_at_, Clock::now()) + milliseconds(config_.drain_timeout_ms);
  wait_for_shards(deadline);
}

void Engine::on_signals() {
  for (const uint32_t came = signals_.hang_ups(); hang_ups_seen_ != came; hang_ups_seen_++) {
    if (!config_.output.empty()) {
      writer_->reopen();
    } else if (!signals_.ignores_hang_ups()) {
      request_stop();
    }
  }
  for (const uint32_t came = signals_.stops(); stops_seen_ != came; stops_seen_++) {
    if (stop_requested_ && !abort_requested_) {
      abort_requested_ = true;
      signals_.leave_after(SignalWatch::kPatience);
    }
    request_stop();
  }
}

// The others write what they have, in the time that they have after a second signal.
void Engine::notice_fault() {
  if (fault_said_ || !fault_.load(std::memory_order_acquire)) return;
  say_fault();
  signals_.leave_after(SignalWatch::kPatience);
  stop_captures();
}

void Engine::say_fault() noexcept {
  fault_said_ = true;
  exit_status_ = exit_status(ErrorCode::kInternal);
  try {
    log_.fatal(ErrorCode::kInternal, std::string("a fault of this program: ") + fault_text_);
  } catch (const std::exception&) {
    // There is no memory for words. The exit status says it.
  }
}

void Engine::request_stop() {
  if (abort_requested_) stop_captures();
  if (stop_requested_) return;
  stop_requested_ = true;
  stop_at_ = Clock::now();
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
  stop_.store(true, std::memory_order_release);
  for (const auto& capture : captures_) {
    if (capture->file) capture->file->wake();
    if (capture->live) capture->live->wake();
  }
}

// The captures have ended: shards drain and the writer writes what is left – for as long as it
// takes, after a request to stop until `deadline`, after a second one not at all.
void Engine::wait_for_shards(Clock::time_point deadline) {
  for (const auto& capture : captures_) capture->thread.join();
  bool input_ended = false;
  bool given_up = false;
  while (!writer_->done() || (extractor_ && !extractor_->done())) {
    if (!input_ended && shards_done()) {
      input_ended = true;
      for (const auto& thread : shard_threads_) thread->join();
      writer_->end_of_input();
      if (extractor_) extractor_->end_of_input();
    }
    pollfd watched = {control_event_.fd(), POLLIN, 0};
    poll(&watched, 1, 2);
    control_event_.drain();
    const bool first = !stop_requested_;
    on_signals();
    notice_fault();
    if (first && stop_requested_) deadline = Clock::now() + milliseconds(config_.drain_timeout_ms);
    drain_events();
    timed_duties(Clock::now());
    const bool output_gone = writer_->end() != OutputWriter::End::kNone;
    if (!given_up && (abort_requested_ || output_gone || Clock::now() >= deadline)) {
      given_up = true;
      for (const auto& shard : shards_) shard->output().abandon();
      writer_->abort();
      if (extractor_) extractor_->abort();
    }
  }
  drain_events();
}

bool Engine::shards_done() const {
  return std::all_of(shard_threads_.begin(), shard_threads_.end(),
                     [](const auto& thread) { return thread->done(); });
}

// The kinds of threads that have not ended.
std::vector<std::string> Engine::unfinished() const {
  std::vector<std::string> names;
  if (!captures_done()) names.emplace_back("capture");
  if (!shards_done()) names.emplace_back("shard");
  if (!writer_->done()) names.emplace_back("writer");
  if (extractor_ && !extractor_->done()) names.emplace_back("extract");
  if (names.empty()) names.emplace_back("control");
  return names;
}

// On the thread of the signals, when the run does not end in order: some thread hangs in a file
// system or in a fault of this program, and which one cannot matter here. Only the writer is waited
// for, because its write must not be cut; each of the waits is bounded, and the alarm bounds them
// all, because a lock may be held for ever, too.
void Engine::leave() {
  static std::atomic<int> status{0};
  status.store(exit_status_, std::memory_order_relaxed);
  signal(SIGALRM, [](int) { _exit(status.load(std::memory_order_relaxed)); });
  alarm(3);
  if (running_.load(std::memory_order_acquire)) {
    writer_->abort();
    const Clock::time_point deadline = Clock::now() + milliseconds(1000);
    while (!writer_->between_messages() && Clock::now() < deadline) poll(nullptr, 0, 1);
    if (!said_stopped_) say_stopped(totals(), unfinished());
  }
  log_.close(1000);
  _exit(exit_status_);
}

void Engine::drain_events() {
  EventRecord record;
  while (events_.take(record)) report(record, config_.log_samples, log_);
}

Totals Engine::totals() const {
  std::vector<const FrameCounters*> frames;
  std::vector<const ShardCounters*> shards;
  for (const auto& capture : captures_) frames.push_back(&capture->dispatcher->counters());
  for (const auto& shard : shards_) shards.push_back(&shard->counters());
  Totals totals = sum_totals(frames, shards);
  totals.written = writer_->written();
  totals.discarded = writer_->discarded();
  totals.dropped = writer_->dropped();
  totals.output_bytes = writer_->bytes();
  totals.live = config_.live();
  if (extractor_) totals.extracted = extractor_->counts();
  for (const auto& capture : captures_) {
    if (!capture->live) continue;
    const LiveStatistics statistics = capture->live->statistics();
    totals.kernel_received += statistics.received;
    totals.kernel_dropped += statistics.kernel_dropped;
    totals.interface_dropped += statistics.interface_dropped;
  }
  return totals;
}

void Engine::timed_duties(Clock::time_point now) {
  say_interface_state();
  say_run_limits();
  say_losses(now, false);
  say_no_packets(now);
  if (config_.stats_interval_ms != 0 && now >= next_stats_) say_stats(now);
  if (config_.format == OutputFormat::kPretty && !config_.live() && now >= next_progress_) {
    show_progress(now);
  }
}

// The kernel takes the handles up again with the interface, so this is news and no failure.
void Engine::say_interface_state() {
  if (!config_.live()) return;
  const bool up = captures_[0]->live->interface_is_up();
  if (up == interface_up_) return;
  interface_up_ = up;
  EventFields fields;
  fields["interface"] = captures_[0]->live->interface();
  if (up) {
    log_.emit(LogLevel::kInfo, event::kInterfaceUp, "the interface is up again", fields);
  } else {
    log_.emit(LogLevel::kWarn, event::kInterfaceDown,
              "the interface went down; the capture goes on when it is back", fields);
  }
}

// Those that are of no connection: each is told once.
void Engine::say_run_limits() {
  const auto say_once = [this](bool reached, bool& said, const char* key, uint64_t value,
                               const char* what) {
    if (!reached || said) return;
    said = true;
    EventFields fields;
    fields["limit"] = key;
    fields["value"] = value;
    log_.emit(LogLevel::kWarn, event::kLimit,
              std::string("a limit of the configuration was reached: ") + what, fields);
  };
  const bool too_deep = std::any_of(captures_.begin(), captures_.end(), [](const auto& capture) {
    return capture->dispatcher->counters().published(FrameCounter::tunnel_too_deep) > 0;
  });
  say_once(too_deep, tunnel_depth_said_, "tunnelDepth", config_.tunnel_depth,
           "packets inside more tunnels are left out");
  if (!extractor_) return;
  say_once(extractor_->files_max_reached(), files_max_said_, "extractMaxFiles",
           config_.extract_max_files, "bodies are left out");
  say_once(extractor_->bytes_max_reached(), bytes_max_said_, "extractMaxBytes",
           config_.extract_max_bytes, "bodies are left out");
}

// As soon as a counter of what is dropped moves, then the sum of ten seconds at a time, and the
// rest at the end: no loss is without a word, and a flood of them is none of words.
void Engine::say_losses(Clock::time_point now, bool at_the_end) {
  constexpr auto kLookEvery = milliseconds(100);
  constexpr auto kSayEvery = std::chrono::seconds(10);
  if (losses_since_us_ == 0) losses_since_us_ = wall_clock_us();
  if (now < next_losses_ && !at_the_end) return;
  next_losses_ = now + kLookEvery;
  const Losses losses = losses_of(totals());
  if (losses == told_losses_) return;
  next_losses_ = now + kSayEvery;
  EventFields fields;
  fields["since"] = utc_timestamp(losses_since_us_);
  add_losses(told_losses_, losses, fields);
  log_.emit(LogLevel::kWarn, event::kLoss, "not everything that was sent is in the output", fields);
  told_losses_ = losses;
  losses_since_us_ = wall_clock_us();
}

void Engine::say_no_packets(Clock::time_point now) {
  if (!config_.live() || no_packets_said_ || config_.no_packets_warning_ms == 0) return;
  if (now - started_at_ < milliseconds(config_.no_packets_warning_ms)) return;
  no_packets_said_ = true;
  // Neighbour discovery and the like pass the filter with their IPv6 extension headers.
  const Totals current = totals();
  if (current.of(FrameCounter::dispatched) + current.of(FrameCounter::dropped_overload) > 0) return;
  EventFields fields;
  fields["interface"] = captures_[0]->live->interface();
  fields["filter"] = captures_[0]->live->filter_text();
  log_.emit(LogLevel::kWarn, event::kNoPackets,
            "no TCP packet of these ports has come: are they, and the interface, the right ones?",
            fields);
}

void Engine::say_stats(Clock::time_point now) {
  const double elapsed = seconds(milliseconds(config_.stats_interval_ms) + (now - next_stats_));
  next_stats_ = now + milliseconds(config_.stats_interval_ms);
  Totals current = totals();
  EventFields fields;
  const auto rate = [&](uint64_t before, uint64_t after) {
    return std::round(static_cast<double>(after - before) / elapsed);
  };
  const bool first = last_stats_.frames.empty();
  const auto frames_before = first ? 0 : last_stats_.of(FrameCounter::received);
  const auto bytes_before = first ? 0 : last_stats_.of(FrameCounter::received_bytes);
  fields["rates"]["frames_per_second"] = rate(frames_before, current.of(FrameCounter::received));
  fields["rates"]["bytes_per_second"] =
      rate(bytes_before, current.of(FrameCounter::received_bytes));
  fields["rates"]["messages_per_second"] = rate(last_stats_.written, current.written);
  add_ledger(current, config_.log_format == LogFormat::kText, fields);
  log_.emit(LogLevel::kInfo, event::kStats, "running", fields);
  last_stats_ = std::move(current);
}

// A line that overwrites itself, for people who wait for a long file.
void Engine::show_progress(Clock::time_point now) {
  next_progress_ = now + milliseconds(500);
  if (isatty(STDERR_FILENO) == 0 || now - started_at_ < milliseconds(1000)) return;
  const FileSource& file = *captures_[0]->file;
  const auto read = static_cast<double>(file.bytes_read());
  const auto total = static_cast<double>(file.bytes_total());
  const double elapsed = seconds(now - started_at_);
  char text[128];
  int size = 0;
  if (total > 0 && read > 0) {
    const double left = (total - read) * elapsed / read;
    size = std::snprintf(text, sizeof(text), "\r\033[K%3.0f %%  %.0f MB/s  %.0f s left\r",
                         100 * read / total, read / elapsed / 1e6, left);
  } else {
    size = std::snprintf(text, sizeof(text), "\r\033[K%.0f MB  %.0f MB/s\r", read / 1e6,
                         read / elapsed / 1e6);
  }
  if (size > 0 && write(STDERR_FILENO, text, static_cast<size_t>(size)) > 0) progress_shown_ = true;
}

int Engine::finish_report() {
  if (progress_shown_) {
    constexpr std::string_view kClear = "\r\033[K";
    if (write(STDERR_FILENO, kClear.data(), kClear.size()) < 0) progress_shown_ = false;
  }
  say_run_limits();
  say_losses(Clock::now(), true);
  const Totals ending = totals();
  EventFields fields;
  // Of an output that ended by itself nobody was too slow.
  if (ending.discarded_messages() > 0 && writer_->end() == OutputWriter::End::kNone) {
    fields["discarded"] = ending.discarded_messages();
    log_.emit(LogLevel::kWarn, event::kDrainIncomplete,
              "the reader of the output did not take everything in time", fields);
    fields.clear();
  }
  for (const auto& capture : captures_) {
    if (!capture->failed || fault_said_) continue;
    if (capture->live) {
      fail(capture->live->problem().code, capture->live->problem().message());
    } else {
      fail(ErrorCode::kInputFile, capture->file->error());
    }
  }
  // A flood of them may have hidden one that matters.
  if (const uint64_t lost = ending.of(ShardCounter::events_dropped); lost > 0) {
    fields["dropped"] = lost;
    log_.emit(LogLevel::kWarn, event::kEventsDropped, "events of connections found no room",
              fields);
    fields.clear();
  }
  if (writer_->end() == OutputWriter::End::kFailed) {
    fail(ErrorCode::kOutputFailed, writer_->error());
  }
  if (debug_log_ && debug_log_->error() != 0) {
    fields["file"] = config_.debug_log;
    fields["error"] = std::strerror(debug_log_->error());
    log_.emit(LogLevel::kWarn, event::kDebugLogFailed, "debugLog is not complete", fields);
    fields.clear();
  }
  say_stopped(ending, {});
  return exit_status_;
}

// `unfinished` threads still have figures of their own, and a fault loses some: then the sums need
// not hold.
void Engine::say_stopped(const Totals& ending, const std::vector<std::string>& unfinished) {
  said_stopped_ = true;
  const double took = seconds(Clock::now() - started_at_);
  EventFields fields = EventFields::object();
  if (!unfinished.empty()) fields["unfinished"] = unfinished;
  if (config_.log_format == LogFormat::kText) {
    log_.emit_stopped("after " + duration_text(took), fields, summary_of(ending));
    return;
  }
  fields["deterministic"] = ending.deterministic() && unfinished.empty() && !fault_said_;
  fields["seconds"] = took;
  add_ledger(ending, false, fields);
  log_.emit(LogLevel::kInfo, event::kStopped, "stopped", fields);
}

}  // namespace tcp_sniffer
