#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "io/base/problem.h"
#include "io/output/framing.h"
#include "io/output/output_file.h"
#include "io/output/output_thread.h"
#include "shard/line_output.h"

namespace tcp_sniffer {

// How many messages stand whole in the first `size` bytes of the block.
uint64_t messages_in(const LineBlock& block, size_t size, MessageFraming framing);

// The thread that writes the finished lines to a descriptor, which no other thread touches. Only
// whole messages are handed to the system, so that an end at any moment leaves no cut line:
//
// - a file takes everything at once;
// - a terminal gets a few lines at a time, and lines that it has no room for (it may be stopped)
//   wait;
// - to a pipe or a socket only as much is written as it is certain to have room for, so that no
//   write can stop half way or wait for the reader. A message larger than the pipe goes in pieces;
//   one that was taken in part is finished first, unless the run is aborted and nothing is read.
//
// A reader that has left (EPIPE) is no error: what follows is discarded, and the run ends. Any
// other error ends the run with that error, except a full disk if it is configured otherwise. A
// file has only whole messages even when a write fails: the written part of the next one is taken
// back.
class OutputWriter final : public OutputThread {
 public:
  // The most an unprivileged process gets by default (/proc/sys/fs/pipe-max-size).
  static constexpr int kPipeBytes = 1 << 20;
  // What a terminal is given at once: less than it takes in while it runs.
  static constexpr size_t kTerminalBytes = 1024;

  // A full disk ends the run; or lines wait in memory for room; or, when their shards have no more
  // memory for lines, the oldest ones are dropped and counted.
  enum class WhenFull : uint8_t { kFail, kWait, kDrop };
  struct Settings {
    std::string path;  // empty: standard output
    MessageFraming framing = MessageFraming::kLines;
    std::string head = {};  // a first line, with its end; framed has a head of its own
    int fd = 1;
    int cpu = -1;  // the thread runs on it alone
    WhenFull when_full = WhenFull::kFail;
  };

  OutputWriter(const Settings& settings, LineQueue& queue);
  ~OutputWriter() override;

  // Why open() would fail at this path, found out without opening it; nothing: no obstacle is
  // known.
  static std::optional<Problem> problem_of(const std::string& path);
  // Opens the output. Nothing: it is open. A FIFO is not waited for: when it has no reader, nothing
  // is opened, and lacks_reader() is true.
  std::optional<Problem> open();
  bool lacks_reader() const { return lacks_reader_; }
  bool is_open() const { return fd_ >= 0; }
  // All are called on the writer's thread.
  struct Listener {
    // The output has ended by itself; and again when all is done.
    std::function<void()> on_end = [] {};
    // The path could not be opened again, with the error in words: the old file is kept until the
    // next reopen().
    std::function<void(const std::string& file, const std::string& error)> on_reopen_failed =
        [](const std::string&, const std::string&) {};
    // The file did not end with a whole message, at the start or when it was opened again.
    std::function<void(const std::string& file, const FileEnd& end)> on_mended =
        [](const std::string&, const FileEnd&) {};
    // The disk is full, with the error in words, and has room again; with the messages dropped
    // meanwhile.
    std::function<void(const std::string& file, const std::string& error)> on_full =
        [](const std::string&, const std::string&) {};
    std::function<void(const std::string& file, uint64_t dropped)> on_room = [](const std::string&,
                                                                                uint64_t) {};
    // An exception, which is memory that the system refused: what follows is discarded.
    std::function<void(const char* what)> on_fault = [](const char*) {};
  };
  void start(Listener listener);
  bool between_messages() const override { return !inside_.load(std::memory_order_seq_cst); }
  // The path is opened again (SIGHUP), at once if nothing is being written: what is put into the
  // queue from here on goes into the new file. Any thread.
  void reopen();

 private:
  using Clock = std::chrono::steady_clock;
  // A nap is an eighth of the time for which nothing was taken, so that a reader that comes back
  // waits at most an eighth longer, and one that never does costs next to nothing. The longest nap
  // is the time that a reader at 500 MB/s takes for a full pipe.
  static constexpr std::chrono::nanoseconds kNapMin = std::chrono::microseconds(100);
  static constexpr std::chrono::nanoseconds kNapMax = std::chrono::milliseconds(2);
  // A pipe of kPipeBytes that is not nearly empty is left to its reader for so long at most: a fast
  // one empties it meanwhile, and one that takes longer does not find it empty.
  static constexpr std::chrono::nanoseconds kPauseForEmptyPipe = std::chrono::milliseconds(1);
  static constexpr size_t kBlocksTogether = 8;  // in one call of the system
  // After an abort a message that was taken in part is given up when nothing was taken for so long:
  // more than a reader on a busy machine is kept from running, less than "at once" may last.
  static constexpr std::chrono::nanoseconds kPatience = std::chrono::milliseconds(200);

  enum class Kind : uint8_t { kFile, kTerminal, kPipe, kSocket };

  void run();
  void write_queue();
  void discard_queue() noexcept;
  LineBlock* next_block();
  void write_block(const LineBlock& block, size_t done);
  void note_delay(const LineBlock& block);
  bool write_together(LineBlock* first);
  LineBlock* next_for(size_t room, size_t count);
  void finish(const LineBlock& block, size_t done);
  bool write_part(const LineBlock& block, std::string_view& rest, uint64_t& messages);
  void wait_for_disk();
  void drop_for_a_shard_that_waits();
  void drop(LineBlock* block);
  // Returns the bytes written; fewer than given when the output ended or the writer was aborted.
  size_t write_bytes(std::string_view bytes);
  size_t write_whole(std::string_view bytes);
  size_t messages_that_fit(std::string_view rest, size_t front);
  size_t room_in_pipe();
  size_t room_in_socket();
  bool write_some(std::string_view bytes, size_t& written);
  bool took(ssize_t size, size_t& written);
  void wait_for_room();
  Clock::duration waited();
  void output_ended(int error);

  // ---- output_writer_open.cc
  int open_path() const;
  void classify();
  void unblock_terminal();
  std::string mend();
  void reopen_now();
  bool write_head();

  const Settings settings_;
  const std::string head_;  // what the output begins with
  const size_t page_;       // of memory, and so of a pipe, in bytes
  Listener listener_;
  LineBlock wake_;  // in the queue it only means: look at reopen_
  int fd_ = -1;
  bool owns_fd_ = false;
  bool lacks_reader_ = false;
  Kind kind_ = Kind::kFile;
  bool head_pending_ = false;
  FileEnd file_end_;             // as it was found
  bool full_ = false;            // the disk, at the last write
  uint64_t dropped_before_ = 0;  // it was full
  std::deque<LineBlock*> held_;  // taken from the queue while it is
  size_t room_max_ = 0;          // of a pipe or a socket when it is empty, in bytes
  size_t writes_since_empty_ = 0;
  size_t begun_ = 0;  // bytes that a message still has which was taken in part
  std::optional<Clock::time_point> waiting_since_;  // there was no room, and nothing was taken
  // Set before each look at aborted_ that is followed by a write, so that one of the two is seen.
  std::atomic<bool> inside_{false};
  std::atomic<bool> reopen_{false};
};

}  // namespace tcp_sniffer
