#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

#include "io/base/exit_code.h"
#include "io/event/events.h"

namespace tcp_sniffer {

// Events on their way to standard error.
//
// Owned by the control thread, which opens and closes it; any cold thread may emit. A line goes
// into a bounded queue, and a writer thread of its own takes it from there. So a standard error
// that is not read can hold up neither an emitter nor the end of the program: when the queue is
// full, lines are dropped and counted, and close() waits a bounded time only.
//
// 1. An emitter waits for other emitters at most, never for the descriptor.
// 2. Lines are in the order of their timestamps, and are written in pieces that end at a line
//    feed, so that lines of up to kPieceMax bytes are not torn by other writers of the same pipe.
// 3. After a loss the next line written is the number of lost lines (`events_dropped`).
// 4. Repeated events are limited by name; the next one that passes has `suppressed`, and the rest
//    is reported by `events_suppressed` before `stopped` and `fatal`.
// 5. The descriptor's flags are not touched: it may be shared with a shell.
class EventLog {
 public:
  // A write of this size to a pipe that poll calls writable does not block (pipe(7), PIPE_BUF), and
  // is not mixed with other writers' bytes.
  static constexpr size_t kPieceMax = 4096;

  // How long close() waits for a writer that was asked to give up, before it goes on without it.
  static constexpr uint64_t kGiveUpMs = 500;

  // The last words must not be lost to a queue that other events have filled.
  static constexpr size_t kReservedBytes = size_t{64} << 10;

  struct Settings {
    LogLevel level = LogLevel::kInfo;     // until set_level
    LogFormat format = LogFormat::kJson;  // text or json
    int fd = 2;
    // More lines than people read, less memory than anyone misses.
    size_t queue_bytes_max = size_t{1} << 20;
    // For each name of event.
    uint64_t events_per_window_max = 10;
    uint64_t window_ms = 1000;
  };

  explicit EventLog(const Settings& settings);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Whether events of this level are written: to spare the making of costly fields.
  bool enabled(LogLevel level) const;
  // The least important events that are written from here on. Any thread.
  void set_level(LogLevel level);

  void emit(LogLevel level, std::string_view name, std::string_view message,
            const EventFields& fields);
  void emit(LogLevel level, std::string_view name, std::string_view message);
  // The fields are made only when the event is written: of a flood of events nearly all are held
  // back, and to make their fields takes ten times as long as to count them. Called with the log
  // locked: it emits nothing itself.
  using MakeFields = std::function<EventFields()>;
  void emit(LogLevel level, std::string_view name, std::string_view message,
            const MakeFields& make_fields);

  // `stopped` in the text form, and below it the indented lines of `summary`.
  void emit_stopped(std::string_view message, const EventFields& fields, std::string_view summary);

  // The `fatal` event: `code` beside the fields given.
  void fatal(ErrorCode code, std::string_view message, const EventFields& fields);
  void fatal(ErrorCode code, std::string_view message);

  // Lines lost so far: the queue was full, or standard error is gone.
  uint64_t dropped() const;

  // Writes what is queued, for `wait_ms` at most, and ends the writer. Later events are dropped.
  // Returns true if no line was lost. Safe to call twice.
  bool close(uint64_t wait_ms = 1000);

 private:
  struct Shared;

  void emit(LogLevel level, std::string_view name, std::string_view message,
            const MakeFields& make_fields, std::string_view lines);

  const Settings settings_;
  std::shared_ptr<Shared> shared_;  // outlives the log when the writer hangs in write(2)
  std::thread writer_;
};

}  // namespace tcp_sniffer
