#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/run/file_mode.h"

namespace tcp_sniffer {

// Reads capture files on one thread, as it would a live interface: pipes, compressed files, and
// whenever something may be dropped or has to leave early. With `shards: 0` that thread runs the
// shard as well.
class FileRun : public FileMode {
 public:
  FileRun(const RunHost& host, std::vector<std::string> files) : FileMode(host, std::move(files)) {}
  ~FileRun() override { disconnect(); }

  ShardPlan shard_plan() const override;
  void connect(ShardSet& shards) override;
  void start() override;

 protected:
  Opened open_input(PiecePool& pool) override;
  // On the capture thread, when no more frames are taken: the last chance to take some.
  virtual void end_input() {}
  // What is finished leaves, even if it fills no block.
  void flush();
  const ShardSet& shards() const { return *shards_; }

 private:
  bool take_frames();

  ShardSet* shards_ = nullptr;  // from connect on
  std::vector<std::unique_ptr<PacketLane>> owned_lanes_;
};

}  // namespace tcp_sniffer
