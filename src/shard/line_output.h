#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/pulse.h"
#include "core/line/line_sink.h"
#include "shard/line_block.h"
#include "shard/thread_queue.h"

namespace tcp_sniffer {

using LineQueue = ThreadQueue<LineBlock*>;

// A shard's end of the output: lines are built in place in a block of a fixed pool, and full
// blocks go to the writer through the merged queue. The pool is the bound: lines that the reader of
// the output does not take keep blocks, and a shard without a block waits (or, where it may not
// wait, drops whole lines and counts them).
//
// A line is in one block. One that does not fit the rest of a block begins a new one; one longer
// than a block gets a block of its own, made for it and freed when written or taken back. It keeps
// one of the pool's blocks out meanwhile, so that long lines are bounded in number as short ones
// are, and its memory is charged to the shard's BufferPool: as much as the line may need before it
// is begun, and what it has when it is finished. That is why begin_line takes the largest possible
// size. A few such blocks, of lines of usual length, are kept for the next long lines, because the
// system zeroes the memory that it gives.
//
// A line that ends with a large body may get the memory of the body instead: what stands before the
// body is copied into the room in front of it, and the block goes to the writer with that memory
// (line_output_bodies.cc).
//
// Used by the thread that runs the shard; give_back is called by the writer's.
class LineOutput final : public LineSink {
 public:
  struct Settings {
    bool may_wait = true;
    // One being filled, one at the writer, and the rest for a pause of the writer or of the
    // reader of the output. They are made when needed.
    uint32_t blocks_max = kBlocksMin;
    // Whether a line, frame or record may stand for more or less than one message, or a message
    // have several lines: then blocks note it (LineBlock::runs).
    bool notes_records = false;
    bool framed = false;  // they begin with their lengths
    // Whether blocks say whose their lines are (LineBlock::marks).
    bool marks_lines = false;
  };
  // Of one block. They follow one long pattern nearly always; a block that has none left leaves.
  static constexpr size_t kRunsMax = 256;
  // The same for marks: lines of 64 bytes in a whole block, half as long as the shortest message.
  static constexpr size_t kLineMarksMax = 4096;
  // Where a pause costs nothing, because what comes before the shard waits: enough to bridge a
  // scheduling pause of the writer at full speed (2 MiB at 1 GB/s is 2 ms).
  static constexpr uint32_t kBlocksForWaiting = 10;
  static constexpr uint32_t kBlocksMin = 2;
  // More than a writer that keeps up ever has before it; where there are few blocks, half of them.
  static constexpr uint32_t kBlocksAhead = 8;
  // Room for a body of the default maxBodySize, whatever its bytes are, and its head. All but
  // longer lines get as much, so that each finds its place in the block that is kept.
  static constexpr size_t kLongLineBytes = size_t{8} << 20;
  // One being filled, one at the writer, and as many under way. A sixteenth of the shard's
  // memory at most.
  static constexpr size_t kSparesMax = 4;
  // Bodies at the writer. Enough to bridge a pause of the reader, who has 4 MiB at a time.
  static constexpr size_t kBodyBytesMax = size_t{8} << 20;

  // The pool of the shard's memory outlives it.
  LineOutput(LineQueue& queue, BufferPool& memory, const Settings& settings);
  ~LineOutput();

  // Begins a line of at most `size_max` bytes, which fit a block, or for which can_hold was true.
  // False: the pool is empty and waiting is not allowed; the line is lost.
  bool begin_line(size_t size_max);

  // Whether there is memory for a line that may get as long as this, and is longer than a block
  // then. Between it and begin_line the shard takes no memory.
  bool can_hold(size_t size_max);
  enum class Room : uint8_t {
    kEnough,
    kBusy,   // when the lines that wait are written; waiting is not allowed, or has no end
    kNever,  // not even then: room_for_line() is how much there is
  };
  // Begins a line of at most `size_max` bytes, longer than a block, when memory is short. It waits
  // for the lines before it, where that is allowed.
  Room begin_long_line(size_t size_max);
  size_t room_for_line() const;

