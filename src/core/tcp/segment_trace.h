#pragma once

#include <cstdint>

#include "core/net/segment.h"

namespace tcp_sniffer {

// What became of a segment's payload.
enum class SegmentFate : uint8_t {
  kNothing,      // it carried none
  kDelivered,    // given to the protocol
  kBuffered,     // waits after a hole
  kHeld,         // in order, but waits for the other direction
  kDuplicate,    // had come before
  kLate,         // came after its hole was given up
  kOutOfWindow,  // too far ahead, after the end, or with a RST
  kRefused,      // by an option, or because there was no room
};

// A segment as debugLog shows it.
struct TracedSegment {
  const Segment& segment;
  SegmentFate fate = SegmentFate::kNothing;
  uint32_t fate_bytes = 0;  // payload bytes with this fate, if not all
  bool followed = false;    // it belongs to a connection; only then the next four are set
  uint64_t connection_id = 0;
  int64_t relative_sequence = 0;  // 1 is the first byte of the stream, as in Wireshark
  int64_t relative_acknowledgment = 0;
  bool acknowledgment_known = false;  // a segment of the other side was seen
};

// A shard calls it for every segment that it has handled (debug, hexDump). One per shard, called on
// its thread.
class SegmentTrace {
 public:
  virtual ~SegmentTrace() = default;
  virtual void on_segment(const TracedSegment& traced) = 0;
  // A block of segments is done: what was traced may be written.
  virtual void flush() = 0;
};

}  // namespace tcp_sniffer
