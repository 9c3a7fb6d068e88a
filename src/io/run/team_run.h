#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/file/file_parts.h"
#include "io/file/file_team.h"
#include "io/run/capture_thread.h"
#include "io/run/file_input.h"
#include "io/run/run_mode.h"

namespace tcp_sniffer {

// Reads plain capture files on several threads, which take what they read through every shard
// (FileTeam). No shard has a thread of its own.
class TeamRun final : public RunMode {
 public:
  TeamRun(const RunHost& host, std::vector<std::string> files)
      : host_(host), input_(host_, std::move(files)) {}

  std::optional<Problem> open() override { return input_.open(&parts_); }
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
  FileParts parts_;
  std::unique_ptr<FileTeam> team_;  // its pieces outlive the source
  FileInput input_;
  std::unique_ptr<Dispatcher> dispatcher_;
  CaptureThread thread_;  // the first of the team
  std::atomic<bool> stop_{false};
};

}  // namespace tcp_sniffer
