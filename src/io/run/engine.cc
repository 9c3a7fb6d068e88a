#include "io/run/engine.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "io/base/privileges.h"
#include "io/base/version.h"
#include "io/base/writable.h"
#include "io/capture/capture_priority.h"
#include "io/capture/interfaces.h"
#include "io/file/file_head.h"
#include "io/run/engine_settings.h"
#include "shard/pin_thread.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

namespace {

using Clock = std::chrono::steady_clock;

// Of a file: segments and finished lines leave after this long, even when they fill no block.
constexpr auto kFlushEvery = std::chrono::milliseconds(100);

uint64_t random_secret() {
  uint64_t secret = 0;
  if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
    secret = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  }
  return secret;
}

// Pieces of capture files in memory: one being read and cut, and those of the segments that the
// shards' threads work on. A team has pieces of its own, and these for large
// frames and for what cannot be read in parts.
size_t piece_count(uint64_t shards) {
  return shards == 0 ? 2 : 4 + 4 * static_cast<size_t>(shards);
}

}  // namespace

Engine::Engine(const Config& config, bool life_line, EventLog& log)
    : config_(config), files_(files_to_read(config)), life_line_(life_line), log_(log) {}

Engine::~Engine() = default;

void Engine::block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int Engine::fail(ErrorCode code, const std::string& message) {
  log_.fatal(code, message);
  exit_status_ = exit_status(code);
  return exit_status_;
}

int Engine::run() {
  try {
    return run_to_the_end();
  } catch (const std::exception& error) {
    if (!running_.load(std::memory_order_relaxed)) throw;
    // Threads that could not be joined may be under way.
    on_fault(error.what());
    say_fault();
    leave();
  }
}

int Engine::run_to_the_end() {
  started_at_ = Clock::now();
  signals_.start([this] { control_event_.notify(); }, [this] { leave(); });
  make_writer();
  if (!wait_for_reader()) return finish_report();
  if (config_.live()) keep_right_to_raise_priority();
  // The output is opened by the user the run goes on as, as it will be at each SIGHUP. To open
  // files takes no right that the user must not have.
  if ((!config_.live() && !drop_privileges()) || !open_sources() ||
      (config_.live() && !drop_privileges()) || !open_output() || !open_side_outputs()) {
    return exit_status_;
  }
  make_shards();
  for (const auto& capture : captures_) connect(*capture);
  if (!start_metrics()) return exit_status_;
  say_started();
  running_.store(true, std::memory_order_release);
  start_threads();
  control_loop();
  const int status = finish_report();
  // What the thread had in its hands is in no state to be taken apart.
  if (fault_said_) leave();
  return status;
}

// Any thread. The words of the first one are kept.
void Engine::on_fault(const char* what) noexcept {
  if (fault_claimed_.exchange(true, std::memory_order_acq_rel)) return;
  std::strncpy(fault_text_, what, sizeof(fault_text_) - 1);
  fault_.store(true, std::memory_order_release);
  control_event_.notify();
}

bool Engine::drop_privileges() {
  if (config_.user.empty()) return true;
  const auto user = find_user(config_.user);
  if (const auto* error = std::get_if<std::string>(&user)) {
    fail(ErrorCode::kInvalidConfig, *error);
    return false;
  }
  const std::string error = become_user(std::get<UserIdentity>(user));
  if (!error.empty()) fail(ErrorCode::kPermissionDenied, error);
  return error.empty();
}

bool Engine::start_metrics() {
  if (config_.metrics_listen.empty()) return true;
  MetricsSources sources;
  for (const auto& capture : captures_) {
    MetricsSources::Capture view{&capture->dispatcher->counters(), capture->live.get()};
    for (const auto& lane : capture->lanes) view.lanes.push_back(lane.get());
    if (team_) {
      for (const PacketLane* lane : team_->lanes()) view.lanes.push_back(lane);
    }
    sources.captures.push_back(std::move(view));
  }
  for (const auto& shard : shards_) {
    sources.shards.push_back({&shard->counters(), &shard->latencies()});
  }
  sources.writer = writer_.get();
  sources.lines = &lines_;
  metrics_ = std::make_unique<MetricsServer>();
  const std::string error = metrics_->start(config_.metrics_listen, std::move(sources));
  if (!error.empty()) fail(ErrorCode::kInvalidConfig, error);
  return error.empty();
}

