// What the writer does for a pipe alone. A pipe is a ring of pages with one lock, which its reader
// holds while it copies, and so does the writer: the two wait for each other the less, the fewer
// and larger the writes are, and the emptier the pipe is.

#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "io/output/output_writer.h"

namespace tcp_sniffer {

// Bytes that the pipe is certain to take now; none while it is worth waiting for an empty one. A
// pipe that was not filled to its end by an earlier write may have lost the rest of a page for the
// next, so every write since the pipe was empty may have cost one page.
size_t OutputWriter::room_in_pipe() {
  int unread = 0;
  if (ioctl(fd_, FIONREAD, &unread) != 0) return room_max_;
  const auto bytes = static_cast<size_t>(unread);
  if (bytes == 0) writes_since_empty_ = 0;
  const bool is_large = room_max_ >= kPipeBytes;
  if (is_large && !ended() && bytes > room_max_ / 8 && waited() < kPauseForEmptyPipe) return 0;
  const size_t pages = (bytes + page_ - 1) / page_ + writes_since_empty_;
  const size_t used = pages * page_;
  return used >= room_max_ ? 0 : room_max_ - used;
}

// Writes the block, and those that wait after it as far as the pipe takes them whole, with one
// call of the system, and gives them back. False: nothing was done, because the block is not to be
// written as a whole.
bool OutputWriter::write_together(LineBlock* first) {
  if (kind_ != Kind::kPipe || head_pending_ || !held_.empty()) return false;
  // A larger one would wait until a slow reader has emptied too much of the pipe.
  if (first->used == 0 || first->used > room_max_ / 4) return false;
  size_t room = room_in_pipe();
  while (room < first->used) {
    if (ended() || waited() >= kPauseForEmptyPipe) return false;
    wait_for_room();
    room = room_in_pipe();
  }
  std::array<LineBlock*, kBlocksTogether> blocks{};
  std::array<iovec, kBlocksTogether> parts{};
  size_t count = 0;
  for (LineBlock* block = first; block != nullptr; block = next_for(room, count)) {
    blocks[count] = block;
    parts[count++] = {block->data, block->used};
    room -= block->used;
  }
  inside_.store(true, std::memory_order_seq_cst);
  size_t written = 0;
  if (!ended()) {
    const ssize_t size = writev(fd_, parts.data(), static_cast<int>(count));
    took(size, written);
  }
  for (size_t i = 0; i < count; i++) {
    const size_t done = std::min(written, blocks[i]->used);
    written -= done;
    finish(*blocks[i], done);
    blocks[i]->owner->give_back(blocks[i]);
  }
  inside_.store(false, std::memory_order_seq_cst);
  return true;
}

// The next block of the queue, when it fits. nullptr: none; what must be looked at first is held.
LineBlock* OutputWriter::next_for(size_t room, size_t count) {
  LineBlock* block = nullptr;
  if (count == kBlocksTogether || !queue_.try_dequeue(block)) return nullptr;
  const bool fits = block != nullptr && block != &wake_ && block->used <= room &&
                    !reopen_.load(std::memory_order_acquire);
  if (fits) return block;
  held_.push_back(block);
  return nullptr;
}

// `done` bytes of the block were written. The rest is too, which is only there when others write
// into the pipe as well, or when the output has ended.
void OutputWriter::finish(const LineBlock& block, size_t done) {
  bytes_.fetch_add(done, std::memory_order_relaxed);
  if (done == block.used) {
    written_.fetch_add(block.messages, std::memory_order_relaxed);
    note_delay(block);
    return;
  }
  const std::string_view bytes(block.data, block.used);
  if (done > 0) {
    written_.fetch_add(messages_in(block, done, settings_.framing), std::memory_order_relaxed);
    const size_t whole = whole_messages(bytes, done, settings_.framing);
    if (whole < done) begun_ = first_message(bytes.substr(whole), settings_.framing) + whole - done;
  }
  write_block(block, done);
}

}  // namespace tcp_sniffer
