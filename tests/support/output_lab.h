#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "io/output/output_writer.h"
#include "support/run_program.h"

// A writer of lines with a shard's end in front of it, and what reads or looks at its output.
namespace tcp_sniffer::output_lab {

using namespace std::chrono_literals;

// How often the threads that were started here have given up the processor to wait.
inline uint64_t waits_of_other_threads() {
  uint64_t waits = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(::gettid())) continue;
    std::ifstream status(task.path() / "status");
    const std::string name = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name)) waits += std::stoull(line.substr(name.size()));
    }
  }
  return waits;
}

inline std::string line_of(uint64_t number, size_t size) {
  std::string line = std::to_string(number) + " ";
  line.resize(std::max(line.size(), size - 1), static_cast<char>('a' + number % 26));
  return line + "\n";
}

// Sizes that fit nothing: short ones mostly, some longer than a page, a block or a pipe.
inline size_t size_of(uint64_t number) {
  if (number % 997 == 500) return 1'300'000 + number;
  if (number % 211 == 100) return 270'000 + number;
  if (number % 23 == 11) return 4000 + number % 200;
  return 20 + number * 7919 % 700;
}

inline std::string le32(size_t value) {
  std::string bytes;
  for (size_t i = 0; i < 4; i++) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

inline std::string frame_of(std::string_view json, std::string_view body) {
  return le32(json.size()) + le32(body.size()) + std::string(json) + std::string(body);
}

constexpr MessageFraming framing_of(bool framed) {
  return framed ? MessageFraming::kFrames : MessageFraming::kLines;
}

// A writer with one shard's end in front of it.
class Output {
 public:
  explicit Output(const OutputWriter::Settings& settings)
      : writer_(std::make_unique<OutputWriter>(settings, queue_)) {}
  explicit Output(int fd, bool framed = false)
      : Output(OutputWriter::Settings{.path = {}, .framing = framing_of(framed), .fd = fd}) {}
  explicit Output(const std::filesystem::path& path, bool framed = false)
      : Output(OutputWriter::Settings{.path = path.string(), .framing = framing_of(framed)}) {}

  void start() {
    ASSERT_FALSE(writer_->open());
    start_opened();
  }
  void start_opened() {
    OutputWriter::Listener listener;
    listener.on_end = [this] { told_.fetch_add(1); };
    listener.on_reopen_failed = [this](const std::string& file, const std::string& error) {
      reopen_error_ = file + ": " + error;
      reopen_failures_.fetch_add(1);
    };
    listener.on_full = [this](const std::string&, const std::string&) { fulls_.fetch_add(1); };
    listener.on_room = [this](const std::string&, uint64_t) { rooms_.fetch_add(1); };
    writer_->start(std::move(listener));
  }
  // False: nobody takes lines any more.
  bool put(std::string_view line) {
    if (!lines_.begin_line(line.size())) return false;
    std::memcpy(lines_.reserve(line.size()), line.data(), line.size());
    lines_.commit(lines_.reserve(0) + line.size());
    lines_.end_line(1, 1, 0);
    put_++;
    return true;
  }
  void put_now(std::string_view line) {
    ASSERT_TRUE(put(line));
    lines_.flush();
  }
  void finish() {
    lines_.flush();
    writer_->end_of_input();
    ASSERT_TRUE(until([&] { return writer_->done(); }));
  }
  void expect_every_message_counted() {
    EXPECT_EQ(writer_->written() + writer_->discarded(), put_);
  }

  OutputWriter& writer() { return *writer_; }
  LineOutput& lines() { return lines_; }
  int told() const { return told_.load(); }
  int fulls() const { return fulls_.load(); }
  int rooms() const { return rooms_.load(); }
  int reopen_failures() const { return reopen_failures_.load(); }
  const std::string& reopen_error() const { return reopen_error_; }  // after one was counted

 private:
  LineQueue queue_;
  BufferPool memory_{size_t{1} << 30};
  LineOutput lines_{queue_, memory_, {true, LineOutput::kBlocksForWaiting}};
  std::atomic<int> told_{0};
  std::atomic<int> fulls_{0};
  std::atomic<int> rooms_{0};
  std::atomic<int> reopen_failures_{0};
  std::string reopen_error_;
  uint64_t put_ = 0;
  std::unique_ptr<OutputWriter> writer_;
};

// Reads to the end on a thread of its own.
class Reader {
 public:
  // `slow`: a nap between small reads.
  explicit Reader(Descriptor from, bool slow = false)
      : from_(std::move(from)), thread_([this, slow] { run(slow); }) {}
  ~Reader() { text(); }
  const std::string& text() {
    if (thread_.joinable()) thread_.join();
    return text_;
  }

 private:
  void run(bool slow) {
    std::vector<char> bytes(slow ? 50'000 : 1 << 20);
    for (;;) {
      const ssize_t size = ::read(from_.get(), bytes.data(), bytes.size());
      if (size <= 0) return;
      text_.append(bytes.data(), static_cast<size_t>(size));
      if (slow) std::this_thread::sleep_for(200us);
    }
  }

  Descriptor from_;
  std::string text_;
  std::thread thread_;
};

inline size_t output_files(const TemporaryFolder& folder) {
  using Entries = std::filesystem::directory_iterator;
  return static_cast<size_t>(std::distance(Entries(folder.path()), Entries()));
}

inline uint64_t lines_in(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace tcp_sniffer::output_lab
