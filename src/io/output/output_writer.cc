#include "io/output/output_writer.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <utility>

#include "core/line/framed_line.h"
#include "shard/pin_thread.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

uint64_t messages_in(const LineBlock& block, size_t size, MessageFraming framing) {
  uint64_t lines = count_messages({block.data, size}, framing);
  if (block.runs.empty()) return lines;
  uint64_t messages = 0;
  for (const RecordRun& run : block.runs) {
    const uint64_t records = std::min<uint64_t>(run.records, lines / std::max(run.lines, 1u));
    messages += records * run.messages;
    lines -= records * run.lines;
    if (records < run.records) break;
  }
  return messages;
}

OutputWriter::OutputWriter(const Settings& settings, LineQueue& queue)
    : OutputThread(queue),
      settings_(settings),
      head_(settings.framing == MessageFraming::kFrames ? kFramedMagic
                                                        : std::string_view(settings.head)),
      page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {}

OutputWriter::~OutputWriter() {
  if (thread_.joinable()) {
    if (!done()) {
      abort();
      end_of_input();
    }
    thread_.join();
  }
  if (owns_fd_) ::close(fd_);
}

void OutputWriter::start(Listener listener) {
  listener_ = std::move(listener);
  thread_ = start_thread("writer", [this] { run(); });
  pin_thread(thread_.native_handle(), settings_.cpu);
}

void OutputWriter::reopen() {
  // The flag is for the blocks that follow, which may overtake the wake-up of another producer.
  reopen_.store(true, std::memory_order_release);
  put_into(queue_, &wake_);
}

void OutputWriter::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  try {
    if (file_end_.mended()) listener_.on_mended(settings_.path, file_end_);
    write_head();
    write_queue();
  } catch (const std::exception& error) {
    listener_.on_fault(error.what());
    discard_queue();
  }
  done_.store(true, std::memory_order_release);
  listener_.on_end();
}

// After a fault, so that no thread waits for blocks.
void OutputWriter::discard_queue() noexcept {
  abort();
  inside_.store(false, std::memory_order_seq_cst);
  try {
    write_queue();
  } catch (const std::exception& error) {
    listener_.on_fault(error.what());  // the process is left without this thread
  }
}

void OutputWriter::write_queue() {
  for (;;) {
    LineBlock* block = next_block();
    if (block == nullptr) return;
    if (reopen_.exchange(false, std::memory_order_acq_rel)) reopen_now();
    if (block == &wake_ || write_together(block)) continue;
    write_block(*block, 0);
    block->owner->give_back(block);
  }
}

// nullptr: the end.
LineBlock* OutputWriter::next_block() {
  for (;;) {
    LineBlock* block = nullptr;
    pulse_.beat();
    if (!held_.empty()) {
      block = held_.front();
      held_.pop_front();
    } else if (!queue_.try_dequeue(block)) {
      // The end marker has no order relative to the blocks of other producers: the queue must be
      // empty after it.
      if (input_ended_) return nullptr;
      if (!queue_.wait_dequeue_timed(block, kPulse)) continue;
    }
    if (block != nullptr) return block;
    input_ended_ = true;
  }
}

// All but the first `done` bytes, which are written.
void OutputWriter::write_block(const LineBlock& block, size_t done) {
  std::string_view rest = std::string_view(block.data, block.used).substr(done);
  uint64_t messages = block.messages;
  if (done > 0) messages -= messages_in(block, done, settings_.framing);
  while (!write_part(block, rest, messages)) {
    wait_for_disk();
    if (settings_.when_full != WhenFull::kDrop || !block.owner->waits() || ended()) continue;
    dropped_.fetch_add(messages, std::memory_order_relaxed);
    return;
  }
  if (messages > 0) {
    discarded_.fetch_add(messages, std::memory_order_relaxed);
  } else {
    note_delay(block);
  }
}

void OutputWriter::note_delay(const LineBlock& block) {
  if (block.messages == 0) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  delays_.add(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - block.oldest_ns,
              block.messages);
  delays_.publish();
}

