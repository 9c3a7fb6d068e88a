#pragma once

#include <cstdint>
#include <vector>

namespace tcp_sniffer::pcapgen {

// A TCP segment before it becomes a frame. The payload is batch bytes [begin, begin + bytes).
struct Segment {
  std::uint64_t begin = 0;
  std::uint32_t bytes = 0;
  std::uint32_t index = 0;  // among the flight's segments with payload, as sent
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;
  bool from_client = false;
  bool fragmented = false;
  // The next segment follows at once, without another connection's in between: what was captured
  // out of order was late by microseconds, not by a turn of all connections.
  bool glued = false;
};

// What one connection puts on the wire in one go: payload of one side and the ACKs of the other.
struct Flight {
  std::vector<Segment> segments;
  std::uint64_t begin = 0;  // the payload's place in the batch
  std::uint64_t end = 0;

  void clear() {
    segments.clear();
    begin = end = 0;
  }
};

}  // namespace tcp_sniffer::pcapgen
