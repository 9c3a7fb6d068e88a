#include "io/run/team_run.h"

#include <pthread.h>

#include "io/file/file_source.h"
#include "io/run/engine_settings.h"
#include "shard/pin_thread.h"

namespace tcp_sniffer {

FileMode::Opened TeamRun::open_input(PiecePool& pool) {
  if (auto problem = problem_of_files()) return std::move(*problem);
  auto source = std::make_unique<FileSource>(files(), pool, &parts_, link_names().get());
  source_ = source.get();
  return source;
}

ShardPlan TeamRun::shard_plan() const {
  return {
      .count = shard_count(host_.config, true), .own_threads = false, .link_names = link_names()};
}

void TeamRun::connect(ShardSet& shards) {
  team_ = std::make_unique<FileTeam>(
      FileTeam::Parties{*source_, parts_, shards.all(), stopped(), host_.on_fault},
      team_threads(host_.config));
  connect_lanes(team_->lanes());
}

void TeamRun::start() {
  // The other threads of the team would inherit the CPU; each pins itself.
  start_thread([this] { return take_frames(); }, [] {}, -1);
}

// The first of the threads. The team ends the shards.
bool TeamRun::take_frames() {
  return team_->run(dispatcher(), [this](uint32_t index) {
    if (index > 0) pthread_setname_np(pthread_self(), "team");
    pin_thread(pthread_self(), cpu_of(host_.config, index));
  });
}

}  // namespace tcp_sniffer
