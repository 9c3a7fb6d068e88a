#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/run/capture_thread.h"
#include "io/run/file_input.h"
#include "io/run/run_mode.h"

namespace tcp_sniffer {

// Reads capture files on one thread, as it would a live interface: pipes, compressed files, and
// whenever something may be dropped or has to leave early. With `shards: 0` that thread runs the
// shard as well.
class FileRun final : public RunMode {
 public:
  FileRun(const RunHost& host, std::vector<std::string> files)
      : host_(host), input_(host_, std::move(files)) {}

  std::optional<Problem> open() override { return input_.open(nullptr); }
  ShardPlan shard_plan() const override;
  void connect(ShardSet& shards) override;
  void start() override;
  void stop() noexcept override;
  bool done() const override { return thread_.done(); }
  void finish() override { thread_.join(); }
  std::vector<Problem> problems() const override;

  std::vector<MetricsSources::Capture> statistics() const override;
  void describe(EventFields& fields) const override { input_.describe(fields); }
  void report(std::chrono::steady_clock::time_point now) override { input_.show_progress(now); }
  void end_report() override { input_.clear_progress(); }

 private:
  bool take_frames();

  const RunHost host_;
  FileInput input_;
  ShardSet* shards_ = nullptr;  // from connect on
  std::vector<std::unique_ptr<PacketLane>> lanes_;
  std::unique_ptr<Dispatcher> dispatcher_;
  CaptureThread thread_;
  std::atomic<bool> stop_{false};
};

}  // namespace tcp_sniffer