  // Ends it: [begin, end) are its bytes, `messages` the messages it stands for, and the connection
  // is theirs.
  void end_line(uint64_t messages, int64_t time_ns, uint64_t connection_id);

  // The line may take this memory over, of the shard's pool, with the body in it. nullptr: there is
  // none, or it is not there any more.
  void offer(Buffer* body) { offered_ = body; }
  bool take_over(std::string_view body) override;

  // Takes back all of the line that was begun; its bytes are gone. The memory that a long line had
  // is the shard's again, or kept for the next one; that of a body too, unless lines stand before.
  void cancel_line();

  // Hands over what is finished, even if the block is not full. Not within a line.
  void flush();
  // The same when nothing else is to be done, unless kBlocksAhead blocks wait for the writer. A
  // block that leaves takes its whole room with it, even if it holds little. So while the reader
  // pauses, blocks leave full. If has_unsent() is true, the caller calls again within kAskAgain.
  void flush_when_idle();
  static constexpr std::chrono::milliseconds kAskAgain{10};
  bool has_unsent() const { return block_ != nullptr && block_->used > 0; }
  int64_t oldest_ns() const { return block_ == nullptr ? 0 : block_->oldest_ns; }

  // The writer is done with the block. Any thread.
  void give_back(LineBlock* block);
  // Takes note of what was given back.
  void collect() {
    if (has_bodies_back_.load(std::memory_order_relaxed)) [[unlikely]]
      take_returned();
    if (returned_bytes_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      collect_returned();
  }

  // Whether the shard waits for a block. Any thread.
  bool waits() const { return waits_.load(std::memory_order_relaxed); }
  // Grows while it waits. Any thread.
  uint64_t beats() const { return pulse_.beats(); }

  // Wakes and ends every wait: lines are then dropped (the reader is gone). Any thread.
  void abandon();
  bool abandoned() const { return abandoned_.load(std::memory_order_acquire); }

  uint64_t line_bytes() const { return line_bytes_; }
  // How much of the shard's memory long lines hold.
  size_t charged_bytes() const { return charged_bytes_; }

 private:
  void grow(size_t size) override;
  void take_returned();
  void receive(LineBlock* block);
  bool can_take(std::string_view body) const;
  bool wait_for_bodies(size_t size);
  LineBlock* take_body_block();
  bool may_leave_early() const;
  bool take_block();
  bool wait_for_block();
  bool has_fresh_block();
  LineBlock* make_block(size_t capacity);
  LineBlock* make_oversized(size_t capacity);
  void open(LineBlock* block);
  void enlarge(size_t capacity);
  bool note_line(uint64_t messages, uint64_t connection_id);
  bool note_record(uint64_t messages);
  void free_untouched(size_t used);
  void recharge(LineBlock& block, size_t bytes);
  LineBlock* take_spare();
  void drop_spares();
  bool keep(LineBlock* block);
  static void free(LineBlock* block);
  bool fits(size_t size) const;
  void collect_returned();

  LineQueue& queue_;
  BufferPool& memory_;
  moodycamel::ProducerToken token_;
  LineQueue free_;
  const Settings settings_;
  const bool notes_lines_;  // in any way
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> waits_{false};
  Pulse pulse_;                            // of the wait
  std::atomic<size_t> returned_bytes_{0};  // of charged_bytes_, given back since collect()
  size_t charged_bytes_ = 0;
  std::vector<LineBlock*> idle_;  // of the pool, here
  uint32_t made_ = 0;             // blocks of the pool
  // Oversized ones for the next long lines, charged for what they have touched.
  std::array<std::atomic<LineBlock*>, kSparesMax> spares_{};
  Buffer* offered_ = nullptr;
  size_t body_bytes_ = 0;  // of bodies at the writer, part of charged_bytes_
  std::atomic<bool> has_bodies_back_{false};
  std::vector<LineBlock*> body_blocks_;  // for the next bodies, without memory
  LineBlock* block_ = nullptr;
  size_t size_max_ = 0;           // of the line that was begun
  uint64_t silent_messages_ = 0;  // in this block, since its last line
  uint64_t line_bytes_ = 0;
};

}  // namespace tcp_sniffer
