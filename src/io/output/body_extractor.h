#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/pulse.h"
#include "core/message/body_file_name.h"
#include "core/message/body_sink.h"
#include "io/base/problem.h"
#include "shard/thread_queue.h"

namespace tcp_sniffer {

// Writes response bodies to files (extractDir), on a thread of its own: shards copy a body into a
// bounded queue and go on. When the queue is full they wait (overload: block) or the body is left
// out and counted (drop). A body larger than the whole queue is written by the shard itself.
//
// The directory is opened once, and every file is made in it by that descriptor, with
// O_EXCL | O_NOFOLLOW and mode 0600: nothing that is in the directory, or is put there meanwhile,
// is followed or overwritten. Names: core/message/body_file_name.h.
//
// Each body that put() is given has one fate, and one counter. A file whose writing fails is
// removed.
//
// Opened before, started and finished by the engine; outlives the shards.
class BodyExtractor final : public BodySink {
 public:
  // A response without a known request is named by its time; pipelined ones may share it.
  static constexpr int kSameTimeMax = 10;

  struct Settings {
    std::string directory;
    bool write_incomplete = false;
    uint64_t bytes_max = 0;        // extractMaxBytes
    uint64_t files_max = 0;        // extractMaxFiles
    bool may_wait = true;          // overload: block
    uint64_t queue_bytes_max = 0;  // of memory, for the bodies that wait
  };
  struct Counts {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t incomplete = 0;  // left out: not complete, and writeIncomplete is off
    uint64_t limited = 0;     // left out: extractMaxBytes or extractMaxFiles
    uint64_t dropped = 0;     // left out: the queue was full, or the end did not wait
    uint64_t errors = 0;      // left out: the system refused
  };
  // What went wrong with which file, in words; on the extractor's thread.
  using OnError = std::function<void(const std::string& file, const std::string& error)>;
  // An exception on that thread, which is memory that the system refused: no further body is
  // written.
  using OnFault = std::function<void(const char* what)>;

  // The memory that a body takes while it waits.
  static size_t memory_of(size_t body_size) { return sizeof(Body) + body_size + kEntrySize; }

  explicit BodyExtractor(const Settings& settings) : settings_(settings) {}
  ~BodyExtractor() override;

  // Opens the directory. Nothing: it is open.
  std::optional<Problem> open();
  void start(
      OnError on_error, OnFault on_fault = [](const char*) {});

  void put(const Message& message) override;

  // No more bodies will come, and those that came are seen by the caller: the thread ends when the
  // queue is empty. Any thread.
  void end_of_input();
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Bodies that wait are left out, and no thread waits for room any more. Any thread.
  void abort();

  // Grows while the thread goes on. Any thread.
  uint64_t beats() const { return pulse_.beats(); }
  // Whether a shard waits for room. Any thread.
  bool is_waited_for() const { return waiters_.load(std::memory_order_relaxed) > 0; }
  // Any thread.
  Counts counts() const;
  // Whether a body was left out for it. Any thread.
  bool files_max_reached() const { return files_max_reached_.load(std::memory_order_relaxed); }
  bool bytes_max_reached() const { return bytes_max_reached_.load(std::memory_order_relaxed); }

 private:
  // Its bytes follow it.
  struct Body {
    BodyFileName name;
    size_t size;

    static Body* make(const Message& message);
    static void free(Body* body);
    char* data() { return reinterpret_cast<char*>(this + 1); }
    std::string_view bytes() { return {data(), size}; }
  };
  using Counter = std::atomic<uint64_t>;
  // The queue's slot, and what the allocator adds.
  static constexpr size_t kEntrySize = 32;

  bool exceeds_limits(size_t size);
  bool take_room(size_t size);
  void give_room(size_t size);
  void run();
  void take_all();
  void take(Body* body);
  void write_body(const BodyFileName& file, std::string_view bytes);
  int make_file(const BodyFileName& file, std::string& name);
  bool write_all(int fd, std::string_view bytes);
  void failed(const std::string& name, int error);
  static void add(Counter& counter, uint64_t amount = 1) {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }

  const Settings settings_;
  int directory_ = -1;
  OnError on_error_;
  OnFault on_fault_;
  std::thread thread_;
  ThreadQueue<Body*> queue_;
  bool input_ended_ = false;
  std::mutex writing_;  // the extractor's thread, or a shard with a large body
  // Memory of those that wait; kAborted is added to it so that waiting for a change of it ends.
  static constexpr uint64_t kAborted = uint64_t{1} << 63;
  std::atomic<uint64_t> waiting_bytes_{0};
  Pulse pulse_;
  std::atomic<uint32_t> waiters_{0};
  std::atomic<bool> done_{false};
  std::atomic<bool> files_max_reached_{false};
  std::atomic<bool> bytes_max_reached_{false};
  Counter files_{0};
  Counter bytes_{0};
  Counter incomplete_{0};
  Counter limited_{0};
  Counter dropped_{0};
  Counter errors_{0};
};

}  // namespace tcp_sniffer
