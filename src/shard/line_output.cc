#include "shard/line_output.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "core/limits.h"

namespace tcp_sniffer {

LineOutput::LineOutput(LineQueue& queue, bool may_wait)
    : queue_(queue),
      token_(queue),
      free_(kBlocks * 2),
      may_wait_(may_wait),
      blocks_max_(may_wait ? kBlocks : kBlocksWithoutWaiting) {}

LineOutput::~LineOutput() {
  LineBlock* block = block_;
  do {
    if (block != nullptr) {
      std::free(block->data);
      delete block;
    }
    block = nullptr;
  } while (free_.try_dequeue(block));
}

LineBlock* LineOutput::make_block(size_t capacity, bool oversized) {
  auto* block = new LineBlock;
  block->data = static_cast<char*>(std::malloc(capacity));
  if (block->data == nullptr) throw std::bad_alloc();
  block->capacity = capacity;
  block->owner = this;
  block->oversized = oversized;
  return block;
}

void LineOutput::open(LineBlock* block) {
  block->used = 0;
  block->messages = 0;
  block_ = block;
}

bool LineOutput::take_block() {
  LineBlock* block = nullptr;
  if (!free_.try_dequeue(block)) {
    if (made_ < blocks_max_) {
      made_++;
      block = make_block(kLineBlockBytes, false);
    } else if (!may_wait_ || abandoned_.load(std::memory_order_acquire)) {
      return false;
    } else {
      free_.wait_dequeue(block);
    }
  }
  if (block == nullptr) return false;  // abandoned while waiting
  open(block);
  return true;
}

bool LineOutput::begin_line() {
  if (block_ == nullptr && !take_block()) return false;
  begin_ = end_ = block_->data + block_->used;
  limit_ = block_->data + block_->capacity;
  return true;
}

void LineOutput::end_line(uint64_t messages, int64_t time_ns) {
  if (block_->messages == 0) block_->oldest_ns = time_ns;
  block_->used = static_cast<size_t>(end_ - block_->data);
  block_->messages += messages;
  line_bytes_ += size();
  begin_ = end_ = limit_ = nullptr;
  if (block_->oversized || block_->used + kLineBlockBytes / 8 > block_->capacity) flush();
}

void LineOutput::flush() {
  if (block_ == nullptr || block_->used == 0) return;
  put_into(queue_, token_, block_);
  block_ = nullptr;
}

// Within a line: moves its bytes to where there is room for `size` more.
void LineOutput::grow(size_t size) {
  const size_t line = this->size();
  LineBlock* from = block_;
  if (from->used > 0) {
    // What stands before the line leaves, and the line goes on in a fresh block. The old block is
    // the writer's as soon as it is flushed, so the line is copied first.
    block_ = nullptr;
    if (!take_block()) open(make_block(kLineBlockBytes, true));
    grow_to(block_, line + size);
    std::memcpy(block_->data, begin_, line);
    std::swap(block_, from);
    flush();
    block_ = from;
  } else {
    grow_to(block_, (line + size) * 2);
    if (block_ != from) std::memcpy(block_->data, begin_, line);
    if (block_ != from && from->oversized) {
      block_->stands_for = from->stands_for;
      std::free(from->data);
      delete from;
    }
  }
  begin_ = block_->data;
  end_ = begin_ + line;
  limit_ = block_->data + block_->capacity;
}

// Puts a block made for it in the place of one that is too small.
void LineOutput::grow_to(LineBlock*& block, size_t capacity) {
  if (capacity <= block->capacity) return;
  LineBlock* larger = make_block(std::max(capacity, size_t{kLineBlockBytes} * 2), true);
  larger->stands_for = block->oversized ? nullptr : block;
  block = larger;
}

void LineOutput::give_back(LineBlock* block) {
  if (block->oversized) {
    LineBlock* of_pool = block->stands_for;
    std::free(block->data);
    delete block;
    block = of_pool;
  }
  if (block != nullptr) put_into(free_, block);
}

void LineOutput::abandon() {
  abandoned_.store(true, std::memory_order_release);
  put_into<LineBlock*>(free_, nullptr);
}

}  // namespace tcp_sniffer
