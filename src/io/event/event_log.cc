#include "io/event/event_log.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "io/base/privileges.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {
namespace {

// How soon the writer notices that it is to give up.
constexpr int kPollMs = 50;

bool is_last_word(std::string_view name) {
  return name == event::kStopped || name == event::kFatal;
}

int64_t wall_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

uint64_t steady_clock_ns() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// Indented lines belong to the event above them.
uint64_t count_events(std::string_view text) {
  uint64_t events = 0;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\n' && (i + 1 == text.size() || text[i + 1] != ' ')) events++;
  }
  return events;
}

// As many whole lines as fit, or a piece of a line that fits nowhere.
size_t piece_size(std::string_view text) {
  if (text.size() <= EventLog::kPieceMax) return text.size();
  const size_t line_feed = text.rfind('\n', EventLog::kPieceMax - 1);
  return line_feed == std::string_view::npos ? EventLog::kPieceMax : line_feed + 1;
}

}  // namespace

struct EventLog::Shared {
  explicit Shared(const Settings& wanted)
      : settings(wanted),
        level(wanted.level),
        limiter(wanted.events_per_window_max, wanted.window_ms * 1000000) {}

  const Settings settings;
  std::atomic<LogLevel> level;  // relaxed: it carries no data

  bool enabled(LogLevel of) const { return of >= level.load(std::memory_order_relaxed); }

  std::mutex mutex;
  std::condition_variable changed;
  // Below: under the mutex.
  std::string pending;         // whole lines
  size_t in_flight_bytes = 0;  // taken by the writer, not yet written
  uint64_t dropped = 0;        // lines, in all
  uint64_t dropped_untold = 0;
  bool closing = false;
  bool broken = false;      // standard error is gone
  bool done = false;        // the writer has ended
  bool tells_loss = false;  // the batch in flight ends with `events_dropped`
  EventRateLimiter limiter;

  std::atomic<bool> give_up{false};  // relaxed: it carries no data

  void drop(uint64_t lines) {
    dropped += lines;
    dropped_untold += lines;
  }

  void push(const std::string& line, size_t bytes_max) {
    if (broken || done || pending.size() + in_flight_bytes + line.size() > bytes_max) {
      drop(1);
      return;
    }
    pending += line;
    changed.notify_all();
  }

  void push_suppressed() {
    const auto counts = limiter.take_suppressed();
    if (counts.empty() || !enabled(LogLevel::kWarn)) return;
    uint64_t sum = 0;
    for (const auto& [name, count] : counts) sum += count;
    push(format_event(settings.format, LogLevel::kWarn, event::kEventsSuppressed,
                      std::to_string(sum) + " repeated events were held back",
                      {{"suppressed", sum}, {"counts", counts}}, wall_clock_us()),
         settings.queue_bytes_max + kReservedBytes);
  }

  std::string dropped_line(uint64_t lines) const {
    if (!enabled(LogLevel::kWarn)) return "";
    return format_event(settings.format, LogLevel::kWarn, event::kEventsDropped,
                        std::to_string(lines) + " events were lost, their reader was too slow",
                        {{"dropped", lines}}, wall_clock_us());
  }

  // Returns how much was written: less than all when the writer gave up or the descriptor failed.
  size_t write_lines(std::string_view text) {
    size_t written = 0;
    while (written < text.size()) {
      if (give_up.load(std::memory_order_relaxed)) return written;
      pollfd ready = {.fd = settings.fd, .events = POLLOUT, .revents = 0};
      const int polled = ::poll(&ready, 1, kPollMs);
      if (polled == 0 || (polled < 0 && errno == EINTR)) continue;
      const std::string_view rest = text.substr(written);
      const ssize_t size = ::write(settings.fd, rest.data(), piece_size(rest));
      if (size > 0) {
        written += static_cast<size_t>(size);
      } else if (size < 0 && errno != EINTR && errno != EAGAIN) {
        return written;
      }
    }
    return written;
  }

  // Waits for queued lines and takes them, and after them the event about what was lost. Returns
  // false at the end.
  bool take(std::string& batch) {
    std::unique_lock lock(mutex);
    in_flight_bytes = 0;
    batch.clear();
    while (batch.empty() && !broken) {
      changed.wait(lock, [this] { return !pending.empty() || dropped_untold > 0 || closing; });
      if (pending.empty() && dropped_untold == 0) return false;
      batch.swap(pending);
      const std::string told = dropped_untold > 0 ? dropped_line(dropped_untold) : "";
      tells_loss = !told.empty();
      batch += told;
      dropped_untold = 0;
    }
    in_flight_bytes = batch.size();
    return !broken;
  }

