#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/net/packet_block.h"
#include "shard/line_output.h"
#include "shard/shard.h"
#include "shard/thread_queue.h"

namespace tcp_sniffer {

using PacketQueue = ThreadQueue<PacketBlock*>;

// The way of packet blocks from one capture thread to one shard and back: a bounded number of
// blocks; when all are in use, the sender waits, or runs the shard itself. The second of the two
// virtual seams; one call a block.
class PacketLane {
 public:
  virtual ~PacketLane() = default;

  // An empty block; nullptr when none is free and `may_wait` is false, or when stopping.
  virtual PacketBlock* take(bool may_wait) = 0;
  // The same, waiting for `wait_us` microseconds at most.
  virtual PacketBlock* take_within(int64_t wait_us) = 0;
  // Hands a block over; the lane has it from here on.
  virtual void send(PacketBlock* block) = 0;
  // The shard is done with a block. Its thread.
  virtual void give_back(PacketBlock* block) = 0;
  // Blocks sent and not given back.
  virtual uint32_t in_flight() const = 0;
  // The shard runs within send(): payload need not outlive it.
  virtual bool runs_at_once() const { return false; }
};

// Handles one block in a shard whose blocks come from one producer, including the end.
inline void run_block(Shard& shard, const PacketBlock& block) {
  shard.process(block);
  if (block.order != BlockOrder::kEnd) return;
  shard.drain();
  shard.output().flush();
}

// `shards: 0`: the shard runs on the capture thread, in the middle of send.
class InlineLane final : public PacketLane {
 public:
  explicit InlineLane(Shard& shard) : shard_(shard) {}

  PacketBlock* take(bool) override { return &block_; }
  PacketBlock* take_within(int64_t) override { return &block_; }
  void send(PacketBlock* block) override {
    run_block(shard_, *block);
    shard_.take_unread_notes(block->unread);
    block->reset();
  }
  void give_back(PacketBlock*) override {}
  uint32_t in_flight() const override { return 0; }
  bool runs_at_once() const override { return true; }

 private:
  Shard& shard_;
  PacketBlock block_;
};

// To a shard with a thread of its own, through that shard's inbox.
class ThreadLane final : public PacketLane {
 public:
  // One block being filled, one being processed, and what a pause of the shard of about 10 ms at
  // 1 million packets a second takes.
  static constexpr uint32_t kBlocks = 40;

  // `capture` is the number of the capture thread.
  explicit ThreadLane(PacketQueue& inbox, uint32_t capture = 0);

  PacketBlock* take(bool may_wait) override;
  PacketBlock* take_within(int64_t wait_us) override;
  void send(PacketBlock* block) override;
  void give_back(PacketBlock* block) override;
  uint32_t in_flight() const override { return in_flight_.load(std::memory_order_relaxed); }

 private:
  PacketQueue& inbox_;
  const uint32_t capture_;
  moodycamel::ProducerToken token_;
  PacketQueue free_;
  std::vector<std::unique_ptr<PacketBlock>> blocks_;
  std::atomic<uint32_t> in_flight_{0};
};

}  // namespace tcp_sniffer
