#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/base/exit_code.h"
#include "io/base/wake_event.h"
#include "io/capture/capture_filter.h"
#include "io/capture/dispatcher.h"
#include "io/capture/live_source.h"
#include "io/config/config.h"
#include "io/event/debug_log.h"
#include "io/event/event_log.h"
#include "io/event/event_queue.h"
#include "io/file/file_parts.h"
#include "io/file/file_source.h"
#include "io/file/file_team.h"
#include "io/output/body_extractor.h"
#include "io/output/output_writer.h"
#include "io/run/metrics.h"
#include "io/run/report.h"
#include "io/run/signal_watch.h"
#include "shard/packet_lane.h"
#include "shard/shard.h"
#include "shard/shard_thread.h"

namespace tcp_sniffer {

// One run: owns every part, starts the threads in the order in which they need each other, and
// stops them in the opposite one:
//
//   capture thread(s) ─ end markers ─► shards drain ─ last lines ─► writer ─ flush ─► stopped
//
// The thread that calls run() is the control thread: signals, the life line on standard input,
// statistics, events.
//
// The second signal ends the process whatever a thread does: when the run has not ended in order
// SignalWatch::kPatience later, the process is left without its threads (leave).
class Engine {
 public:
  // `config` is resolved and checked. With `life_line` the end of standard input ends a live run.
  Engine(const Config& config, bool life_line, EventLog& log);
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
  // A capture thread and what belongs to it alone.
  struct Capture {
    size_t index = 0;
    std::unique_ptr<FileSource> file;
    std::unique_ptr<LiveSource> live;
    PacketSource* source = nullptr;
    std::unique_ptr<CaptureFilter> filter;
    std::vector<std::unique_ptr<PacketLane>> lanes;
    std::unique_ptr<Dispatcher> dispatcher;
    std::thread thread;
    std::atomic<bool> done{false};
    bool failed = false;  // read after done
  };

  int run_to_the_end();
  void on_fault(const char* what) noexcept;
  void notice_fault();
  void say_fault() noexcept;
  bool drop_privileges();
  bool start_metrics();
  void make_writer();
  bool wait_for_reader();
  bool open_output();
  bool open_side_outputs();
  bool open_sources();
  bool open_all_live(const CaptureFilter& filter);
  bool open_live(Capture& capture, const LiveOptions& options, const CaptureFilter& filter);
  void make_shards();
  void connect(Capture& capture);
  void start_threads();
  int cpu_of(size_t thread) const;
  void say_started();
  void say_unsupported(LinkType link_type, const char* field, const std::string& value);

  void capture_loop(Capture& capture);
  void end_shards_of(Capture& capture) noexcept;
  void capture_live(Capture& capture);
  void empty_kernel_buffer(Capture& capture);
  void capture_file(Capture& capture);
  void capture_file_in_team(Capture& capture);

  void control_loop();
  static bool input_has_ended();
  bool captures_done() const;
  void on_signals();
  void request_stop();
  void stop_captures();
  void drain_events();
  void timed_duties(std::chrono::steady_clock::time_point now);
  void say_interface_state();
  void say_run_limits();
  void say_losses(std::chrono::steady_clock::time_point now, bool at_the_end);
  void say_no_packets(std::chrono::steady_clock::time_point now);
  void say_stats(std::chrono::steady_clock::time_point now);
  void show_progress(std::chrono::steady_clock::time_point now);
  void wait_for_shards(std::chrono::steady_clock::time_point deadline);
  bool shards_done() const;
  int finish_report();
  void say_stopped(const Totals& ending, const std::vector<std::string>& unfinished);
  std::vector<std::string> unfinished() const;
  [[noreturn]] void leave();
  Totals totals() const;

  int fail(ErrorCode code, const std::string& message);

  const Config config_;
  std::vector<std::string> files_;  // in the order in which they are read
  const bool life_line_;
  EventLog& log_;
  EventQueue events_;
  WakeEvent control_event_;
  SignalWatch signals_;  // outlives what follows, whose end may hang
  LineQueue lines_;
  std::unique_ptr<ConnectionCensus> census_;
  std::unique_ptr<PiecePool> pieces_;
  std::unique_ptr<FileParts> parts_;          // where a team reads capture files
  std::unique_ptr<BodyExtractor> extractor_;  // with extractDir
  std::unique_ptr<DebugLog> debug_log_;       // with debug or hexDump
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<ShardThread>> shard_threads_;
  std::unique_ptr<FileTeam> team_;  // with parts_; its pieces outlive the source
  std::vector<std::unique_ptr<Capture>> captures_;
  std::unique_ptr<OutputWriter> writer_;
  std::unique_ptr<MetricsServer> metrics_;  // behind everything it reads
  std::atomic<bool> running_{false};        // all parts are there, and threads may be
  std::atomic<bool> fault_claimed_{false};
  std::atomic<bool> fault_{false};
  char fault_text_[256] = "";  // before fault_
  std::atomic<bool> fault_said_{false};
  std::atomic<bool> said_stopped_{false};
  std::atomic<bool> stop_{false};
  bool stop_requested_ = false;
  uint32_t stops_seen_ = 0;
  uint32_t hang_ups_seen_ = 0;
  std::atomic<bool> abort_requested_{false};
  bool no_packets_said_ = false;
  bool files_max_said_ = false;
  bool bytes_max_said_ = false;
  bool tunnel_depth_said_ = false;
  bool interface_up_ = true;
  bool progress_shown_ = false;
  std::atomic<int> exit_status_{0};
  std::chrono::steady_clock::time_point started_at_;
  std::chrono::steady_clock::time_point stop_at_;
  std::chrono::steady_clock::time_point next_stats_;
  std::chrono::steady_clock::time_point next_progress_;
  Totals last_stats_;
  Losses told_losses_;
  int64_t losses_since_us_ = 0;  // of the wall clock: when they were told the last time
  std::chrono::steady_clock::time_point next_losses_;
};

}  // namespace tcp_sniffer