// Writes what it can, and takes it off `rest` and `messages`. False: the disk is full.
bool OutputWriter::write_part(const LineBlock& block, std::string_view& rest, uint64_t& messages) {
  const bool was_full = std::exchange(full_, false);
  const size_t size = ended() || !write_head() ? 0 : write_bytes(rest);
  bytes_.fetch_add(size, std::memory_order_relaxed);
  uint64_t whole = messages;
  if (size < rest.size()) {
    const uint64_t in_all = messages_in(block, block.used - rest.size() + size, settings_.framing);
    const uint64_t before = block.messages - messages;
    whole = std::min(messages, in_all - std::min(in_all, before));
  }
  written_.fetch_add(whole, std::memory_order_relaxed);
  messages -= whole;
  rest.remove_prefix(size);
  if (was_full && !full_ && !ended()) {
    listener_.on_room(settings_.path, dropped() - dropped_before_);
  }
  if (full_ && !was_full) {
    dropped_before_ = dropped();
    listener_.on_full(settings_.path, std::strerror(ENOSPC));
  }
  return !full_;
}

// Meanwhile lines wait in memory, as for a reader that stands still.
void OutputWriter::wait_for_disk() {
  constexpr int64_t kLookAgainUs = 20'000;
  pulse_.beat();
  LineBlock* block = nullptr;
  if (queue_.wait_dequeue_timed(block, kLookAgainUs)) {
    do {
      held_.push_back(block);
    } while (queue_.try_dequeue(block));
  }
  if (reopen_.exchange(false, std::memory_order_acq_rel)) reopen_now();
  if (settings_.when_full == WhenFull::kDrop) drop_for_a_shard_that_waits();
}

// A quarter of what it has here, so that it need not wait for each block.
void OutputWriter::drop_for_a_shard_that_waits() {
  const auto of_waiting = [this](const LineBlock* block) {
    return block != nullptr && block != &wake_ && block->owner->waits();
  };
  const auto first = std::find_if(held_.begin(), held_.end(), of_waiting);
  if (first == held_.end()) return;
  const LineOutput* shard = (*first)->owner;
  const auto is_its = [&](const LineBlock* block) {
    return block != nullptr && block != &wake_ && block->owner == shard;
  };
  auto left = std::count_if(held_.begin(), held_.end(), is_its) / 4 + 1;
  for (auto at = first; at != held_.end() && left > 0;) {
    if (is_its(*at)) {
      drop(*at);
      at = held_.erase(at);
      left--;
    } else {
      ++at;
    }
  }
}

void OutputWriter::drop(LineBlock* block) {
  dropped_.fetch_add(block->messages, std::memory_order_relaxed);
  block->owner->give_back(block);
}

size_t OutputWriter::write_bytes(std::string_view bytes) {
  size_t done = write_whole(bytes);
  if (kind_ == Kind::kFile && done < bytes.size()) {
    const size_t whole = whole_messages(bytes, done, settings_.framing);
    if (take_back(fd_, done - whole)) done = whole;
  }
  inside_.store(false, std::memory_order_seq_cst);
  return done;
}

size_t OutputWriter::write_whole(std::string_view bytes) {
  size_t done = 0;
  // End of the messages that are under way: finished even when aborted, if possible.
  size_t under_way = std::exchange(begun_, 0);
  size_t front = 0;  // size of the message at `done`, 0: not looked for yet
  while (done < bytes.size()) {
    const bool started = done < under_way;
    inside_.store(started, std::memory_order_seq_cst);
    if (end() != End::kNone || (ended() && !started)) break;
    if (!started) {
      const std::string_view rest = bytes.substr(done);
      if (front == 0 && kind_ != Kind::kFile) front = first_message(rest, settings_.framing);
      const size_t size = kind_ == Kind::kFile ? rest.size() : messages_that_fit(rest, front);
      if (size == 0) {
        wait_for_room();
        continue;
      }
      inside_.store(true, std::memory_order_seq_cst);
      if (ended()) break;
      under_way = done + size;
      front = 0;
    }
    size_t size = under_way - done;
    // The rest of a message that is larger than the pipe goes in pieces: a write that waits for the
    // reader could not be given up.
    if (kind_ == Kind::kPipe) size = std::min(size, started ? room_in_pipe() : room_max_);
    size_t written = 0;
    if (size == 0 || !write_some(bytes.substr(done, size), written)) {
      if (full_) break;
      if (ended() && waited() >= kPatience) break;
      wait_for_room();
    }
    done += written;
  }
  return done;
}