void Engine::make_writer() {
  OutputWriter::Settings settings;
  settings.path = config_.output;
  settings.framed = config_.format == OutputFormat::kFramed;
  if (config_.overload == Overload::kDrop) {
    settings.when_full = OutputWriter::WhenFull::kDrop;
  } else if (config_.live()) {
    settings.when_full = OutputWriter::WhenFull::kWait;
  }
  const size_t place = (config_.live() ? config_.capture_threads : 1) + config_.shards;
  if (place < config_.pin_cpus.size()) settings.cpu = config_.pin_cpus[place];
  writer_ = std::make_unique<OutputWriter>(settings, lines_);
}

bool Engine::open_output() {
  std::string error;
  if (!writer_->is_open()) {
    error = writer_->open();
  } else if (const int refused = error_of_writing(config_.output, true); refused != 0) {
    // A FIFO that was opened before the user was changed.
    error = "output " + config_.output + " can not be opened: " + std::strerror(refused);
  }
  if (!error.empty()) fail(ErrorCode::kOutputFailed, error);
  return error.empty();
}

// What is written beside the messages: bodies (extractDir), segments (debug, hexDump).
bool Engine::open_side_outputs() {
  std::string error;
  if (!config_.extract_dir.empty()) {
    extractor_ = std::make_unique<BodyExtractor>(extract_settings(config_));
    error = extractor_->open();
  }
  if (error.empty() && (config_.debug || config_.hex_dump)) {
    debug_log_ = std::make_unique<DebugLog>(config_.hex_dump);
    error = debug_log_->open(config_.debug_log);
  }
  if (!error.empty()) fail(ErrorCode::kOutputFailed, error);
  return error.empty();
}

bool Engine::open_sources() {
  auto filter = CaptureFilter::make(filter_options(config_));
  if (const auto* error = std::get_if<std::string>(&filter)) {
    fail(ErrorCode::kInvalidConfig, *error);
    return false;
  }
  const uint64_t captures = config_.live() ? config_.capture_threads : 1;
  for (uint64_t i = 0; i < captures; i++) {
    captures_.push_back(std::make_unique<Capture>());
    captures_.back()->index = i;
  }
  if (config_.live()) return open_all_live(std::get<CaptureFilter>(filter));
  // What comes before a bad file is still delivered; one that is not there is told at once.
  std::string problem = FileSource::problem_of(files_[0]);
  for (size_t i = 1; i < files_.size() && problem.empty(); i++) {
    problem = FileSource::missing(files_[i]);
  }
  if (!problem.empty()) {
    fail(ErrorCode::kInputFile, problem);
    return false;
  }
  Capture& capture = *captures_[0];
  pieces_ = std::make_unique<PiecePool>(piece_count(config_.shards), kPieceSize);
  if (may_read_in_team(config_) &&
      std::all_of(files_.begin(), files_.end(), FileSource::is_plain)) {
    parts_ = std::make_unique<FileParts>();
  }
  capture.file = std::make_unique<FileSource>(files_, *pieces_, parts_.get());
  capture.source = capture.file.get();
  capture.filter = std::make_unique<CaptureFilter>(std::get<CaptureFilter>(std::move(filter)));
  return true;
}

bool Engine::open_all_live(const CaptureFilter& filter) {
  // Chosen once: every capture thread has the same one.
  const auto interface = interface_or_default(config_.interface);
  if (const auto* problem = std::get_if<Problem>(&interface)) {
    fail(problem->code, problem->message());
    return false;
  }
  LiveOptions options;
  options.interface = std::get<std::string>(interface);
  options.snaplen = static_cast<uint32_t>(config_.snaplen);
  options.buffer_bytes = config_.buffer_size_mib << 20;
  options.promiscuous = config_.promiscuous;
  options.block_timeout_ms = block_timeout_ms(config_);
  // Handles of other runs on this interface must not be in the group.
  if (captures_.size() > 1) options.fanout_group = static_cast<uint16_t>(random_secret());
  for (const auto& capture : captures_) {
    if (!open_live(*capture, options, filter)) return false;
    if (!filter.passes_everything())
      capture->filter = std::make_unique<CaptureFilter>(filter.fresh());
  }
  return true;
}

