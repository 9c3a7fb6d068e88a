#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "io/follow/capture_feed.h"
#include "io/follow/follow_source.h"
#include "io/run/file_run.h"

namespace tcp_sniffer {

// Follows captures that still grow (`follow`), on one thread. The way of their frames is that of
// files: packet time rules, and shards that are slow make the files wait.
class FollowRun final : public FileRun, private FollowListener {
 public:
  explicit FollowRun(const RunHost& host) : FileRun(host, host.config.files) {}
  ~FollowRun() override { disconnect(); }

  void abort() noexcept override { aborted_.store(true, std::memory_order_release); }
  std::vector<MetricsSources::Capture> statistics() const override;
  void describe(EventFields& fields) const override;

  // Why the captures of the configuration cannot be followed, as far as it can be known without
  // reading them. Nothing: no obstacle is known.
  static std::optional<Problem> problem_of(const std::string& entry);

 private:
  // What was written before the stop is read after it, for so long at most.
  static constexpr std::chrono::seconds kReadAfterStop{1};

  Opened open_input(PiecePool& pool) override;
  void end_input() override;

  void on_begin(const std::string& name, bool again) override;
  void on_end(const CaptureEnd& end) override;
  void on_skip(const std::string& name, const std::string& why, bool expected) override;
  void on_miss(const std::string& name, const std::string& why) override;
  void on_wait(const std::string& name, const std::string& why) override;
  void on_unwatched(const std::string& folder, const std::string& why) override;
  void on_listen(const std::string& name, int port) override;
  void on_unconnected(const std::string& name, const std::string& why, int64_t retry_ms) override;

  FollowCounters counters_;
  std::unique_ptr<CaptureFeed> feed_;
  FollowSource* source_ = nullptr;  // the input
  std::atomic<bool> aborted_{false};
};

}  // namespace tcp_sniffer
