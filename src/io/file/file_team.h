#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "io/capture/dispatcher.h"
#include "io/file/file_parts.h"
#include "io/file/file_source.h"
#include "shard/packet_lane.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// A place that the batches pass in the order of their numbers, one at a time. The thread that has
// entered it is alone with what the stage guards, and sees what was done there before.
class Stage {
 public:
  // The number that is next, also while it is inside.
  uint64_t number() const { return state_.load(std::memory_order_acquire) / 2; }
  // True if `number` was next and no thread was inside; now the caller is.
  bool enter(uint64_t number) {
    uint64_t expected = number * 2;
    return state_.load(std::memory_order_relaxed) == expected &&
           state_.compare_exchange_strong(expected, expected + 1, std::memory_order_acq_rel);
  }
  void leave() { state_.fetch_add(1, std::memory_order_release); }
  // For now: the number that is inside comes again.
  void step_out() { state_.fetch_sub(1, std::memory_order_release); }

 private:
  alignas(64) std::atomic<uint64_t> state_{0};  // twice the number, and 1 while it is inside
};

// Capture files on several threads. The packets stay with one thread, and the work moves between
// threads: each thread takes a part of the file with a number, reads it (in parallel to the
// others), cuts it into segments when it is the number's turn at the source, and then takes it
// through every shard, when it is the number's turn there. So the bytes of a packet stay in the
// cache of one processor from the page cache to the line. Only the far smaller state of the shards
// moves, and every shard sees its segments in the order of the file.
//
//   thread A   read 0 │ cut 0 │ shard 0 │ shard 1 │ read 2 │ …
//   thread B   read 1         │ cut 1   │ shard 0 │ shard 1 │ …
//
// When a thread cannot go on for a while, it looks whether the others get their processors. If one
// does not, it takes over work at any stage that no thread is in, also for another thread's batch,
// and sleeps when there is none. So a thread that is kept from running holds up the others only at
// the stage that it is in, and then they leave it a processor.
//
// After an exception on one of the threads, which is memory that the system refused, the work
// stands still: the others end, and the run has failed.
//
// Nothing is ever dropped here: an output that is not read holds a shard, and so all the threads.
//
// Lifetime: one run over the files. `lanes` go to the dispatcher, which only the source's stage
// uses; everything else belongs to `run`. It outlives the source, which keeps the last piece.
class FileTeam {
 public:
  // What has to be there and to outlive the team. `stop`: end after the part in work.
  struct Parties {
    FileSource& source;
    FileParts& parts;  // the source's
    const std::vector<std::unique_ptr<Shard>>& shards;
    const std::atomic<bool>& stop;
    // Called with the words of an exception, on the thread that it ends.
    std::function<void(const char*)> on_fault;
  };

  // One thread at a time cuts the file into segments, which is a twelfth of all the work for larger
  // messages and an eighth for the smallest (bench/scaling.md): more threads would only wait.
  static constexpr uint32_t kThreadsMax = 12;
  // Batches of a thread: its own, and one that it reads for a thread that does not get to it.
  static constexpr size_t kBatches = 2;
  // Packet blocks of a batch that have not gone through their shards yet: those of a part full of
  // bare ACKs, which has 26 (32 of raw IP), and for each shard its open one and one for an order.
  // Only packets that jump in time make more, because each jump is an order for every shard.
  static constexpr size_t kBlocksForSegments = 32;
  static constexpr size_t kBlocksForShard = 2;

  FileTeam(const Parties& parties, uint32_t threads);
  ~FileTeam();
  FileTeam(const FileTeam&) = delete;
  FileTeam& operator=(const FileTeam&) = delete;

  std::vector<PacketLane*> lanes() const;
  // Grows while the threads go on. Any thread.
  uint32_t progress_made() const { return progress_.load(std::memory_order_relaxed); }
  // Packet blocks that were made so far. Not while it runs.
  size_t blocks_made() const { return blocks_.size(); }

  // The calling thread and the others, or those of them that the system grants, read to the end, or
  // to the stop, and drain the shards. `begin` is called first on each of them, with its number;
  // the calling thread is 0, and comes when the others have been started. False: the source has
  // failed.
  bool run(Dispatcher& dispatcher, const std::function<void(uint32_t)>& begin);

 private:
  class Lane;
  struct Batch;
  struct Worker;

  void work(Worker& worker) noexcept;
  void work_to_the_end(Worker& worker);
  void watch(Worker& worker);
  bool somebody_stands_still(const Worker& worker) const;
  bool advance_own(Worker& worker);
  bool help(Worker& worker);
  void read(Worker& worker, const FileParts::Part& part);
  bool try_cut(uint64_t number);
  void cut(Batch& batch);
  bool try_shard(size_t shard, uint64_t number);
  bool enter_shard(size_t shard, uint64_t number);
  void pass_shard(size_t shard, Batch& batch);
  void make_room();
  Batch& batch_of(uint64_t number) const;
  void progress();

  const Parties parties_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  // Batches by number; as many as there can be at once, because a thread has two numbers at most,
  // and keeps one until its batch has passed every stage.
  std::vector<std::unique_ptr<Batch>> batches_;
  Stage source_stage_;
  std::unique_ptr<Stage[]> shard_stages_;
  // Counts up whenever something was done that others may wait for.
  alignas(64) std::atomic<uint32_t> progress_{0};
  std::atomic<bool> finished_{false};
  std::atomic<bool> failed_{false};

  // Guarded by the source's stage.
  alignas(64) std::vector<std::unique_ptr<PacketBlock>> blocks_;  // all there are
  Dispatcher* dispatcher_ = nullptr;
  Batch* inside_ = nullptr;
  int64_t flushed_at_ns_ = 0;  // when lines that fill no block were last sent to the output
  bool must_wait_ = false;     // the source had nothing the last time
  bool ended_ = false;
};

}  // namespace tcp_sniffer
