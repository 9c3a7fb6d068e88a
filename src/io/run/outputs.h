#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/base/problem.h"
#include "io/config/config.h"
#include "io/event/debug_log.h"
#include "io/event/event_log.h"
#include "io/output/body_extractor.h"
#include "io/output/kafka_writer.h"
#include "io/output/output_writer.h"
#include "io/run/report.h"
#include "io/run/thread_watch.h"

namespace tcp_sniffer {

// Everything that a run writes: messages, and beside them bodies (extractDir) and segments (debug,
// hexDump). Reports what happens to the files. Outlives the shards.
class Outputs {
 public:
  Outputs(const Config& config, EventLog& log, LineQueue& lines);

  // What takes the messages: a file, or what behaves like one, or Kafka. One of the two pointers is
  // nullptr.
  OutputThread& writer() { return *writer_; }
  const OutputThread& writer() const { return *writer_; }
  OutputWriter* file() { return file_; }
  const KafkaWriter* kafka() const { return kafka_; }

  // Opens all of it. The output may be open already, as a FIFO that was waited for; then it must
  // still be writable.
  std::optional<Problem> open();
  // Where shards give bodies; nullptr: nowhere.
  BodySink* bodies() const { return extractor_.get(); }
  // Where one more shard gives its segments; nullptr: nowhere.
  SegmentTrace* make_trace();

  // Starts the threads. Both are called on them: when the output has ended by itself or is done,
  // and with the words of an exception.
  void start(const std::function<void()>& on_end, const std::function<void(const char*)>& on_fault);
  // No more lines and bodies will come. Any thread.
  void end_of_input();
  // Whether all of them are written, or left out and counted. Any thread.
  bool done() const { return writer_->done() && bodies_done(); }
  // The threads that have not ended. Any thread.
  void see(std::vector<ThreadSight>& threads) const;
  // Whether a shard waits for room for a body. Any thread.
  bool bodies_are_waited_for() const {
    return extractor_ != nullptr && extractor_->is_waited_for();
  }
  bool bodies_done() const { return extractor_ == nullptr || extractor_->done(); }
  // What is not written yet is left out. Any thread.
  void abort();
  // The bodies alone. Any thread.
  void abort_bodies();
  bool ended_by_itself() const { return writer_->end() != OutputThread::End::kNone; }
  // Why messages could not be written any more. After done.
  std::optional<Problem> problem() const;

  // Adds the figures of what was written.
  void add_to(Totals& totals) const;
  // Which limits of bodies were reached: the key and its value.
  struct Limit {
    const char* key;
    uint64_t value;
  };
  std::vector<Limit> reached_limits() const;
  // Reports a debugLog that is not complete.
  void report_debug_log() const;

 private:
  using OnFileError = std::function<void(const std::string& file, const std::string& error)>;

  OnFileError warning(std::string_view event, std::string_view message) const;
  void report_mended(const std::string& file, const FileEnd& end) const;
  OutputWriter::Listener file_listener(const std::function<void()>& on_end,
                                       const std::function<void(const char*)>& on_fault) const;
  KafkaWriter::Listener kafka_listener(const std::function<void()>& on_end,
                                       const std::function<void(const char*)>& on_fault) const;

  const Config& config_;
  EventLog& log_;
  std::unique_ptr<BodyExtractor> extractor_;  // with extractDir
  std::unique_ptr<DebugLog> debug_log_;       // with debug or hexDump
  std::unique_ptr<OutputThread> writer_;
  OutputWriter* file_ = nullptr;  // writer_
  KafkaWriter* kafka_ = nullptr;  // writer_
};

}  // namespace tcp_sniffer
