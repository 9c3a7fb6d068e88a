#include "shard/shard_thread.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "shard/pin_thread.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

void ShardThread::start(uint32_t producers, int cpu, std::function<void()> on_done,
                        std::function<void(const char*)> on_fault) {
  on_done_ = std::move(on_done);
  on_fault_ = std::move(on_fault);
  thread_ = start_thread("shard", [this, producers] { run(producers); });
  pin_thread(thread_.native_handle(), cpu);
}

void ShardThread::join() {
  if (thread_.joinable()) thread_.join();
}

void ShardThread::run(uint32_t producers) {
  try {
    if (merge_) {
      work_in_order(producers);
    } else {
      work(producers);
    }
    shard_.drain();
    shard_.output().flush();
  } catch (const std::exception& error) {
    on_fault_(error.what());
    pass_back(producers);
  }
  done_.store(true, std::memory_order_release);
  on_done_();
}

void ShardThread::work(uint32_t& producers) {
  while (producers > 0) {
    pulse_.beat();
    if (!inbox_.try_dequeue(block_)) {
      shard_.output().flush_when_idle();
      const auto longest = shard_.output().has_unsent() ? LineOutput::kAskAgain : kPulse;
      if (!inbox_.wait_dequeue_timed(block_, longest)) continue;
    }
    if (block_->order == BlockOrder::kEnd) producers--;
    shard_.process(*block_);
    shard_.take_unread_notes(block_->unread);
    block_->lane->give_back(block_);
    block_ = nullptr;
  }
}

// The same through the merge. The last thread's end lets everything out of it.
void ShardThread::work_in_order(uint32_t& producers) {
  using Clock = LaneMerge::Clock;
  while (producers > 0) {
    pulse_.beat();
    if (!inbox_.try_dequeue(block_)) {
      shard_.output().flush_when_idle();
      const Clock::time_point now = Clock::now();
      const auto longest = shard_.output().has_unsent() ? LineOutput::kAskAgain : kPulse;
      constexpr std::chrono::microseconds kShortest{500};
      const auto wait = std::chrono::duration_cast<std::chrono::microseconds>(
          std::min<Clock::time_point>(merge_->due(), now + longest) - now);
      if (!inbox_.wait_dequeue_timed(block_, std::max(wait, kShortest))) block_ = nullptr;
    }
    const Clock::time_point now = Clock::now();
    if (block_ != nullptr) {
      if (block_->order == BlockOrder::kEnd) producers--;
      merge_->add(block_, now);
      block_ = nullptr;
    }
    merge_->run(now);
  }
}

void ShardThread::pass_back(uint32_t& producers) noexcept {
  try {
    if (block_ != nullptr) block_->lane->give_back(block_);
    if (merge_) merge_->pass_back();
    while (producers > 0) {
      inbox_.wait_dequeue(block_);
      if (block_->order == BlockOrder::kEnd) producers--;
      block_->lane->give_back(block_);
    }
  } catch (const std::exception& error) {
    on_fault_(error.what());  // the process is left without this thread
  }
}

}  // namespace tcp_sniffer
