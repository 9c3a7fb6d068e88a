#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/file/file_parts.h"
#include "io/file/file_team.h"
#include "io/run/file_mode.h"

namespace tcp_sniffer {

// Reads plain capture files on several threads, which take what they read through every shard
// (FileTeam). No shard has a thread of its own.
class TeamRun final : public FileMode {
 public:
  TeamRun(const RunHost& host, std::vector<std::string> files) : FileMode(host, std::move(files)) {}
  ~TeamRun() override { disconnect(); }

  ShardPlan shard_plan() const override;
  void connect(ShardSet& shards) override;
  void start() override;

 private:
  Opened open_input(PiecePool& pool) override;
  bool take_frames();
  uint64_t beats() const override { return team_->progress_made(); }

  FileParts parts_;
  FileSource* source_ = nullptr;  // the input
  std::unique_ptr<FileTeam> team_;
};

}  // namespace tcp_sniffer
