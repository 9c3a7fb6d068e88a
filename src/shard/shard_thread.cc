#include "shard/shard_thread.h"

#include <pthread.h>
#include <sched.h>

namespace tcp_sniffer {

void ShardThread::start(uint32_t producers, int cpu) {
  thread_ = std::thread([this, producers] { run(producers); });
  pthread_setname_np(thread_.native_handle(), "shard");
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread_.native_handle(), sizeof(set), &set);
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
}

}  // namespace tcp_sniffer
