#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/buffer_pool.h"

namespace tcp_sniffer {

class LineOutput;

// So many records after each other have so many lines (or frames) each and stand for so many
// messages each.
struct RecordRun {
  uint32_t records = 0;
  uint32_t lines = 0;
  uint32_t messages = 0;
};

// One line, frame or record of a block, or several of one connection after each other; where the
// output must know whose they are. They follow each other without a gap.
struct LineMark {
  uint64_t connection_id = 0;
  size_t size = 0;  // bytes; a line has its line feed
  // That it stands for; 0: a part of a message. Of several lines each stands for one.
  uint32_t messages = 0;
};

// Finished lines on their way to the output: only whole lines, one after the other. Made by a
// shard, written by the writer thread, then given back to the LineOutput it came from.
struct LineBlock {
  char* data = nullptr;
  size_t capacity = 0;
  size_t used = 0;
  uint64_t messages = 0;  // whole messages in it
  // Not where each line stands for one message. At most kRunsMax.
  std::vector<RecordRun> runs;
  // Only where they are asked for: all of its lines. At most kLineMarksMax.
  std::vector<LineMark> marks;
  int64_t oldest_ns = 0;  // packet time of its oldest message's last byte
  LineOutput* owner = nullptr;
  Buffer body;             // the last line's body came with its memory, in which `data` lies then
  bool oversized = false;  // made for one long line; freed instead of reused
  LineBlock* stands_for = nullptr;  // of an oversized one: the pool's block that goes back with it
  size_t charged = 0;               // of an oversized one: bytes charged to the shard's memory
  size_t touched = 0;  // of an oversized one: bytes that lines have taken from the system
};

}  // namespace tcp_sniffer