// Bytes of whole messages that are certain to be taken now, 0: wait. `front` is the size of the
// first one: as long as there is no room for it, the others need not be looked at.
size_t OutputWriter::messages_that_fit(std::string_view rest, size_t front) {
  if (kind_ == Kind::kTerminal) {
    return whole_messages(rest, std::max(front, kTerminalBytes), settings_.framing);
  }
  const size_t room = kind_ == Kind::kPipe ? room_in_pipe() : room_in_socket();
  if (room >= front) return whole_messages(rest, room, settings_.framing);
  // A message that is larger than the whole pipe cannot be written at once.
  return room == room_max_ ? front : 0;
}

// Bytes that the socket is certain to take now. The kernel counts the memory that holds the bytes,
// at most twice their size where it splits a write; one that it does not split it takes whole or
// not at all.
size_t OutputWriter::room_in_socket() {
  int held = 0;
  if (ioctl(fd_, SIOCOUTQ, &held) != 0 || held < 0) return room_max_;
  const size_t used = (static_cast<size_t>(held) + 1) / 2;
  return used >= room_max_ ? 0 : room_max_ - used;
}

// One call of the system. False: it took nothing.
bool OutputWriter::write_some(std::string_view bytes, size_t& written) {
  const ssize_t size = kind_ == Kind::kSocket
                           ? send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                           : ::write(fd_, bytes.data(), bytes.size());
  return took(size, written);
}

// What a call of the system gave back. False: it took nothing.
bool OutputWriter::took(ssize_t size, size_t& written) {
  if (size >= 0) {
    written = static_cast<size_t>(size);
    writes_since_empty_++;
    waiting_since_.reset();
    return true;
  }
  const bool no_room = errno == ENOSPC || errno == EDQUOT;
  if (no_room && settings_.when_full != WhenFull::kFail) {
    full_ = true;
  } else if (errno != EAGAIN && errno != EINTR) {
    output_ended(errno);
  }
  return false;
}

void OutputWriter::wait_for_room() {
  constexpr int kLookAgainMs = 10;
  pulse_.beat();
  const bool is_pipe = kind_ == Kind::kPipe;
  pollfd ready{fd_, static_cast<short>(is_pipe ? 0 : POLLOUT), 0};
  poll(&ready, 1, 0);
  if ((ready.revents & (is_pipe ? POLLERR : POLLHUP)) != 0) {
    output_ended(EPIPE);
    return;
  }
  if (!is_pipe && (ready.revents & POLLOUT) == 0) {
    // The reader makes it ready when it has emptied a good part of it.
    poll(&ready, 1, kLookAgainMs);
    return;
  }
  // With some room, but not enough, both are always ready: there only a nap helps.
  std::this_thread::sleep_for(std::clamp<Clock::duration>(waited() / 8, kNapMin, kNapMax));
}

// How long nothing has been taken, 0 at the first look.
OutputWriter::Clock::duration OutputWriter::waited() {
  const Clock::time_point now = Clock::now();
  if (!waiting_since_) waiting_since_ = now;
  return now - *waiting_since_;
}

void OutputWriter::output_ended(int error) {
  if (end() != End::kNone) return;
  const bool reader_left = error == EPIPE || error == ECONNRESET;
  if (!reader_left) {
    const std::string output = settings_.path.empty() ? "standard output" : settings_.path;
    problem_ = {ErrorCode::kOutputFailed, output + " cannot be written: ", std::strerror(error)};
  }
  end_.store(reader_left ? End::kReaderLeft : End::kFailed, std::memory_order_release);
  listener_.on_end();
}

}  // namespace tcp_sniffer
