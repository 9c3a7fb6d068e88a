// Shard: the fate of a segment, for debug and hexDump.

#include <algorithm>
#include <array>

#include "shard/shard.h"

namespace tcp_sniffer {

namespace {

// Counters of payload that was not taken, and what that means.
constexpr struct {
  ShardCounter counter;
  SegmentFate fate;
} kNotTaken[] = {{ShardCounter::refused, SegmentFate::kRefused},
                 {ShardCounter::out_of_window, SegmentFate::kOutOfWindow},
                 {ShardCounter::bridged_late, SegmentFate::kLate},
                 {ShardCounter::duplicate, SegmentFate::kDuplicate}};

// Where the bytes up to `end` are.
SegmentFate fate_of_taken(const TcpStream& stream, uint64_t end) {
  if (stream.end_is_sure() || end <= stream.head) return SegmentFate::kDelivered;
  if (!stream.has_waiting()) return SegmentFate::kDelivered;
  return stream.reorder->front() == stream.head ? SegmentFate::kHeld : SegmentFate::kBuffered;
}

}  // namespace

void Shard::handle_traced(const Segment& segment) {
  std::array<uint64_t, std::size(kNotTaken)> before{};
  for (size_t i = 0; i < before.size(); i++) before[i] = counters_.get(kNotTaken[i].counter);
  // A segment that ends its connection leaves nothing to look at.
  TcpStreams streams;
  TracedSegment traced{.segment = segment};
  const auto look = [&] {
    const Connection* connection = table_.find(segment.flow_hash, segment.key);
    if (connection == nullptr) return false;
    streams = connection->streams;
    traced.connection_id = connection->identity.id;
    return traced.followed = true;
  };
  look();
  handle(segment);
  const bool still_there = look();

  const TcpStream& stream = streams[static_cast<size_t>(segment.side)];
  const TcpStream& peer = streams[static_cast<size_t>(other(segment.side))];
  if (traced.followed) {
    const auto relative = [](const TcpStream& of, uint32_t sequence) {
      return static_cast<int64_t>(of.offset_of(sequence) - kStreamOrigin) + 1;
    };
    traced.relative_sequence = relative(stream, segment.sequence);
    traced.acknowledgment_known = (peer.seen || peer.hinted) && (segment.flags & kTcpAck) != 0;
    if (traced.acknowledgment_known) {
      traced.relative_acknowledgment = relative(peer, segment.acknowledgment);
    }
  }
  if (segment.payload_size > 0) {
    const uint64_t end = stream.offset_of(segment.sequence) + segment.payload_wire_size;
    traced.fate = still_there ? fate_of_taken(stream, end) : SegmentFate::kDelivered;
    traced.fate_bytes = segment.payload_size;
    for (size_t i = 0; i < before.size(); i++) {
      const uint64_t bytes = counters_.get(kNotTaken[i].counter) - before[i];
      if (bytes < segment.payload_size) {
        traced.fate_bytes -= static_cast<uint32_t>(std::min<uint64_t>(bytes, traced.fate_bytes));
        continue;
      }
      traced.fate = kNotTaken[i].fate;
      traced.fate_bytes = segment.payload_size;
      break;
    }
  }
  settings_.trace->on_segment(traced);
}

}  // namespace tcp_sniffer
