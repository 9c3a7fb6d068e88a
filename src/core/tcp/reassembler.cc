#include "core/tcp/reassembler.h"

#include <new>

namespace tcp_sniffer {

// Bytes before the head: they came before, or after their hole had been given up.
void Reassembler::count_late(const TcpStream& stream, uint64_t start, uint64_t end) {
  const uint64_t gap_start = stream.gap_end - stream.gap_size;
  const uint64_t late_start = std::max(start, gap_start);
  const uint64_t late_end = std::min(end, stream.gap_end);
  const uint64_t late = late_end > late_start ? late_end - late_start : 0;
  counters_.add(ShardCounter::bridged_late, late);
  counters_.add(ShardCounter::duplicate, end - start - late);
}

void Reassembler::Bytes::advance(uint64_t size) {
  const uint64_t captured = std::min<uint64_t>(size, data.size());
  data = data.subspan(static_cast<size_t>(captured));
  lost -= std::min(lost, size - captured);
  offset += size;
}

// Bytes at the head that the snaplen cut off: the same segment may be sent again, and be captured
// whole (a short snaplen cuts every copy, so the wait for a whole one is short).
void Reassembler::keep_cut(TcpStream& stream, uint64_t size) {
  stream.cut = true;
  stream.cut_end_sequence = stream.sequence_of(stream.head + size);
}

// Cuts off what is before the head, and what is after a certain end.
void Reassembler::cut_to_stream(const TcpStream& stream, Bytes& bytes) {
  if (bytes.offset < stream.head) {
    const uint64_t behind = stream.head - bytes.offset;
    const uint64_t captured = std::min<uint64_t>(behind, bytes.data.size());
    count_late(stream, bytes.offset, bytes.offset + captured);
    bytes.advance(behind);
  }
  if (!stream.end_is_sure()) return;
  counters_.add(ShardCounter::out_of_window, bytes.data.size());
  bytes.advance(bytes.data.size() + bytes.lost);
}

// Starts, keeps or ends the timing of the hole at the head (rule 4). Evidence that was there when
// an earlier hole was timed counts for a later one that the same acknowledgment covered.
void Reassembler::time_hole(TcpStream& stream, const TcpStream& peer, int64_t clock_ns) {
  if (stream.cut && stream.cut_size() == 0) stream.cut = false;
  if (stream.cut || end_waits(stream, peer)) {
    if (stream.hole_since_ns == 0) stream.hole_since_ns = clock_ns;
    return;
  }
  if (waits_for_unseen(stream, peer)) [[unlikely]] {
    if (stream.hole_since_ns == 0) stream.hole_since_ns = clock_ns;
    return;
  }
  if (!stream.missing() || !settings_.by_evidence) {
    stream.hole_since_ns = 0;
    return;
  }
  if (!peer.seen) {
    if (stream.hole_since_ns == 0) stream.hole_since_ns = clock_ns;
    // What is acknowledged later, when the peer is seen, begins a timing of its own.
    stream.evidence_sequence = stream.sequence_of(stream.head);
    return;
  }
  if (stream.acked <= stream.head) {
    stream.hole_since_ns = 0;
    return;
  }
  const auto evidence =
      static_cast<int32_t>(stream.evidence_sequence - stream.sequence_of(stream.head));
  if (stream.hole_since_ns != 0 && evidence > 0) return;
  stream.hole_since_ns = clock_ns;
  stream.evidence_sequence = stream.sequence_of(stream.acked);
  stream.advancing_acks = 0;
  stream.ack_repeated = false;
}

ReorderBuffer* Reassembler::reorder_of(TcpStream& stream) {
  if (stream.reorder == nullptr) {
    Buffer memory = pool_.allocate(sizeof(ReorderBuffer));
    if (!memory) return nullptr;
    static_assert(sizeof(ReorderBuffer) <= BufferPool::kSizeMin);
    stream.reorder = new (memory.data) ReorderBuffer(pool_);
    counters_.add(ShardCounter::reorder_buffers);
  }
  return stream.reorder;
}

void Reassembler::release_buffer(TcpStream& stream) {
  if (stream.reorder == nullptr) return;
  stream.reorder->~ReorderBuffer();
  Buffer memory{reinterpret_cast<uint8_t*>(stream.reorder), BufferPool::kSizeMin};
  pool_.release(memory);
  stream.reorder = nullptr;
  stream.refused = false;
  counters_.subtract(ShardCounter::reorder_buffers);
}

}  // namespace tcp_sniffer