bool Engine::open_live(Capture& capture, const LiveOptions& options, const CaptureFilter& filter) {
  auto opened = LiveSource::open(options, filter);
  if (const auto* problem = std::get_if<Problem>(&opened)) {
    fail(problem->code, problem->message());
    return false;
  }
  capture.live = std::get<std::unique_ptr<LiveSource>>(std::move(opened));
  capture.source = capture.live.get();
  return true;
}

// With `shards: 0` every capture thread runs a shard of its own.
void Engine::make_shards() {
  const bool own_threads = config_.shards > 0 && parts_ == nullptr;
  const uint32_t count = shard_count(config_, parts_ != nullptr);
  census_ = std::make_unique<ConnectionCensus>(count);
  const bool colours = config_.color == Color::kAlways;
  ShardSettings settings = shard_settings(config_, count, colours);
  if (captures_[0]->live) settings.lines.link_names = {captures_[0]->live->interface()};
  // A shard with a thread of its own may always wait for the output: then its inbox fills, and the
  // capture thread waits or drops. On the capture thread itself waiting means to lose packets.
  const bool may_wait = own_threads || config_.overload == Overload::kBlock;
  settings.bodies.extract = extractor_.get();
  for (uint32_t i = 0; i < count; i++) {
    if (debug_log_) settings.trace = debug_log_->add_section();
    shards_.push_back(std::make_unique<Shard>(i, settings, *census_, lines_, may_wait, events_));
    if (own_threads) shard_threads_.push_back(std::make_unique<ShardThread>(*shards_.back()));
  }
}

void Engine::connect(Capture& capture) {
  static const uint64_t secret = random_secret();
  std::vector<PacketLane*> lanes;
  if (parts_) {
    team_ = std::make_unique<FileTeam>(FileTeam::Parties{*capture.file, *parts_, shards_, stop_,
                                                         std::bind_front(&Engine::on_fault, this)},
                                       team_threads(config_));
    lanes = team_->lanes();
  } else if (shard_threads_.empty()) {
    capture.lanes.push_back(std::make_unique<InlineLane>(*shards_[capture.index]));
  } else {
    for (const auto& thread : shard_threads_) {
      capture.lanes.push_back(std::make_unique<ThreadLane>(thread->inbox()));
    }
  }
  for (const auto& lane : capture.lanes) lanes.push_back(lane.get());
  CaptureFilter* filter = capture.filter != nullptr && !capture.filter->passes_everything()
                              ? capture.filter.get()
                              : nullptr;
  capture.dispatcher =
      std::make_unique<Dispatcher>(dispatcher_settings(config_, secret), lanes, filter);
  if (capture.live) capture.dispatcher->set_source(capture.live.get());
  if (capture.file) {
    capture.dispatcher->set_on_unsupported([this](LinkType link_type, const std::string& file) {
      say_unsupported(link_type, "file", file);
    });
    capture.dispatcher->set_on_out_of_order([this](const std::string& file, int64_t behind_ns) {
      EventFields fields;
      fields["file"] = file;
      fields["behindMs"] = behind_ns / 1'000'000;
      log_.emit(LogLevel::kWarn, event::kFileOutOfOrder,
                "this file begins before the one before it ended: connections in both of them lose "
                "messages (fileOrder, or merge the files first)",
                fields);
    });
    capture.filter->set_on_problem([this](LinkType link_type, const std::string& why) {
      say_unsupported(link_type, "error", why);
    });
  }
}

void Engine::say_started() {
  EventFields fields;
  fields["schemaVersion"] = kSchemaVersion;
  fields["version"] = version();
  fields["revision"] = git_revision();
  const Capture& capture = *captures_[0];
  if (capture.live) {
    fields["interface"] = capture.live->interface();
    fields["linkType"] = static_cast<int>(capture.live->link_type());
    fields["filter"] = capture.live->filter_text();
    fields["filterInstructions"] = capture.live->filter_instructions();
    fields["nanoseconds"] = capture.live->has_nanoseconds();
    fields["captureThreads"] = captures_.size();
    if (!capture.live->warning().empty()) fields["warning"] = capture.live->warning();
  } else {
    fields["files"] = files_;
    if (const auto link_type = read_file_head(files_[0]).link_type) {
      fields["linkType"] = static_cast<int>(*link_type);
    }
    fields["filter"] = config_.filter;
  }
  if (!config_.user.empty()) fields["user"] = config_.user;
  fields["ports"] = config_.ports;
  fields["shards"] = config_.shards;
  if (metrics_) fields["metricsPort"] = metrics_->port();
  log_.emit(LogLevel::kInfo, event::kStarted, "capturing", fields);
  if (capture.live && !is_supported(capture.live->link_type())) {
    say_unsupported(capture.live->link_type(), "interface", capture.live->interface());
  }
}

