#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "shard/packet_lane.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// Takes the segments of several capture threads to a shard in the order of their clocks. With
// several interfaces the directions of a connection may come from two threads, of which each is at
// another point in time: by the length of a block, or by seconds after a pause.
//
//   capture 0   |  block  |  block  |      known: nothing comes before here
//   capture 1        |  block  |                        known
//               ──── taken ────────┤
//
// A segment is taken when each other thread has sent a later one, or has reported that it has
// nothing before it (Dispatcher::tick). So a thread that is ahead waits, by its lane's bounded
// number of blocks, for one that is behind. A thread that sent no segment for kPatience is not
// waited for longer than that: the reassembler waits for what it has late.
//
// Invariant: of each thread the blocks are in the order in which they were sent, and the segments
// of the first one up to `taken` have been handled.
//
// Used by the shard's thread. The shard outlives it.
class LaneMerge {
 public:
  using Clock = std::chrono::steady_clock;

  // Longer than a thread that wants to run is kept from it on a machine that is not overloaded.
  static constexpr std::chrono::milliseconds kPatience{100};

  LaneMerge(Shard& shard, uint32_t captures) : shard_(shard), captures_(captures) {}

  // A block from the inbox. It goes back to its lane when all of it was taken.
  void add(PacketBlock* block, Clock::time_point now);
  // Takes to the shard what may be taken.
  void run(Clock::time_point now);
  // When to run() at the latest if no block comes; Clock::time_point::max(): nothing waits.
  Clock::time_point due() const;
  // Gives all blocks back as they are.
  void pass_back();

 private:
  struct Held {
    PacketBlock* block = nullptr;
    Clock::time_point since;
  };

  // What is here of one capture thread.
  struct Capture {
    std::array<Held, ThreadLane::kBlocks> ring;
    uint32_t first = 0;
    uint32_t size = 0;
    uint32_t taken = 0;  // segments of the first block
    bool begun = false;  // the first block
    int64_t known_ns = INT64_MIN;
    Clock::time_point sent_at;  // when the last block with segments came

    const Held& front() const { return ring[first]; }
    // A segment is here. Blocks without one are retired at once.
    bool has_segment() const { return size > 0 && taken < front().block->count; }
    // The clock of its next segment, or that before which none comes.
    int64_t position_ns() const {
      return has_segment() ? front().block->segments[taken].clock_ns : known_ns;
    }
  };

  void retire(Capture& capture);
  size_t earliest() const;
  int64_t bound_ns(const Capture& next, bool by_known) const;
  Clock::time_point patience_ends(const Capture& next) const;
  void take_up_to(Capture& capture, int64_t bound_ns);
  void begin(Capture& capture);
  void take_notes(PacketBlock& block);

  Shard& shard_;
  std::vector<Capture> captures_;  // by the number of the capture thread
  std::vector<UnreadNote> notes_;
};

}  // namespace tcp_sniffer
