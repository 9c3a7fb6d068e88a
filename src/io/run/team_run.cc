#include "io/run/team_run.h"

#include <pthread.h>

#include "io/run/engine_settings.h"
#include "shard/pin_thread.h"

namespace tcp_sniffer {

ShardPlan TeamRun::shard_plan() const {
  return {.count = shard_count(host_.config, true), .own_threads = false};
}

void TeamRun::connect(ShardSet& shards) {
  team_ = std::make_unique<FileTeam>(
      FileTeam::Parties{input_.source(), parts_, shards.all(), stop_, host_.on_fault},
      team_threads(host_.config));
  dispatcher_ = input_.make_dispatcher(team_->lanes());
}

void TeamRun::start() {
  CaptureThread::Work work;
  work.run = [this] { return take_frames(); };
  work.on_end = host_.on_end;
  work.on_fault = host_.on_fault;
  // The other threads of the team would inherit the CPU; each pins itself.
  thread_.start(std::move(work), -1);
}

void TeamRun::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  input_.wake();
}

std::vector<Problem> TeamRun::problems() const {
  if (!thread_.failed()) return {};
  return {input_.problem()};
}

std::vector<MetricsSources::Capture> TeamRun::statistics() const {
  MetricsSources::Capture view{&dispatcher_->counters()};
  for (const PacketLane* lane : team_->lanes()) view.lanes.push_back(lane);
  return {std::move(view)};
}

// The first of the threads. The team ends the shards.
bool TeamRun::take_frames() {
  return team_->run(*dispatcher_, [this](uint32_t index) {
    if (index > 0) pthread_setname_np(pthread_self(), "team");
    pin_thread(pthread_self(), cpu_of(host_.config, index));
  });
}

}  // namespace tcp_sniffer
