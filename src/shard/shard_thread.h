#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "core/base/pulse.h"
#include "shard/lane_merge.h"
#include "shard/packet_lane.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// Runs a shard on a thread of its own: takes blocks from its inbox, processes each to completion,
// gives it back to its lane. Lines that are finished leave when the inbox is empty, so a lone
// message waits only for the lines before it.
//
// It ends when each of the `producers` (capture threads) has sent a block with BlockOrder::kEnd.
// Start it after everything it refers to has been made. After an exception, which is memory that
// the system refused, it only passes blocks back, so that no thread waits for it.
class ShardThread {
 public:
  explicit ShardThread(Shard& shard) : shard_(shard) {}

  PacketQueue& inbox() { return inbox_; }
  // With several producers (numbered from 0 by PacketBlock::capture), their segments are taken in
  // the order of their clocks. Before start().
  void merge(uint32_t producers) { merge_.emplace(shard_, producers); }
  // `cpu` is the one to run on, or -1. Both are called on the thread: `on_done` when done() has
  // become true, `on_fault` with the words of an exception.
  void start(uint32_t producers, int cpu, std::function<void()> on_done,
             std::function<void(const char*)> on_fault);
  // Whether the shard has drained and its lines are handed over. Any thread.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // How often its loop has turned. Any thread.
  uint64_t beats() const { return pulse_.beats(); }
  // Waits for that. Safe to call twice.
  void join();

 private:
  void run(uint32_t producers);
  void work(uint32_t& producers);
  void work_in_order(uint32_t& producers);
  void pass_back(uint32_t& producers) noexcept;

  Shard& shard_;
  PacketQueue inbox_;
  std::optional<LaneMerge> merge_;
  std::function<void()> on_done_;
  std::function<void(const char*)> on_fault_;
  PacketBlock* block_ = nullptr;  // in work
  Pulse pulse_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tcp_sniffer