void Engine::say_unsupported(LinkType link_type, const char* field, const std::string& value) {
  EventFields fields;
  fields["linkType"] = static_cast<int>(link_type);
  fields[field] = value;
  log_.emit(LogLevel::kWarn, event::kUnsupportedLinkType,
            "frames of this link type can not be read: they are left out", fields);
}

void Engine::start_threads() {
  const auto tell_control = [this] { control_event_.notify(); };
  const auto tell_fault = [this](const char* what) { on_fault(what); };
  const auto warn_of = [this](std::string_view event, std::string_view message) {
    return [this, event, message](const std::string& file, const std::string& error) {
      EventFields fields;
      fields["file"] = file;
      fields["error"] = error;
      log_.emit(LogLevel::kWarn, event, message, fields);
    };
  };
  OutputWriter::Listener listener;
  listener.on_end = tell_control;
  listener.on_reopen_failed = warn_of(event::kOutputReopenFailed,
                                      "the output could not be opened anew; the old file is kept");
  listener.on_full = warn_of(event::kOutputFull, "the output has no room; it is tried again");
  listener.on_room = [this](const std::string& file, uint64_t dropped) {
    EventFields fields;
    fields["file"] = file;
    fields["dropped"] = dropped;
    log_.emit(LogLevel::kWarn, event::kOutputResumed, "the output has room again", fields);
  };
  listener.on_mended = [this](const std::string& file, const FileEnd& end) {
    EventFields fields;
    fields["file"] = file;
    if (end.cut_bytes > 0) fields["cutBytes"] = end.cut_bytes;
    log_.emit(LogLevel::kWarn, event::kOutputMended,
              end.ended_a_line
                  ? "the output did not end with a whole line: it was given a line feed"
                  : "the output did not end with a whole message: its part was cut off",
              fields);
  };
  listener.on_fault = tell_fault;
  writer_->start(std::move(listener));
  if (extractor_) {
    extractor_->start(warn_of(event::kExtractFailed, "a body was not written to its file"),
                      tell_fault);
  }
  for (size_t i = 0; i < shard_threads_.size(); i++) {
    shard_threads_[i]->start(static_cast<uint32_t>(captures_.size()), cpu_of(captures_.size() + i),
                             tell_control, tell_fault);
  }
  for (size_t i = 0; i < captures_.size(); i++) {
    Capture& capture = *captures_[i];
    // The threads of a team would inherit the CPU; they pin themselves.
    capture.thread = start_thread("capture", [this, &capture] { capture_loop(capture); });
    if (!team_) pin_thread(capture.thread.native_handle(), cpu_of(i));
  }
}

// In the order of pinCpus: capture threads, shards. -1: any.
int Engine::cpu_of(size_t thread) const {
  return thread < config_.pin_cpus.size() ? int{config_.pin_cpus[thread]} : -1;
}

// ---------------------------------------------------------------- capture threads

void Engine::capture_loop(Capture& capture) {
  try {
    if (team_) {
      capture_file_in_team(capture);
    } else if (capture.file) {
      capture_file(capture);
    } else {
      raise_capture_priority();
      capture_live(capture);
    }
    if (!team_) capture.dispatcher->finish();
  } catch (const std::exception& error) {
    on_fault(error.what());
    end_shards_of(capture);
  }
  capture.done.store(true, std::memory_order_release);
  control_event_.notify();
}

// After a fault: shards with threads of their own still wait for the end of the input.
void Engine::end_shards_of(Capture& capture) noexcept {
  if (shard_threads_.empty()) return;
  try {
    capture.dispatcher->finish();
  } catch (const std::exception& error) {
    on_fault(error.what());  // the process is left without them
  }
}

