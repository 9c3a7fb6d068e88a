#include "shard/line_output.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "core/base/large_memory.h"
#include "core/base/limits.h"

namespace tcp_sniffer {
namespace {

// There is nearly always one, at the end.
uint32_t lines_in(std::string_view text) {
  uint32_t lines = 0;
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    lines++;
  }
  return lines;
}

}  // namespace

LineOutput::LineOutput(LineQueue& queue, BufferPool& memory, const Settings& settings)
    : queue_(queue),
      memory_(memory),
      token_(queue),
      free_(size_t{kBlocksForWaiting} * 2 + kBodyBytesMax / kLargeBody),
      settings_(settings),
      notes_lines_(settings.notes_records || settings.marks_lines) {}

LineOutput::~LineOutput() {
  if (begin_ != nullptr) cancel_line();  // the run ends by a fault within a line
  drop_spares();
  collect();
  take_returned();
  if (block_ != nullptr) receive(block_);
  for (LineBlock* left : idle_) free(left);
  for (LineBlock* left : body_blocks_) delete left;
}

// ---------------------------------------------------------------- blocks

LineBlock* LineOutput::make_block(size_t capacity) {
  auto* block = new LineBlock;
  block->data = static_cast<char*>(take_sparse_memory(capacity));
  if (block->data == nullptr) {
    delete block;
    throw std::bad_alloc();
  }
  block->capacity = capacity;
  block->owner = this;
  if (settings_.notes_records) block->runs.reserve(kRunsMax);
  if (settings_.marks_lines) block->marks.reserve(kLineMarksMax);
  return block;
}

// For a line of at most `size`: what it does not fill is never taken from the system.
LineBlock* LineOutput::make_oversized(size_t size) {
  LineBlock* block = size <= kLongLineBytes ? take_spare() : nullptr;
  if (block == nullptr) {
    block = make_block(std::max(size, kLongLineBytes));
    block->oversized = true;
  }
  recharge(*block, std::max(size, block->touched));
  return block;
}

// The caller of begin_line has made sure that there is as much memory. A line that gets longer than
// announced is finished nevertheless.
void LineOutput::recharge(LineBlock& block, size_t bytes) {
  charged_bytes_ -= block.charged;
  block.charged = memory_.recharge(block.charged, bytes) ? bytes : 0;
  charged_bytes_ += block.charged;
}

LineBlock* LineOutput::take_spare() {
  for (std::atomic<LineBlock*>& spare : spares_) {
    LineBlock* block = spare.exchange(nullptr, std::memory_order_acquire);
    if (block != nullptr) return block;
  }
  return nullptr;
}

void LineOutput::drop_spares() {
  while (LineBlock* block = take_spare()) {
    recharge(*block, 0);
    free(block);
  }
}

