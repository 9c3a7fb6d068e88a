#include "io/run/file_run.h"

#include "io/file/file_source.h"
#include "io/run/engine_settings.h"

namespace tcp_sniffer {

namespace {

using Clock = std::chrono::steady_clock;

// Segments and finished lines leave after this long, even when they fill no block.
constexpr auto kFlushEvery = std::chrono::milliseconds(100);

}  // namespace

FileMode::Opened FileRun::open_input(PiecePool& pool) {
  if (auto problem = problem_of_files()) return std::move(*problem);
  return std::make_unique<FileSource>(files(), pool, nullptr, link_names().get());
}

ShardPlan FileRun::shard_plan() const {
  return {.count = shard_count(host_.config, false),
          .own_threads = host_.config.shards > 0,
          .link_names = link_names()};
}

void FileRun::connect(ShardSet& shards) {
  shards_ = &shards;
  owned_lanes_ = shards.make_lanes(0);
  std::vector<PacketLane*> lanes;
  for (const auto& lane : owned_lanes_) lanes.push_back(lane.get());
  connect_lanes(std::move(lanes));
}

void FileRun::start() {
  const auto run = [this] {
    const bool taken = take_frames();
    end_input();
    dispatcher().finish();
    return taken;
  };
  // A shard on this thread may be in no state to be ended.
  const auto end_after_fault = [this] {
    if (shards_->have_threads()) dispatcher().finish();
  };
  start_thread(run, end_after_fault, cpu_of(host_.config, 0));
}

void FileRun::flush() {
  dispatcher().flush();
  shards_->flush(0);
}

// The capture thread. False: the source failed.
bool FileRun::take_frames() {
  Clock::time_point next_flush = Clock::now() + kFlushEvery;
  while (!stopped().load(std::memory_order_relaxed)) {
    beat();
    switch (input().poll(dispatcher())) {
      case SourceStatus::kMore:
        // The few messages of a large file must not wait for full blocks.
        if (Clock::now() >= next_flush) {
          flush();
          next_flush = Clock::now() + kFlushEvery;
        }
        break;
      case SourceStatus::kIdle:
        flush();
        input().wait(1000);
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
