#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "shard/packet_lane.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// Runs a shard on a thread of its own: takes blocks from its inbox, processes each to completion,
// gives it back to its lane. Lines that are finished leave when the inbox is empty, so a lone
// message waits for nobody.
//
// It ends when each of the `producers` (capture threads) has sent a block with BlockOrder::kEnd.
// Start it after everything it refers to is there.
class ShardThread {
 public:
  explicit ShardThread(Shard& shard) : shard_(shard) {}

  PacketQueue& inbox() { return inbox_; }
  // `cpu` is the one to run on, or -1. `on_done` is called on the thread when done() has become
  // true.
  void start(uint32_t producers, int cpu, std::function<void()> on_done = {});
  // Whether the shard has drained and its lines are handed over. Any thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Waits for that. Safe to call twice.
  void join();

 private:
  void run(uint32_t producers);

  Shard& shard_;
  PacketQueue inbox_;
  std::function<void()> on_done_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tcp_sniffer