void Engine::capture_file_in_team(Capture& capture) {
  const auto begin = [this](uint32_t index) {
    if (index > 0) pthread_setname_np(pthread_self(), "team");
    pin_thread(pthread_self(), cpu_of(index));
  };
  capture.failed = !team_->run(*capture.dispatcher, begin);
}

void Engine::capture_file(Capture& capture) {
  LineOutput* own_lines = shard_threads_.empty() ? &shards_[0]->output() : nullptr;
  Clock::time_point next_flush = Clock::now() + kFlushEvery;
  while (!stop_.load(std::memory_order_relaxed)) {
    switch (capture.source->poll(*capture.dispatcher)) {
      case SourceStatus::kMore:
        // The few messages of a large file must not wait for full blocks.
        if (Clock::now() >= next_flush) {
          capture.dispatcher->flush();
          if (own_lines != nullptr) own_lines->flush();
          next_flush = Clock::now() + kFlushEvery;
        }
        break;
      case SourceStatus::kIdle:
        capture.dispatcher->flush();
        if (own_lines != nullptr) own_lines->flush();
        capture.file->wait(1000);
        break;
      case SourceStatus::kError:
        capture.failed = true;
        return;
      case SourceStatus::kEnd:
        return;
    }
  }
}

void Engine::capture_live(Capture& capture) {
  Dispatcher& dispatcher = *capture.dispatcher;
  constexpr auto kTick = std::chrono::milliseconds(100);
  Clock::time_point last_packet = Clock::now();
  Clock::time_point next_statistics = last_packet + kTick;
  int64_t clock_then = 0;
  Shard* own_shard = shard_threads_.empty() ? shards_[capture.index].get() : nullptr;
  while (!stop_.load(std::memory_order_relaxed)) {
    const SourceStatus status = capture.source->poll(dispatcher);
    if (status == SourceStatus::kError) {
      capture.failed = true;
      break;
    }
    dispatcher.flush();
    if (status == SourceStatus::kEnd) break;
    const Clock::time_point now = Clock::now();
    if (status == SourceStatus::kMore) {
      last_packet = now;
      clock_then = dispatcher.clock_ns();
    } else {
      if (own_shard != nullptr) own_shard->output().flush_when_idle();
      const bool unsent = own_shard != nullptr && own_shard->output().has_unsent();
      capture.live->wait(unsent ? static_cast<int>(LineOutput::kAskAgain.count()) : 100);
      const auto silent = Clock::now() - last_packet;
      // Nothing comes: time goes on all the same, so that timeouts are noticed.
      if (silent >= kTick && clock_then != 0) {
        dispatcher.tick(clock_then +
                        std::chrono::duration_cast<std::chrono::nanoseconds>(silent).count());
      }
    }
    if (now >= next_statistics) {
      next_statistics = now + kTick;
      capture.live->update_statistics();
      // Under steady load the inline shard's lines must not wait for a full block.
      if (own_shard != nullptr) own_shard->output().flush_when_idle();
    }
  }
  if (!capture.failed) empty_kernel_buffer(capture);
  capture.live->update_statistics();
}

// What had come before the stop is still in the kernel's buffer, the last of it in a block that the
// kernel hands out when its timeout has run. Later frames are not waited for.
void Engine::empty_kernel_buffer(Capture& capture) {
  Dispatcher& dispatcher = *capture.dispatcher;
  const int timeout_ms = block_timeout_ms(config_);
  // Two ticks of a slow kernel timer on top, for the timeout is rounded up to them.
  const auto patience = std::chrono::milliseconds(timeout_ms + 20);
  const auto begin = Clock::now();
  const int64_t stop_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                              std::chrono::system_clock::now().time_since_epoch())
                              .count();
  auto last_packet = begin;
  while (!abort_requested_.load(std::memory_order_relaxed) &&
         Clock::now() - begin < std::chrono::seconds(1)) {
    const SourceStatus status = capture.source->poll(dispatcher);
    dispatcher.flush();
    if (status == SourceStatus::kMore) {
      if (dispatcher.clock_ns() >= stop_ns) return;
      last_packet = Clock::now();
    } else if (status != SourceStatus::kIdle || Clock::now() - last_packet >= patience) {
      return;
    } else {
      capture.live->wait(timeout_ms);
    }
  }
}

}  // namespace tcp_sniffer
