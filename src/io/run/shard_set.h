#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/link_names.h"
#include "core/metrics/request_meter.h"
#include "core/metrics/request_series.h"
#include "io/config/config.h"
#include "io/event/event_queue.h"
#include "io/run/metrics.h"
#include "io/run/outputs.h"
#include "io/run/thread_watch.h"
#include "shard/census.h"
#include "shard/exchange_limit.h"
#include "shard/packet_lane.h"
#include "shard/shard.h"
#include "shard/shard_thread.h"

namespace tcp_sniffer {

// Which shards a run mode works with.
struct ShardPlan {
  uint32_t count = 1;
  // Each has one. Otherwise a shard runs on the thread that its blocks come from.
  bool own_threads = false;
  // The capture threads' segments are taken in the order of their clocks.
  bool in_order = false;
  std::shared_ptr<const LinkNames> link_names{};
};

// The shards of a run, and the threads of those that have one of their own. The outputs, the queue
// of lines and the one of events outlive it.
class ShardSet {
 public:
  ShardSet(const Config& config, const ShardPlan& plan, Outputs& outputs, LineQueue& lines,
           EventQueue& events);

  // Shard::change, of all shards; `config` differs from the one before in keys that reload.
  void change(const Config& config);

  const std::vector<std::unique_ptr<Shard>>& all() const { return shards_; }
  // Whether blocks go to threads, which wait until each capture thread has sent the end.
  bool have_threads() const { return !threads_.empty(); }
  // The ways of blocks from one capture thread: to each shard with a thread, or to the one shard
  // that runs on the capture thread.
  std::vector<std::unique_ptr<PacketLane>> make_lanes(size_t capture);

  // Flushes the output of the shard that runs on this capture thread, for that thread. Does nothing
  // when shards have threads, which flush their own.
  void flush(size_t capture);
  void flush_when_idle(size_t capture);
  bool has_unsent(size_t capture) const;

  // Starts the threads, which end when `captures` threads have sent the end. The i-th of them runs
  // on `cpu_of(i)`. Both functions are called on such a thread.
  void start(uint32_t captures, const std::function<int(size_t)>& cpu_of,
             const std::function<void()>& on_done,
             const std::function<void(const char*)>& on_fault);
  // Whether all threads have ended. Any thread.
  bool done() const;
  // Waits for that.
  void join();
  // Nobody takes the lines any more: no shard waits for that. Any thread.
  void abandon_lines();

  // Whether as many exchanges were written as `count` asks for. Any thread.
  bool count_reached() const { return limit_ && limit_->all_ended(); }
  // Of all shards, when they have ended; nothing: none were taken.
  std::optional<ExchangeNotes> notes() const;

  // The threads that have not ended. Any thread.
  void see(std::vector<ThreadSight>& threads) const;
  // Grows while a shard waits for the writer, so that a thread that waits for the shard is not
  // taken for one that stands still. Any thread.
  uint64_t beats_of_waits() const;

  std::vector<const ShardCounters*> counters() const;
  std::vector<MetricsSources::ShardView> views() const;
  // nullptr: requests are not counted.
  const RequestSeries* requests() const { return requests_.get(); }

 private:
  ShardSettings settings_of(const Config& config);

  const ShardPlan plan_;
  Outputs& outputs_;
  ConnectionCensus census_;
  std::optional<ExchangeLimit> limit_;
  std::atomic<int64_t> shown_day_ = INT64_MIN;  // the last day announced (format: pretty)
  std::unique_ptr<RequestSeries> requests_;
  std::vector<std::unique_ptr<RequestMeter>> meters_;  // of the shards, with requests_
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<ShardThread>> threads_;
};

}  // namespace tcp_sniffer
