#pragma once

#include <cstdint>

namespace tcp_sniffer {

// What is remembered of the segment that brought a run of stream bytes.
struct SegmentMeta {
  int64_t time_ns = 0;        // packet time
  uint64_t frame = 0;         // frame number in the input
  uint64_t acknowledged = 0;  // offset in the peer's stream that it acknowledges; 0 = none known
};

}  // namespace tcp_sniffer
