#include "shard/packet_lane.h"

namespace tcp_sniffer {

ThreadLane::ThreadLane(PacketQueue& inbox, uint32_t capture)
    : inbox_(inbox), capture_(capture), token_(inbox), free_(size_t{kBlocks} * 2) {}

PacketBlock* ThreadLane::take(bool may_wait) {
  PacketBlock* block = nullptr;
  if (free_.try_dequeue(block)) return block;
  if (blocks_.size() < kBlocks) {
    blocks_.push_back(std::make_unique<PacketBlock>());
    blocks_.back()->lane = this;
    blocks_.back()->capture = capture_;
    return blocks_.back().get();
  }
  if (!may_wait) return nullptr;
  free_.wait_dequeue(block);
  return block;
}

PacketBlock* ThreadLane::take_within(int64_t wait_us) {
  PacketBlock* block = nullptr;
  return free_.wait_dequeue_timed(block, wait_us) ? block : nullptr;
}

void ThreadLane::send(PacketBlock* block) {
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  put_into(inbox_, token_, block);
}

void ThreadLane::give_back(PacketBlock* block) {
  block->reset();
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  put_into(free_, block);
}

}  // namespace tcp_sniffer
