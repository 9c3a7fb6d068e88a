#pragma once

#include <atomic>
#include <cstdint>

#include "core/line_sink.h"
#include "shard/line_block.h"
#include "shard/thread_queue.h"

namespace tcp_sniffer {

using LineQueue = ThreadQueue<LineBlock*>;

// A shard's end of the output: lines are built in place in a block of a fixed pool, and full
// blocks go to the writer through the merged queue. The pool is the bound: what the reader of the
// output does not take keeps blocks, and a shard without a block waits (or, where it may not
// wait, drops whole lines and counts them).
//
// A line lies in one block. One that does not fit the rest of a block begins a new one; one longer
// than a block gets a block of its own, made for it and freed when written; it keeps one of the
// pool's blocks out meanwhile, so that long lines are bounded in number as short ones are.
//
// Used by the thread that runs the shard; give_back is called by the writer's.
class LineOutput final : public LineSink {
 public:
  // Block count: one being filled, one in the writer's writev, and enough in between to bridge a
  // scheduling pause of the writer at full speed (2 MiB at 1 GB/s is 2 ms).
  static constexpr uint32_t kBlocks = 10;
  // On a capture thread, which may not wait: what a writer that gets no CPU for 30 ms would have
  // written at 500 MB/s. They are made when needed.
  static constexpr uint32_t kBlocksWithoutWaiting = 64;

  LineOutput(LineQueue& queue, bool may_wait);
  ~LineOutput();

  // Begins a line. False: the pool is empty and waiting is not allowed; the line is lost.
  bool begin_line();
  // Ends it: [begin, end) are its bytes, `messages` the messages it stands for.
  void end_line(uint64_t messages, int64_t time_ns);

  // Hands over what is finished, even if the block is not full. Not within a line.
  void flush();
  bool has_unsent() const { return block_ != nullptr && block_->used > 0; }
  int64_t oldest_ns() const { return block_ == nullptr ? 0 : block_->oldest_ns; }

  // The writer is done with the block. Any thread.
  void give_back(LineBlock* block);

  // Wakes and ends every wait: lines are then dropped (the reader is gone). Any thread.
  void abandon();
  bool abandoned() const { return abandoned_.load(std::memory_order_acquire); }

  uint64_t line_bytes() const { return line_bytes_; }

 private:
  void grow(size_t size) override;
  bool take_block();
  LineBlock* make_block(size_t capacity, bool oversized);
  void open(LineBlock* block);
  void grow_to(LineBlock*& block, size_t capacity);

  LineQueue& queue_;
  moodycamel::ProducerToken token_;
  LineQueue free_;
  const bool may_wait_;
  const uint32_t blocks_max_;
  std::atomic<bool> abandoned_{false};
  uint32_t made_ = 0;
  LineBlock* block_ = nullptr;
  uint64_t line_bytes_ = 0;
};

}  // namespace tcp_sniffer
