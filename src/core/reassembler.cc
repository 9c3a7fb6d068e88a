#include "core/reassembler.h"

#include <new>

namespace tcp_sniffer {

// Whether the stream's first segment tells, or fits what is known of, where the stream begins.
bool Reassembler::knows_start(const TcpStream& stream, const Segment& segment) {
  if ((segment.flags & kTcpSyn) != 0) return true;
  if (!stream.hint_is_start) return false;
  const uint64_t offset = stream.offset_of(segment.sequence);
  return offset >= kStreamOrigin && offset <= stream.window_limit();
}

// Where the sender's stream begins: at its SYN; else where the peer's acknowledgment in a
// handshake said; else at the first byte seen. Offsets keep the coordinates of a hint, so that
// acknowledgments taken before still mean the same bytes. A single byte may be a keep-alive probe
// (RFC 9293 section 3.8.4), which repeats one sent long ago: no stream begins with it.
void Reassembler::set_origin(TcpStream& stream, const Segment& segment) {
  const bool syn = (segment.flags & kTcpSyn) != 0;
  const bool may_be_probe = !syn && segment.payload_wire_size == 1;
  const uint32_t first = segment.sequence + (syn || may_be_probe ? 1 : 0);
  if (!stream.seen) {
    if (syn && stream.offset_of(first) != kStreamOrigin) stream.acked = 0;
    if (syn || !stream.hinted) {
      stream.set_origin(first);
    } else if (!knows_start(stream, segment)) {
      stream.head = stream.offset_of(first);
    }
    stream.seen = true;
  } else if (!stream.delivered && !stream.syn_seen && !stream.hint_is_start && !may_be_probe &&
             (syn || segment.payload_wire_size > 0) && stream.offset_of(first) < stream.head &&
             stream.head - stream.offset_of(first) < kWindowMin) {
    stream.head = stream.offset_of(first);
  }
  if (syn) stream.syn_seen = true;
}

void Reassembler::take_fin(TcpStream& stream, uint64_t end) {
  if (stream.fin_offset != kNoOffset || end < stream.head || end > stream.window_limit()) return;
  stream.fin_offset = end;
}

// A RST counts in the window or at the last acknowledgment (RFC 9293 section 3.10.7.4; a host
// without the socket answers with the number it was told).
void Reassembler::take_rst(TcpStream& stream, uint64_t offset) {
  if (stream.ended) {
    // The FIN was reached before; now nothing of the other side is wanted either.
    stream.reset |= offset + 1 >= stream.head && offset <= stream.window_limit();
    return;
  }
  const bool at_last_ack = stream.acked != 0 && offset == stream.acked;
  if ((offset < stream.head && !at_last_ack) || offset > stream.window_limit()) return;
  if (stream.fin_offset == kNoOffset) {
    stream.fin_offset = std::max(offset, stream.head);
    stream.reset = true;
  } else if (!stream.reset && offset >= stream.fin_offset) {
    stream.reset_behind_fin = true;
  }
  // Nothing before a RST will be sent again, whatever was acknowledged.
  stream.acked = std::max(stream.acked, stream.fin_offset);
}

// The segment's acknowledgment as an offset of the peer's stream, or 0 when it says nothing that
// can be believed (RFC 9293 section 3.10.7.4: an acknowledgment of bytes never sent is ignored).
void Reassembler::take_acknowledgment(TcpStream& peer, const TcpStream& sender,
                                      const Segment& segment, uint64_t& acknowledged) {
  acknowledged = 0;
  if ((segment.flags & kTcpAck) == 0 || (segment.flags & kTcpRst) != 0) return;
  const bool scaled = sender.window_scale != kNoWindowScale &&
                      peer.window_scale != kNoWindowScale && (segment.flags & kTcpSyn) == 0;
  peer.window = static_cast<uint32_t>(segment.window)
                << (scaled ? std::min<uint8_t>(sender.window_scale, 14) : 0);
  if (!peer.seen) {
    // In a handshake it names the first byte of a stream whose own SYN was lost; elsewhere it is
    // only a place to count from.
    if (!peer.hinted) {
      peer.set_origin(segment.acknowledgment);
      peer.hinted = true;
      peer.hint_is_start = sender.syn_seen && ((segment.flags & kTcpSyn) != 0 ||
                                               sender.offset_of(segment.sequence) == kStreamOrigin);
    }
    const uint64_t offset = peer.offset_of(segment.acknowledgment);
    if (offset < peer.head || offset > peer.window_limit()) return;
    acknowledged = offset;
    peer.acked = std::max(peer.acked, offset);
    return;
  }
  const uint64_t offset = peer.offset_of(segment.acknowledgment);
  if (offset > std::max(peer.window_limit(), peer.contiguous_end() + kWindowMin)) return;
  acknowledged = offset;
  if (offset <= peer.acked) return;
  peer.acked = offset;
  if (peer.hole_since_ns != 0 && peer.advancing_acks < UINT8_MAX) peer.advancing_acks++;
}

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

// Cuts off what lies before the head and what lies behind the end of the stream.
void Reassembler::cut_to_stream(const TcpStream& stream, Bytes& bytes) {
  if (bytes.offset < stream.head) {
    const uint64_t behind = stream.head - bytes.offset;
    const uint64_t captured = std::min<uint64_t>(behind, bytes.data.size());
    count_late(stream, bytes.offset, bytes.offset + captured);
    bytes.advance(behind);
  }
  const uint64_t room = stream.ended                       ? 0
                        : stream.fin_offset > bytes.offset ? stream.fin_offset - bytes.offset
                                                           : 0;
  if (bytes.data.size() + bytes.lost <= room) return;
  const auto kept = static_cast<size_t>(std::min<uint64_t>(bytes.data.size(), room));
  counters_.add(ShardCounter::out_of_window, bytes.data.size() - kept);
  bytes.data = bytes.data.first(kept);
  bytes.lost = std::min(bytes.lost, room - kept);
}

// Starts, keeps or ends the timing of the hole at the head (rule 4). Evidence that was there when
// an earlier hole was timed counts for a later one that the same acknowledgment covered.
void Reassembler::time_hole(TcpStream& stream, const TcpStream& peer, int64_t clock_ns) {
  if (!stream.missing() || !settings_.by_evidence) {
    stream.hole_since_ns = 0;
    return;
  }
  if (!peer.seen) {
    if (stream.hole_since_ns == 0) stream.hole_since_ns = clock_ns;
    return;
  }
  if (stream.acked <= stream.head) {
    stream.hole_since_ns = 0;
    return;
  }
  if (stream.hole_since_ns != 0 && stream.evidence_ack > stream.head) return;
  stream.hole_since_ns = clock_ns;
  stream.evidence_ack = stream.acked;
  stream.advancing_acks = 0;
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
