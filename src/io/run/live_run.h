#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/link_names.h"
#include "io/capture/capture_filter.h"
#include "io/capture/dispatcher.h"
#include "io/capture/live_source.h"
#include "io/run/capture_thread.h"
#include "io/run/live_watch.h"
#include "io/run/run_mode.h"

namespace tcp_sniffer {

// Captures on interfaces, on each with `captureThreads` threads that share its frames. With
// `shards: 0`, and one interface, each of them runs a shard of its own.
//
// An interface that goes down is waited for, and so is one of several that is removed. The only
// one, when it is removed, ends the run, and so do several when all of them are. A run that was
// stopped while one is away ends with its problem, too.
class LiveRun final : public RunMode {
 public:
  explicit LiveRun(const RunHost& host);

  std::optional<Problem> open() override;
  ShardPlan shard_plan() const override;
  void connect(ShardSet& shards) override;
  void start() override;
  void stop() noexcept override;
  void abort() noexcept override { aborted_.store(true, std::memory_order_relaxed); }
  bool done() const override;
  void finish() override;
  std::vector<Problem> problems() const override;

  std::vector<MetricsSources::Capture> statistics() const override;
  void see(std::vector<ThreadSight>& threads) const override;
  void describe(EventFields& fields) const override;
  void report(std::chrono::steady_clock::time_point now) override;

 private:
  struct Capture {
    size_t index = 0;
    bool leads = true;  // the first thread of its interface
    std::unique_ptr<LiveSource> source;
    std::unique_ptr<CaptureFilter> filter;  // nullptr: every frame passes
    std::vector<std::unique_ptr<PacketLane>> lanes;
    std::unique_ptr<Dispatcher> dispatcher;
    CaptureThread thread;
  };

  std::optional<Problem> open(const std::string& interface, const CaptureFilter& filter);
  bool has_several() const { return interfaces_.size() > 1; }
  LiveSource& first_source() const { return *captures_[0]->source; }
  bool take_frames(Capture& capture);
  bool take_until_stop(Capture& capture);
  bool all_are_removed() const;
  std::chrono::milliseconds idle_tick_of_several(std::chrono::steady_clock::time_point now) const;
  void empty_kernel_buffer(Capture& capture);

  const RunHost host_;
  const uint64_t hash_secret_;  // of this run
  std::vector<std::string> interfaces_;
  const std::shared_ptr<LinkNames> link_names_ = std::make_shared<LinkNames>();
  std::vector<LiveWatch> watches_;  // by interface
  ShardSet* shards_ = nullptr;      // from connect on
  std::vector<std::unique_ptr<Capture>> captures_;
  std::atomic<std::chrono::steady_clock::rep> packets_at_{0};  // on any of several interfaces
  std::atomic<bool> stop_{false};
  std::atomic<bool> aborted_{false};
};

}  // namespace tcp_sniffer
