#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/capture/dispatcher.h"
#include "io/file/file_source.h"
#include "shard/packet_lane.h"

// Captures in memory and the packet blocks that the capture thread makes of them, so that each
// part of the engine can be measured alone.
namespace tcp_sniffer::prepared {

inline double cpu_seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
inline double thread_seconds() {
  return cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
}
inline double process_seconds() {
  return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

// A capture made by pcapgen with these options, in memory that goes away with the object.
class MemoryCapture {
 public:
  explicit MemoryCapture(const std::string& options) : fd_(memfd_create("capture", 0)) {
    path_ = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_);
    const std::string command =
        std::string(TCP_SNIFFER_PCAPGEN) + " " + options + " -o " + path_ + " --expected=/dev/null";
    if (fd_ < 0 || std::system(command.c_str()) != 0) {
      throw std::runtime_error("no capture: " + command);
    }
  }
  ~MemoryCapture() { close(fd_); }
  MemoryCapture(const MemoryCapture&) = delete;
  MemoryCapture& operator=(const MemoryCapture&) = delete;

  const std::string& path() const { return path_; }
  size_t size() const {
    struct stat status {};
    fstat(fd_, &status);
    return static_cast<size_t>(status.st_size);
  }

 private:
  int fd_;
  std::string path_;
};

// Keeps every block it is sent.
class KeepingLane final : public PacketLane {
 public:
  PacketBlock* take(bool) override {
    blocks_.push_back(std::make_unique<PacketBlock>());
    return blocks_.back().get();
  }
  PacketBlock* take_within(int64_t) override { return take(true); }
  void send(PacketBlock*) override {}
  void give_back(PacketBlock*) override {}
  uint32_t in_flight() const override { return 0; }

  const std::vector<std::unique_ptr<PacketBlock>>& blocks() const { return blocks_; }

 private:
  std::vector<std::unique_ptr<PacketBlock>> blocks_;
};

// The blocks of a whole capture, for one shard; the payloads stay where they were read.
class Blocks {
 public:
  explicit Blocks(const MemoryCapture& capture) : pool_(capture.size() / kPieceSize * 9 / 8 + 16) {
    FileSource source({capture.path()}, pool_);
    Dispatcher dispatcher({}, {&lane_}, nullptr);
    while (source.poll(dispatcher) == SourceStatus::kMore) {
    }
    if (source.problem().code != ErrorCode::kNone)
      throw std::runtime_error(source.problem().message());
    dispatcher.finish();
    for (const auto& block : lane_.blocks()) packets_ += block->count;
  }
  ~Blocks() {
    for (const auto& block : lane_.blocks()) block->reset();
  }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  const std::vector<std::unique_ptr<PacketBlock>>& blocks() const { return lane_.blocks(); }
  uint64_t packets() const { return packets_; }

 private:
  PiecePool pool_;
  KeepingLane lane_;
  uint64_t packets_ = 0;
};

struct NoEvents final : EventSink {
  bool put(const EventRecord&) override { return true; }
};

// A shard whose lines are thrown away.
class LoneShard {
 public:
  explicit LoneShard(const ShardSettings& settings)
      : shard_(0, settings, census_, queue_, false, events_) {}

  void process(const PacketBlock& block) {
    shard_.process(block);
    drop_lines();
  }
  void drain() {
    shard_.drain();
    shard_.output().flush();
    drop_lines();
  }
  uint64_t count(ShardCounter counter) const { return shard_.counters().get(counter); }

 private:
  void drop_lines() {
    LineBlock* block = nullptr;
    while (queue_.try_dequeue(block)) block->owner->give_back(block);
  }

  ConnectionCensus census_{1};
  NoEvents events_;
  LineQueue queue_;
  Shard shard_;
};

}  // namespace tcp_sniffer::prepared
