#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "io/dispatcher.h"
#include "io/file_parts.h"
#include "io/file_source.h"
#include "io/piece_pool.h"
#include "shard/packet_lane.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// Whose go it is, by number: the holder has what the turn guards to itself, and what it did there
// is seen by the next.
class Turn {
 public:
  bool is_at(uint64_t number) const { return now() == static_cast<uint32_t>(number); }
  // Spins for less than a go lasts, and sleeps then.
  void wait_for(uint64_t number) const;
  // By the holder.
  void pass() {
    now_.fetch_add(1, std::memory_order_release);
    now_.notify_all();
  }

 private:
  uint32_t now() const { return now_.load(std::memory_order_acquire); }

  // The low bits of the number suffice, for as many goes are never under way; and 32 bits are what
  // the kernel can wait for.
  alignas(64) std::atomic<uint32_t> now_{0};
};

// Capture files on several threads: not the packets go from thread to thread but the work does.
// Each thread takes a part of the file with a number, reads it (beside the others), waits for the
// turn at the source, cuts its part into segments there, and then takes them through every shard,
// as the shard's turn comes to its number. So the bytes of a packet stay in the cache of one
// processor from the page cache to the line, what moves is the far smaller state of the shards,
// and every shard sees its segments in the order of the file.
//
//   thread A   read 0 │ cut 0 │ shard 0 │ shard 1 │ read 2 │ …
//   thread B   read 1         │ cut 1   │ shard 0 │ shard 1 │ …
//
// Who waits, waits for a smaller number, and the smallest one waits for nobody: no deadlock.
// Nothing is ever dropped here; an output that is not read holds the shard's turn, and with it
// all the threads.
//
// Lifetime: one run over the files. `lanes` go to the dispatcher, which only the source's turn
// uses; everything else belongs to `run`. It outlives the source, which keeps the last piece.
class FileTeam {
 public:
  // What has to be there and to outlive the team. `stop`: end after the part in work.
  struct Parties {
    FileSource& source;
    FileParts& parts;  // the source's
    const std::vector<std::unique_ptr<Shard>>& shards;
    const std::atomic<bool>& stop;
  };

  FileTeam(Parties parties, uint32_t threads);
  ~FileTeam();
  FileTeam(const FileTeam&) = delete;
  FileTeam& operator=(const FileTeam&) = delete;

  std::vector<PacketLane*> lanes() const;

  // The calling thread and as many more as it takes read to the end, or to the stop, and drain the
  // shards. `begin` is called first on each of the others, with its number from 1 on. False: the
  // source has failed.
  bool run(Dispatcher& dispatcher, const std::function<void(uint32_t)>& begin);

 private:
  class Lane;
  struct Worker;

  void work(Worker& worker, Dispatcher& dispatcher);
  FileParts::Chunk read_part(Worker& worker, const FileParts::Part& part);
  void cut(const FileParts::Chunk& chunk, Dispatcher& dispatcher);
  void process(Worker& worker, uint64_t number);

  const Parties parties_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<PacketBlock>> blocks_;  // all there are; made in the source's turn
  Turn source_turn_;
  std::unique_ptr<Turn[]> shard_turns_;
  // Guarded by the source's turn.
  Worker* holder_ = nullptr;
  bool must_wait_ = false;  // the source had nothing at the last go
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace tcp_sniffer
