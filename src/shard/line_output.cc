#include "shard/line_output.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "core/limits.h"

namespace tcp_sniffer {

LineOutput::LineOutput(LineQueue& queue, BufferPool& memory, const Settings& settings)
    : queue_(queue),
      memory_(memory),
      token_(queue),
      free_(size_t{kBlocksForWaiting} * 2),
      settings_(settings) {}

LineOutput::~LineOutput() {
  collect();
  if (block_ != nullptr) idle_.push_back(block_);
  LineBlock* block = nullptr;
  while (free_.try_dequeue(block)) idle_.push_back(block);
  for (LineBlock* left : idle_) {
    if (left == nullptr) continue;
    std::free(left->data);
    delete left;
  }
}

LineBlock* LineOutput::make_block(size_t capacity, bool oversized) {
  auto* block = new LineBlock;
  block->data = static_cast<char*>(std::malloc(capacity));
  if (block->data == nullptr) throw std::bad_alloc();
  block->capacity = capacity;
  block->owner = this;
  block->oversized = oversized;
  if (oversized) charge(*block);
  return block;
}

// A line that was begun is finished, so this does not fail: where memory is short, whoever begins
// it has made sure that there is enough.
void LineOutput::charge(LineBlock& block) {
  if (!memory_.charge(block.capacity)) return;
  block.charged = block.capacity;
  charged_bytes_ += block.capacity;
}

void LineOutput::collect_returned() {
  const size_t bytes = returned_bytes_.exchange(0, std::memory_order_acquire);
  memory_.uncharge(bytes);
  charged_bytes_ -= bytes;
}

void LineOutput::open(LineBlock* block) {
  block->used = 0;
  block->messages = 0;
  block_ = block;
}

void LineOutput::take_returned() {
  LineBlock* block = nullptr;
  while (free_.try_dequeue(block)) {
    if (block != nullptr) idle_.push_back(block);
  }
}

// A block of the pool, the one that was used last.
bool LineOutput::take_block() {
  take_returned();
  if (idle_.empty() && made_ < settings_.blocks_max) {
    idle_.push_back(make_block(kLineBlockBytes, false));
    made_++;
  }
  if (idle_.empty() && !(settings_.may_wait && wait_for_block())) return false;
  open(idle_.back());
  idle_.pop_back();
  return true;
}

// False: abandoned.
bool LineOutput::wait_for_block() {
  if (abandoned()) return false;
  LineBlock* block = nullptr;
  waits_.store(true, std::memory_order_relaxed);
  free_.wait_dequeue(block);
  waits_.store(false, std::memory_order_relaxed);
  if (block == nullptr) return false;
  idle_.push_back(block);
  return true;
}

bool LineOutput::begin_line() {
  if (block_ == nullptr && !take_block()) return false;
  begin_ = end_ = block_->data + block_->used;
  limit_ = block_->data + block_->capacity;
  return true;
}

// One long line may have all that is left, several of them a quarter of the shard's memory: more
// would be taken from the messages in the making. While it grows, a line is there twice.
bool LineOutput::can_hold(size_t size_max) {
  collect();
  return charged_bytes_ + 2 * size_max <= memory_.limit_bytes() / 4 && fits(2 * size_max);
}

bool LineOutput::fits(size_t size) const {
  return memory_.used_bytes() + size <= memory_.limit_bytes() - memory_.limit_bytes() / 16;
}

size_t LineOutput::room_for_line() const {
  const size_t most = memory_.limit_bytes() - memory_.limit_bytes() / 16;
  return most - std::min(most, memory_.used_bytes());
}

LineOutput::Room LineOutput::begin_long_line(size_t size_max) {
  flush();
  collect();
  const size_t share = memory_.limit_bytes() / 4;
  while (charged_bytes_ > 0 && (charged_bytes_ + size_max > share || !fits(size_max))) {
    if (!settings_.may_wait || !wait_for_block()) return Room::kBusy;
    collect();
  }
  if (!fits(size_max)) return Room::kNever;
  if (block_ == nullptr && !take_block()) return Room::kBusy;
  if (size_max > block_->capacity) replace_block(size_max);
  begin_line();
  return Room::kEnough;
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

void LineOutput::flush_when_idle() {
  if (!has_unsent()) return;
  take_returned();
  // The block at hand is one of those that are not idle.
  const auto ahead = static_cast<uint32_t>(made_ - idle_.size() - 1);
  if (ahead < std::min(kBlocksAhead, settings_.blocks_max / 2)) flush();
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
      from->stands_for = nullptr;
      memory_.uncharge(from->charged);
      charged_bytes_ -= from->charged;
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

// The same for the empty block at hand, of exactly that size.
void LineOutput::replace_block(size_t capacity) {
  LineBlock* larger = make_block(capacity, true);
  larger->stands_for = block_;
  open(larger);
}

void LineOutput::give_back(LineBlock* block) {
  if (block->oversized) {
    LineBlock* of_pool = block->stands_for;
    const size_t charged = block->charged;
    std::free(block->data);
    delete block;
    // Before the block: a shard that waits for it looks at the memory then.
    if (charged > 0) returned_bytes_.fetch_add(charged, std::memory_order_release);
    block = of_pool;
  }
  if (block != nullptr) put_into(free_, block);
}

void LineOutput::abandon() {
  abandoned_.store(true, std::memory_order_release);
  put_into<LineBlock*>(free_, nullptr);
}

}  // namespace tcp_sniffer