  void run() {
    std::string batch;
    while (take(batch)) {
      const size_t written = write_lines(batch);
      if (written == batch.size()) continue;
      const std::lock_guard lock(mutex);
      broken = true;
      // The log's own word about a loss stands last and is no event that was lost.
      drop(count_events(std::string_view(batch).substr(written)) - (tells_loss ? 1 : 0));
    }
    const std::lock_guard lock(mutex);
    drop(count_events(pending));
    pending.clear();
    done = true;
    changed.notify_all();
  }

  bool wait_until_done(std::unique_lock<std::mutex>& lock, uint64_t wait_ms) {
    return changed.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return done; });
  }
};

EventLog::EventLog(const Settings& settings)
    : settings_(settings), shared_(std::make_shared<Shared>(settings)) {
  // Signals are for the threads that expect them. A closed pipe must not end the process: EPIPE
  // reports it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigdelset(&all, rights_signal());
  pthread_sigmask(SIG_SETMASK, &all, &before);
  writer_ = start_thread("events", [shared = shared_] { shared->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

EventLog::~EventLog() {
  close();
}

bool EventLog::enabled(LogLevel level) const {
  return shared_->enabled(level);
}

void EventLog::set_level(LogLevel level) {
  shared_->level.store(level, std::memory_order_relaxed);
}

void EventLog::emit(LogLevel level, std::string_view name, std::string_view message,
                    const MakeFields& make_fields) {
  emit(level, name, message, make_fields, {});
}

void EventLog::emit_stopped(std::string_view message, const EventFields& fields,
                            std::string_view summary) {
  emit(
      LogLevel::kInfo, event::kStopped, message, [&] { return fields; }, summary);
}

void EventLog::emit(LogLevel level, std::string_view name, std::string_view message,
                    const MakeFields& make_fields, std::string_view lines) {
  if (!enabled(level)) return;
  const std::lock_guard lock(shared_->mutex);
  const auto verdict = shared_->limiter.admit(name, steady_clock_ns());
  if (!verdict.pass) return;
  const bool last_word = is_last_word(name);
  if (last_word) shared_->push_suppressed();
  const size_t bytes_max = settings_.queue_bytes_max + (last_word ? 2 * kReservedBytes : 0);
  EventFields fields = make_fields();
  if (verdict.suppressed > 0) fields["suppressed"] = verdict.suppressed;
  std::string line = format_event(settings_.format, level, name, message, fields, wall_clock_us());
  line += lines;
  shared_->push(line, bytes_max);
}

void EventLog::emit(LogLevel level, std::string_view name, std::string_view message,
                    const EventFields& fields) {
  emit(level, name, message,
       [&] { return fields.is_object() ? fields : EventFields(EventFields::object()); });
}

void EventLog::emit(LogLevel level, std::string_view name, std::string_view message) {
  emit(level, name, message, [] { return EventFields(EventFields::object()); });
}

void EventLog::fatal(ErrorCode code, std::string_view message, const EventFields& fields) {
  EventFields all = {{"code", code_name(code)}};
  if (fields.is_object()) all.update(fields);
  emit(LogLevel::kError, event::kFatal, message, all);
}

void EventLog::fatal(ErrorCode code, std::string_view message) {
  fatal(code, message, EventFields::object());
}

uint64_t EventLog::dropped() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->dropped;
}

bool EventLog::close(uint64_t wait_ms) {
  if (writer_.joinable()) {
    std::unique_lock lock(shared_->mutex);
    if (!shared_->closing) shared_->push_suppressed();
    shared_->closing = true;
    shared_->changed.notify_all();
    if (!shared_->wait_until_done(lock, wait_ms)) {
      shared_->give_up.store(true, std::memory_order_relaxed);
      if (!shared_->wait_until_done(lock, kGiveUpMs)) {
        // Stuck in write(2): it ends with the process, and keeps alive what it uses.
        shared_->drop(count_events(shared_->pending));
        shared_->pending.clear();
        writer_.detach();
        return false;
      }
    }
    lock.unlock();
    writer_.join();
  }
  const std::lock_guard lock(shared_->mutex);
  return shared_->done && shared_->dropped == 0;
}

}  // namespace tcp_sniffer