// An oversized block that was written or taken back, for the next long line. False: not this one,
// or there are enough. Any thread.
bool LineOutput::keep(LineBlock* block) {
  if (block->capacity != kLongLineBytes || block->charged == 0 ||
      block->charged > memory_.limit_bytes() / 16 / kSparesMax) {
    return false;
  }
  for (std::atomic<LineBlock*>& spare : spares_) {
    LineBlock* none = nullptr;
    if (spare.compare_exchange_strong(none, block, std::memory_order_release,
                                      std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void LineOutput::free(LineBlock* block) {
  give_memory_back(block->data, block->capacity);
  delete block;
}

void LineOutput::collect_returned() {
  const size_t bytes = returned_bytes_.exchange(0, std::memory_order_acquire);
  memory_.uncharge(bytes);
  charged_bytes_ -= bytes;
}

void LineOutput::open(LineBlock* block) {
  block->used = 0;
  block->messages = 0;
  block->runs.clear();
  block->marks.clear();
  silent_messages_ = 0;
  block_ = block;
}

void LineOutput::take_returned() {
  LineBlock* block = nullptr;
  has_bodies_back_.exchange(false, std::memory_order_acquire);
  while (free_.try_dequeue(block)) {
    if (block != nullptr) receive(block);
  }
}

void LineOutput::receive(LineBlock* block) {
  if (!block->body) return idle_.push_back(block);
  charged_bytes_ -= block->body.capacity;
  body_bytes_ -= block->body.capacity;
  memory_.release(block->body);
  body_blocks_.push_back(block);
}

// Whether the next block of the pool can be had without waiting.
bool LineOutput::has_fresh_block() {
  take_returned();
  if (idle_.empty() && made_ < settings_.blocks_max) {
    idle_.push_back(make_block(kLineBlockBytes));
    made_++;
  }
  return !idle_.empty();
}

// A block of the pool, the one that was used last.
bool LineOutput::take_block() {
  while (!has_fresh_block()) {
    if (!settings_.may_wait || !wait_for_block()) return false;
  }
  open(idle_.back());
  idle_.pop_back();
  return true;
}

// For any block. False: abandoned.
bool LineOutput::wait_for_block() {
  if (abandoned()) return false;
  LineBlock* block = nullptr;
  waits_.store(true, std::memory_order_relaxed);
  while (!free_.wait_dequeue_timed(block, kPulse)) pulse_.beat();
  waits_.store(false, std::memory_order_relaxed);
  if (block == nullptr) return false;
  receive(block);
  return true;
}

// ---------------------------------------------------------------- lines

bool LineOutput::begin_line(size_t size_max) {
  // A line that may not fit the rest of the block may need a fresh one, and is not begun without.
  if (block_ != nullptr && block_->capacity - block_->used < size_max && block_->used > 0 &&
      idle_.empty() && !has_fresh_block()) [[unlikely]] {
    flush();
  }
  if (block_ == nullptr && !take_block()) return false;
  size_max_ = size_max;
  begin_ = end_ = block_->data + block_->used;
  limit_ = block_->data + block_->capacity;
  return true;
}

// One long line may have all that is left, several of them a quarter of the shard's memory: more
// would be taken from the messages in the making.
bool LineOutput::can_hold(size_t size_max) {
  collect();
  return charged_bytes_ + size_max <= memory_.limit_bytes() / 4 && fits(size_max);
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
  drop_spares();
  collect();
  const size_t share = memory_.limit_bytes() / 4;
  while (charged_bytes_ > 0 && (charged_bytes_ + size_max > share || !fits(size_max))) {
    if (!settings_.may_wait || !wait_for_block()) return Room::kBusy;
    drop_spares();
    collect();
  }
  if (!fits(size_max)) return Room::kNever;
  return begin_line(size_max) ? Room::kEnough : Room::kBusy;
}

void LineOutput::end_line(uint64_t messages, int64_t time_ns, uint64_t connection_id) {
  if (block_->messages == 0) block_->oldest_ns = time_ns;
  block_->used = static_cast<size_t>(end_ - block_->data);
  block_->messages += messages;
  line_bytes_ += size();
  const bool is_full = notes_lines_ && note_line(messages, connection_id);
  begin_ = end_ = limit_ = nullptr;
  if (block_->oversized) free_untouched(block_->used);
  if (block_->oversized || block_->body || block_->used + kLineBlockBytes / 8 > block_->capacity ||
      is_full) {
    flush();
  }
}

// True: the block has no room for another note.
bool LineOutput::note_line(uint64_t messages, uint64_t connection_id) {
  bool is_full = false;
  if (settings_.marks_lines && size() > 0) {
    block_->marks.push_back({connection_id, size(), static_cast<uint32_t>(messages)});
    is_full = block_->marks.size() == kLineMarksMax;
  }
  if (settings_.notes_records) is_full |= note_record(messages);
  return is_full;
}

// A message that has no line of its own counts with the next line.
bool LineOutput::note_record(uint64_t messages) {
  silent_messages_ += messages;
  if (size() == 0) return false;
  const RecordRun record = {1, settings_.framed ? 1 : lines_in({begin_, size()}),
                            static_cast<uint32_t>(std::exchange(silent_messages_, 0))};
  std::vector<RecordRun>& runs = block_->runs;
  if (!runs.empty() && runs.back().lines == record.lines &&
      runs.back().messages == record.messages) {
    runs.back().records++;
  } else {
    runs.push_back(record);
  }
  return runs.size() == kRunsMax;
}

void LineOutput::cancel_line() {
  const size_t touched = size();
  begin_ = end_ = limit_ = nullptr;
  // The next line may wait until memory comes back, so no memory stays at hand.
  if (block_->oversized) {
    free_untouched(touched);
    LineBlock* const long_one = block_;
    block_ = std::exchange(long_one->stands_for, nullptr);
    if (!keep(long_one)) {
      recharge(*long_one, 0);
      free(long_one);
    }
  } else if (block_->body && block_->used == 0 && block_->messages == 0) {
    receive(std::exchange(block_, nullptr));
  }
}

// What lines do not need of an oversized block is free for others.
void LineOutput::free_untouched(size_t used) {
  constexpr size_t kPage = 4096;
  block_->touched = std::max(block_->touched, (used + kPage - 1) / kPage * kPage);
  recharge(*block_, block_->touched);
}

void LineOutput::flush() {
  if (block_ == nullptr || (block_->used == 0 && block_->messages == 0)) return;
  put_into(queue_, token_, block_);
  block_ = nullptr;
}

void LineOutput::flush_when_idle() {
  if (!has_unsent()) return;
  take_returned();
  if (may_leave_early()) flush();
}

// Whether the block at hand may leave before it is full, because few wait for the writer.
bool LineOutput::may_leave_early() const {
  // It is one of those that are not idle.
  const auto ahead = static_cast<uint32_t>(made_ - idle_.size() - 1);
  return ahead < std::min(kBlocksAhead, settings_.blocks_max / 2);
}

// Within a line: moves its bytes to where there is room for `size` more.
void LineOutput::grow(size_t size) {
  const size_t line = this->size();
  LineBlock* const from = block_;
  if (from->used > 0) {
    // What stands before the line leaves, and the line goes on in a fresh block. The old block is
    // the writer's as soon as it is flushed, so the line is copied first.
    block_ = nullptr;
    if (!has_fresh_block()) {  // longer than announced
      open(make_oversized(std::max({line + size, size_max_, size_t{kLineBlockBytes}})));
    } else if (take_block() && line + size > block_->capacity) {
      enlarge(line + size);
    }
    std::memcpy(block_->data, begin_, line);
    LineBlock* const fresh = std::exchange(block_, from);
    flush();
    block_ = fresh;
  } else {
    enlarge(line + size);
    std::memcpy(block_->data, begin_, line);
    if (from->oversized) {  // the same
      block_->stands_for = std::exchange(from->stands_for, nullptr);
      recharge(*from, 0);
      free(from);
    }
  }
  begin_ = block_->data;
  end_ = begin_ + line;
  limit_ = block_->data + block_->capacity;
}

// A block for the longest that the line can be, in the place of the empty one.
void LineOutput::enlarge(size_t capacity) {
  LineBlock* const small = block_;
  const uint64_t silent = silent_messages_;
  open(make_oversized(capacity <= size_max_ ? size_max_ : capacity * 2));
  silent_messages_ = silent;
  block_->messages = small->messages;  // that have no line of their own
  block_->oldest_ns = small->oldest_ns;
  block_->stands_for = small->oversized ? nullptr : small;
}

void LineOutput::give_back(LineBlock* block) {
  if (block->body) {
    put_into(free_, block);
    has_bodies_back_.store(true, std::memory_order_release);
    return;
  }
  if (block->oversized) {
    LineBlock* of_pool = std::exchange(block->stands_for, nullptr);
    const size_t charged = block->charged;
    // Before the block of the pool: a shard that waits for it looks at the memory then.
    if (!keep(block)) {
      free(block);
      returned_bytes_.fetch_add(charged, std::memory_order_release);
    }
    block = of_pool;
  }
  if (block != nullptr) put_into(free_, block);
}

void LineOutput::abandon() {
  abandoned_.store(true, std::memory_order_release);
  put_into<LineBlock*>(free_, nullptr);
}

}  // namespace tcp_sniffer
