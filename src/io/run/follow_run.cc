#include "io/run/follow_run.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "io/base/capture_address.h"
#include "io/follow/file_target.h"
#include "io/follow/followed_files.h"
#include "io/follow/followed_peer.h"

namespace tcp_sniffer {

namespace {

EventFields file_fields(const std::string& name) {
  EventFields fields;
  fields["file"] = name;
  return fields;
}

EventFields file_fields(const std::string& name, const std::string& error) {
  EventFields fields = file_fields(name);
  fields["error"] = error;
  return fields;
}

}  // namespace

std::optional<Problem> FollowRun::problem_of(const std::string& entry) {
  if (const auto address = parse_capture_address(entry)) {
    return FollowedPeer::problem_of(entry, *address);
  }
  return tcp_sniffer::problem_of(file_target(entry));
}

FileMode::Opened FollowRun::open_input(PiecePool& pool) {
  FollowListener& listener = *this;
  if (auto address = parse_capture_address(files()[0])) {
    feed_ = std::make_unique<FollowedPeer>(files()[0], std::move(*address), listener, counters_);
  } else {
    feed_ = std::make_unique<FollowedFiles>(files(), listener, counters_);
  }
  if (auto problem = feed_->open()) return std::move(*problem);
  auto source = std::make_unique<FollowSource>(*feed_, pool, listener, counters_,
                                               host_.config.follow_idle_ms, link_names().get());
  source_ = source.get();
  return source;
}

// After a stop: what was written until now, as a live capture takes what waits in the kernel.
void FollowRun::end_input() {
  const auto deadline = std::chrono::steady_clock::now() + kReadAfterStop;
  if (stopped().load(std::memory_order_relaxed)) source_->look();
  while (stopped().load(std::memory_order_relaxed) && !shards().count_reached() &&
         !aborted_.load(std::memory_order_relaxed) && std::chrono::steady_clock::now() < deadline) {
    beat();
    const SourceStatus status = source_->poll(dispatcher());
    if (status == SourceStatus::kMore) continue;
    if (status != SourceStatus::kIdle || source_->has_all()) break;
    flush();
    source_->wait(10);
  }
  source_->close();
}

std::vector<MetricsSources::Capture> FollowRun::statistics() const {
  std::vector<MetricsSources::Capture> captures = FileRun::statistics();
  captures[0].follow = &counters_;
  return captures;
}

void FollowRun::describe(EventFields& fields) const {
  fields["files"] = files();
  fields["follow"] = true;
  fields["filter"] = host_.config.filter;
}

void FollowRun::on_begin(const std::string& name, bool again) {
  EventFields fields = file_fields(name);
  if (again) fields["again"] = true;
  host_.log.emit(LogLevel::kInfo, event::kFollowBegun,
                 again ? "a capture grows again after it had ended" : "a capture is being read",
                 fields);
}

void FollowRun::on_end(const CaptureEnd& end) {
  EventFields fields = file_fields(end.name);
  fields["bytes"] = end.bytes;
  if (end.problem.empty()) {
    host_.log.emit(LogLevel::kInfo, event::kFollowEnded, "a capture has ended", fields);
    return;
  }
  if (end.left > 0) fields["cutBytes"] = end.left;
  fields["error"] = end.problem;
  host_.log.emit(LogLevel::kWarn, event::kFollowEnded, "a capture has ended, and not in order",
                 fields);
}

void FollowRun::on_skip(const std::string& name, const std::string& why, bool expected) {
  host_.log.emit(expected ? LogLevel::kInfo : LogLevel::kWarn, event::kFollowSkipped,
                 "a file is not read", file_fields(name, why));
}

void FollowRun::on_miss(const std::string& name, const std::string& why) {
  host_.log.emit(LogLevel::kWarn, event::kFollowMissed,
                 "a capture was lost: its writer was faster than its reader",
                 file_fields(name, why));
}

void FollowRun::on_wait(const std::string& name, const std::string& why) {
  host_.log.emit(LogLevel::kWarn, event::kFollowWaiting, "there is nothing to read here yet",
                 file_fields(name, why));
}

void FollowRun::on_unwatched(const std::string& folder, const std::string& why) {
  EventFields fields;
  fields["folder"] = folder;
  fields["error"] = why;
  host_.log.emit(LogLevel::kWarn, event::kFollowUnwatched,
                 "the system does not tell what changes in this folder: it is looked at from time "
                 "to time",
                 fields);
}

void FollowRun::on_listen(const std::string& name, int port) {
  EventFields fields = file_fields(name);
  fields["port"] = port;
  host_.log.emit(LogLevel::kInfo, event::kFollowListening, "senders of captures may connect",
                 fields);
}

void FollowRun::on_unconnected(const std::string& name, const std::string& why, int64_t retry_ms) {
  EventFields fields = file_fields(name, why);
  fields["retryMs"] = retry_ms;
  host_.log.emit(LogLevel::kWarn, event::kFollowUnconnected,
                 "there is no connection to the sender of the capture", fields);
}

}  // namespace tcp_sniffer
