#include "shard/shard_thread.h"

#include <pthread.h>

#include <utility>

#include "shard/pin_thread.h"

namespace tcp_sniffer {

void ShardThread::start(uint32_t producers, int cpu, std::function<void()> on_done) {
  on_done_ = std::move(on_done);
  thread_ = std::thread([this, producers] { run(producers); });
  pthread_setname_np(thread_.native_handle(), "shard");
  pin_thread(thread_.native_handle(), cpu);
}

void ShardThread::join() {
  if (thread_.joinable()) thread_.join();
}

void ShardThread::run(uint32_t producers) {
  while (producers > 0) {
    PacketBlock* block = nullptr;
    if (!inbox_.try_dequeue(block)) {
      shard_.output().flush();
      inbox_.wait_dequeue(block);
    }
    if (block->order == BlockOrder::kEnd) producers--;
    shard_.process(*block);
    block->lane->give_back(block);
  }
  shard_.drain();
  shard_.output().flush();
  done_.store(true, std::memory_order_release);
  if (on_done_) on_done_();
}

}  // namespace tcp_sniffer
