#include "io/run/file_run.h"

#include "io/run/engine_settings.h"

namespace tcp_sniffer {

namespace {

using Clock = std::chrono::steady_clock;

// Segments and finished lines leave after this long, even when they fill no block.
constexpr auto kFlushEvery = std::chrono::milliseconds(100);

}  // namespace

ShardPlan FileRun::shard_plan() const {
  return {.count = shard_count(host_.config, false), .own_threads = host_.config.shards > 0};
}

void FileRun::connect(ShardSet& shards) {
  shards_ = &shards;
  lanes_ = shards.make_lanes(0);
  std::vector<PacketLane*> lanes;
  for (const auto& lane : lanes_) lanes.push_back(lane.get());
  dispatcher_ = input_.make_dispatcher(lanes);
}

void FileRun::start() {
  CaptureThread::Work work;
  work.run = [this] {
    const bool taken = take_frames();
    dispatcher_->finish();
    return taken;
  };
  // A shard on this thread may be in no state to be ended.
  work.end_after_fault = [this] {
    if (shards_->have_threads()) dispatcher_->finish();
  };
  work.on_end = host_.on_end;
  work.on_fault = host_.on_fault;
  thread_.start(std::move(work), cpu_of(host_.config, 0));
}

void FileRun::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  input_.wake();
}

std::vector<Problem> FileRun::problems() const {
  if (!thread_.failed()) return {};
  return {input_.problem()};
}

std::vector<MetricsSources::Capture> FileRun::statistics() const {
  MetricsSources::Capture view{&dispatcher_->counters()};
  for (const auto& lane : lanes_) view.lanes.push_back(lane.get());
  return {std::move(view)};
}

// The capture thread. False: the source failed.
bool FileRun::take_frames() {
  Clock::time_point next_flush = Clock::now() + kFlushEvery;
  while (!stop_.load(std::memory_order_relaxed)) {
    switch (input_.source().poll(*dispatcher_)) {
      case SourceStatus::kMore:
        // The few messages of a large file must not wait for full blocks.
        if (Clock::now() >= next_flush) {
          dispatcher_->flush();
          shards_->flush(0);
          next_flush = Clock::now() + kFlushEvery;
        }
        break;
      case SourceStatus::kIdle:
        dispatcher_->flush();
        shards_->flush(0);
        input_.source().wait(1000);
        break;
      case SourceStatus::kError:
        return false;
      case SourceStatus::kEnd:
        return true;
    }
  }
  return true;
}

}  // namespace tcp_sniffer
