#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/base/limits.h"
#include "core/net/capture_piece.h"
#include "core/net/segment.h"

namespace tcp_sniffer {

class PacketLane;  // where a block goes back to; known to its owner only

// What a shard has to do besides handling the segments of the block.
enum class BlockOrder : uint8_t {
  kNone,
  kDrain,   // after the segments: every connection ends, as at the end of the capture
  kRebase,  // before the segments: packet time has jumped, see rebase_from_ns
  kEnd,     // the same as kDrain, and the capture thread sends nothing any more
};

// What the capture thread dropped of one direction of a connection because its shard had no block
// free. It goes to the shard with the next block, so that the hole has a known cause.
struct DropNote {
  uint64_t flow_hash = 0;
  uint64_t bytes = 0;  // payload on the wire
  FlowKey key;
  uint32_t end_sequence = 0;  // after the last of them
  Side side = Side::kLow;     // the sender
};

// A shard has taken one direction of a connection whole up to `from`. The bytes from there to `to`
// belong to a body that is not needed, and never include its end.
struct UnreadNote {
  uint64_t flow_hash = 0;
  FlowKey key;
  uint32_t from = 0;  // sequence numbers
  uint32_t to = 0;
  Side side = Side::kLow;  // the sender
};

// The unit of hand-over from a capture thread to a shard: up to kSegmentsPerBlock segments and the
// memory their payloads lie in. That is either a piece of a capture file, referenced once by the
// block and shared with the blocks of other shards, or the block's own arena, into which live
// payload was copied. Never a queue item per packet.
//
// Blocks come from a bounded pool and go back to it; a pool that is empty is the backpressure.
// One thread at a time has a block: the capture thread until it is sent, then the shard's.
struct PacketBlock {
  PacketBlock() = default;
  ~PacketBlock() { std::free(arena); }
  PacketBlock(const PacketBlock&) = delete;
  PacketBlock& operator=(const PacketBlock&) = delete;

  std::array<Segment, kSegmentsPerBlock> segments;
  uint32_t count = 0;
  BlockOrder order = BlockOrder::kNone;
  int64_t clock_ns = 0;  // watermark: no later block has an earlier clock
  // kRebase: connections with a segment at or after this clock were active while the jump to
  // clock_ns was not believed yet. Their last activity is then the jump.
  int64_t rebase_from_ns = 0;
  CapturePiece* piece = nullptr;  // one reference is held while the block is in use
  uint8_t* arena = nullptr;       // kBlockArenaBytes, allocated at first use
  uint32_t arena_used = 0;
  PacketLane* lane = nullptr;      // set by the owner of the pool
  uint32_t capture = 0;            // the number of the capture thread; set by the owner, too
  std::vector<DropNote> drops;     // before the segments; at most kDropNotesMax
  std::vector<UnreadNote> unread;  // on the way back; at most kUnreadNotesMax

  // Copies bytes into the arena; nullptr when they do not fit.
  const uint8_t* copy(const uint8_t* data, uint32_t size) {
    if (arena == nullptr) arena = static_cast<uint8_t*>(std::malloc(kBlockArenaBytes));
    if (arena == nullptr || size > kBlockArenaBytes - arena_used) return nullptr;
    uint8_t* to = arena + arena_used;
    std::memcpy(to, data, size);
    arena_used += size;
    return to;
  }

  void refer_to(CapturePiece* to) {
    piece = to;
    if (piece != nullptr) piece->retain();
  }

  // Once nothing points into it.
  void free_arena() {
    std::free(arena);
    arena = nullptr;
  }

  // Lets go of the payloads; the block is as new.
  void reset() {
    if (piece != nullptr) piece->release();
    piece = nullptr;
    count = 0;
    arena_used = 0;
    order = BlockOrder::kNone;
    drops.clear();
  }
};

}  // namespace tcp_sniffer
