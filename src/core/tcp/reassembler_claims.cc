// Reassembler: what a segment claims about its own stream and the peer's, and whether to believe
// it.

#include "core/tcp/reassembler.h"

namespace tcp_sniffer {

// Whether the stream's first segment is its beginning, or fits what is known about the beginning.
bool Reassembler::knows_start(const TcpStream& stream, const Segment& segment) {
  if ((segment.flags & kTcpSyn) != 0) return true;
  if (!stream.hint_is_start) return false;
  const uint64_t offset = stream.offset_of(segment.sequence);
  return offset >= kStreamOrigin && offset <= stream.window_limit();
}

// ---------------------------------------------------------------- plausible

// Bytes, a FIN, or a first segment that are merely in the window may be forged by an attacker that
// sees neither stream. So the acknowledgment has to fit, too (RFC 5961 section 5.2).
bool Reassembler::acknowledges_plausibly(const TcpStream& peer, const Segment& segment) {
  if (!peer.seen && !peer.hinted) return true;
  if ((segment.flags & kTcpAck) == 0) return false;
  const uint64_t offset = peer.offset_of(segment.acknowledgment);
  if (peer.syn_seen && !peer.delivered) {
    return offset >= kStreamOrigin && offset <= peer.known_end() + kHandshakeReach;
  }
  return offset + peer.reach() >= peer.head &&
         offset <= std::max(peer.window_limit(), peer.contiguous_end() + kWindowMin);
}

// All that is known of the peer's stream, and no more: one in 4 billion, too.
bool Reassembler::acknowledges_exactly(const TcpStream& peer, const Segment& segment) {
  const uint64_t acked = peer.offset_of(segment.acknowledgment);
  return acked == peer.known_end() || acked == peer.expected();
}

// For the next bytes the number alone is proof enough: one in 4 billion.
bool Reassembler::believes(const TcpStream& stream, const TcpStream& peer, const Segment& segment,
                           uint64_t offset) {
  const uint64_t end = stream.known_end();
  if (offset == stream.head || offset == end) return true;
  // Nothing is known to compare with.
  if (!peer.seen && !peer.hinted) return offset <= end + kHandshakeReach;
  return acknowledges_plausibly(peer, segment);
}

// Next to what is known to have been sent: a segment before it proves nothing.
bool Reassembler::fits(const TcpStream& stream, uint64_t offset) {
  return offset + stream.reach() >= stream.head &&
         offset <= std::max(stream.known_end(), stream.acked) + 1;
}

bool Reassembler::continues(const TcpStream& stream, const TcpStream& peer,
                            const Segment& segment) {
  return stream.seen && fits(stream, stream.offset_of(segment.sequence)) &&
         acknowledges_plausibly(peer, segment);
}

bool Reassembler::answers_syn(const TcpStream& peer, const Segment& segment) {
  return (segment.flags & kTcpAck) != 0 && peer.syn_seen && acknowledges_exactly(peer, segment);
}

bool Reassembler::owns_syn(const TcpStream& stream, const TcpStream& peer, const Segment& segment) {
  const uint32_t first = segment.sequence + 1;
  if (stream.placed) {
    if (stream.origin_sequence == first) return true;
    if (stream.syn_seen) return false;
  }
  const bool with_ack = (segment.flags & kTcpAck) != 0;
  if (with_ack && !acknowledges_plausibly(peer, segment)) return false;
  // Whatever came before it, if those were no bytes.
  if (!stream.placed && answers_syn(peer, segment)) return true;
  if (!stream.placed && !stream.hinted) return with_ack || !peer.seen;
  const uint64_t begin = stream.offset_of(first);
  if (stream.hint_is_start) return begin == kStreamOrigin;
  // A bare acknowledgment may come from a device before the server, or be an answer to an older
  // connection (RFC 5961 section 4). If the SYN was answered, it is void.
  if (!stream.placed && stream.seen && with_ack && peer.syn_seen) return true;
  return begin <= stream.expected() && stream.expected() - begin < kHandshakeReach;
}

// ---------------------------------------------------------------- origin

// Where the sender's stream begins: at its SYN; else where the peer's acknowledgment in a handshake
// puts it; else at the first byte seen. Offsets keep the coordinates of a hint, so that earlier
// acknowledgments still mean the same bytes.
Reassembler::Place Reassembler::place(TcpStream& stream, const TcpStream& peer,
                                      const Segment& segment) {
  if ((segment.flags & kTcpRst) != 0) {
    if (stream.seen) return Place::kKnown;
    // For a side that was never seen only an exact one counts: where the peer waits for the next
    // byte, or in answer to its SYN (RFC 9293 section 3.10.7.1).
    if (stream.hinted) {
      return stream.offset_of(segment.sequence) == stream.expected() ? Place::kKnown
                                                                     : Place::kNowhere;
    }
    const bool answers = (segment.flags & kTcpAck) != 0 && peer.syn_seen &&
                         peer.offset_of(segment.acknowledgment) == peer.known_end();
    if (!answers) return Place::kNowhere;
    stream.set_origin(segment.sequence);
    return Place::kKnown;
  }
  if ((segment.flags & kTcpSyn) != 0) {
    place_syn(stream, segment.sequence + 1);
    return Place::kKnown;
  }
  if (segment.payload_wire_size > 0 || (segment.flags & kTcpFin) != 0) {
    return place_bytes(stream, peer, segment);
  }
  if (stream.seen) return Place::kKnown;
  if (!acknowledges_plausibly(peer, segment)) return Place::kNowhere;
  const uint64_t offset = stream.offset_of(segment.sequence);
  if (!stream.hinted) {
    stream.set_origin(segment.sequence);
    stream.hinted = true;
  } else if (offset + kWindowMin < stream.expected() || offset > stream.expected() + kWindowMin) {
    return Place::kNowhere;
  } else if (!stream.hint_is_start) {
    stream.head = offset;
  }
  stream.seen = true;
  return Place::kKnown;
}

// The number `first` follows the SYN.
void Reassembler::place_syn(TcpStream& stream, uint32_t first) {
  if (!stream.placed) {
    if (stream.offset_of(first) != kStreamOrigin) stream.acked = 0;
    stream.set_origin(first);
    stream.hole_since_ns = 0;
    stream.seen = stream.placed = true;
  } else if (!stream.delivered && !stream.syn_seen && !stream.hint_is_start &&
             stream.offset_of(first) < stream.head &&
             stream.head - stream.offset_of(first) < kWindowMin) {
    stream.head = stream.offset_of(first);
    stream.cut = false;
  }
  stream.syn_seen = true;
}

// A byte alone is that of a keep-alive probe, unless a line of a protocol may begin with it.
bool Reassembler::seems_probe(const Segment& segment) {
  if (segment.payload_wire_size != 1) return false;
  const char byte = segment.payload_size == 0 ? '\0' : static_cast<char>(segment.payload[0]);
  return (byte < 'A' || byte > 'Z') && byte != '+' && byte != '-';
}

// Bytes or a FIN of a stream of which nothing was delivered. A single byte may be a keep-alive
// probe (RFC 9293 section 3.8.4), which repeats one sent long ago: no stream begins with it, unless
// it stands where the next byte is expected, or is the first of the connection and may begin a
// text.
Reassembler::Place Reassembler::place_bytes(TcpStream& stream, const TcpStream& peer,
                                            const Segment& segment) {
  const bool is_next = stream.seen || stream.hinted
                           ? stream.offset_of(segment.sequence) >= stream.expected()
                           : !peer.seen && !seems_probe(segment);
  const bool may_be_probe =
      segment.payload_wire_size == 1 && (segment.flags & (kTcpFin | kTcpSyn)) == 0 && !is_next;
  const uint32_t first = segment.sequence + (may_be_probe ? 1 : 0);
  const uint64_t offset = stream.offset_of(first);
  if (stream.placed) {
    // It may move back while nothing was delivered, and the protocol holds nothing then.
    if (!stream.syn_seen && !stream.hint_is_start && !may_be_probe &&
        segment.payload_wire_size > 0 && offset < stream.head &&
        stream.head - offset < kWindowMin && acknowledges_plausibly(peer, segment)) {
      stream.head = offset;
      stream.cut = false;
      stream.ended = false;
    }
    return Place::kKnown;
  }
  if (!acknowledges_plausibly(peer, segment)) return Place::kNowhere;
  bool known = false;
  if (!stream.seen && !stream.hinted) {
    stream.set_origin(first);
  } else if (knows_start(stream, segment)) {
    known = true;
  } else {
    const uint64_t expected = stream.expected();
    const bool near = offset + kWindowMin >= expected && offset <= expected + kWindowMin;
    // Far away, but so are its neighbours, or the acknowledgment proves it.
    if (!near && !acknowledges_exactly(peer, segment) &&
        !agrees_with_strays(stream, peer, segment)) {
      return Place::kNowhere;
    }
    if (!near || !stream.seen || offset < stream.head) stream.head = offset;
  }
  stream.seen = true;
  if (may_be_probe) return Place::kKnown;
  stream.placed = true;
  stream.gap_end = stream.head;  // nothing before it was delivered
  drop_claim(stream);
  return known ? Place::kKnown : Place::kMidstream;
}

// A segment outside the window. One alone proves nothing; kStrayAgreement that continue each other
// mean that the stream has moved on without us. One that repeats the last ones' bytes proves
// nothing either, because a frame may be captured twice.
bool Reassembler::agrees_with_strays(TcpStream& stream, const TcpStream& peer,
                                     const Segment& segment) {
  const uint64_t acked = peer.offset_of(segment.acknowledgment);
  const bool exact = acknowledges_exactly(peer, segment);
  const bool near = acked + kHandshakeReach >= peer.head &&
                    acked <= std::max(peer.known_end(), peer.acked) + kHandshakeReach;
  if ((segment.flags & kTcpAck) == 0 || !near) return false;
  const uint32_t next = segment.sequence + segment.payload_wire_size;
  if (stream.stray_count > 0 && stream.stray_next - next <= kStrayRepeatMax) return false;
  stream.stray_count = static_cast<uint8_t>(
      stream.stray_count > 0 && segment.sequence == stream.stray_next ? stream.stray_count + 1 : 1);
  stream.stray_next = next;
  if (stream.stray_count < (exact ? kStrayAgreement : kStrayAgreementUnsure)) return false;
  stream.stray_count = 0;
  return true;
}

// ---------------------------------------------------------------- acknowledgments

// The segment's acknowledgment as an offset of the peer's stream, or 0 when it is not plausible
// (RFC 9293 section 3.10.7.4: an acknowledgment of bytes never sent is ignored). It is evidence
// only when the segment itself, at `offset` of its stream, fits.
uint64_t Reassembler::take_acknowledgment(TcpStream& peer, TcpStream& stream,
                                          const Segment& segment, uint64_t offset) {
  if ((segment.flags & kTcpAck) == 0 || (segment.flags & kTcpRst) != 0) return 0;
  if (!peer.seen) [[unlikely]]
    return take_hint(peer, stream, segment, offset);
  const uint64_t acked = peer.offset_of(segment.acknowledgment);
  if (acked + peer.reach() < peer.head ||
      acked > std::max(peer.window_limit(), peer.contiguous_end() + kWindowMin)) [[unlikely]] {
    return 0;
  }
  if (offset != stream.head && !fits(stream, offset)) [[unlikely]]
    return acked;
  take_window(peer, stream, segment);
  if (acked > peer.acked) {
    peer.acked = acked;
    if (peer.hole_since_ns != 0 && peer.advancing_acks < UINT8_MAX) peer.advancing_acks++;
    // A side that acknowledges something new is alive, and so is the side that sent it.
    if (stream.reset) [[unlikely]]
      drop_reset(stream);
    if (peer.reset && acked > peer.fin_offset) [[unlikely]]
      drop_claim(peer);
  } else if (peer.hole_since_ns != 0) {
    if (acked == peer.acked) {
      // Another copy of the same frame repeats nothing.
      const bool may_be_copy = segment.payload_wire_size == 0 && (segment.flags & kTcpFin) == 0 &&
                               segment.clock_ns - peer.hole_since_ns <= kDuplicateFrameNs;
      if (!may_be_copy) peer.ack_repeated = true;
    } else if (offset >= stream.head && peer.acked > peer.known_end() &&
               acked <= peer.known_end()) {
      // The receiver knows nothing of the bytes that one segment claimed it had.
      peer.acked = acked;
      peer.hole_since_ns = 0;
    }
  }
  return acked;
}

// The same for a peer that was not seen. In a handshake the acknowledgment names the first byte of
// a stream whose own SYN was lost. Elsewhere it is only a place to count from, and moves with the
// segments.
uint64_t Reassembler::take_hint(TcpStream& peer, const TcpStream& stream, const Segment& segment,
                                uint64_t offset) {
  const bool in_place = offset == stream.head || fits(stream, offset);
  if (!in_place) return 0;
  take_window(peer, stream, segment);
  if (!peer.hinted) {
    peer.set_origin(segment.acknowledgment);
    peer.hinted = true;
    peer.hint_is_start = stream.syn_seen && ((segment.flags & kTcpSyn) != 0 ||
                                             stream.offset_of(segment.sequence) == kStreamOrigin);
  }
  const uint64_t acked = peer.offset_of(segment.acknowledgment);
  if (acked + kWindowMin < peer.head) return 0;
  if (peer.reset && acked > peer.fin_offset) drop_claim(peer);
  peer.acked = std::max(peer.acked, acked);
  if (!peer.hint_is_start && peer.fin_offset == kNoOffset) peer.head = peer.expected();
  return acked;
}

// A keep-alive probe repeats the last byte before the next one (RFC 9293 section 3.8.4), often as
// an octet of garbage. It was acknowledged before, so it is no byte of the stream, not even where
// the real one is missing. However, a tap may see a single byte just after its acknowledgment, even
// while bytes before it are missing. If those never come, the byte is lost with them (skip_hole).
bool Reassembler::is_probe(const TcpStream& stream, const Segment& segment, uint64_t offset) const {
  if (segment.payload_wire_size != 1 || offset + 1 != stream.acked) return false;
  if (offset != stream.head && offset == stream.contiguous_end()) return false;
  const bool just_late = offset >= stream.head && stream.hole_since_ns != 0 &&
                         segment.clock_ns - stream.hole_since_ns < settings_.acked_wait_ns;
  return !just_late;
}

// ---------------------------------------------------------------- ends

void Reassembler::take_fin(TcpStream& stream, uint64_t end) {
  if (stream.end_is_sure() || end < stream.head || end > stream.window_limit()) return;
  // Bytes after it are here.
  if (stream.has_waiting() && stream.reorder->end() > end) return;
  if (stream.fin_offset == kNoOffset) [[likely]] {
    stream.fin_offset = end;
    return;
  }
  if (stream.fin_offset == end && !stream.reset) {
    stream.end_guessed = false;
    return;
  }
  const bool reset_behind = stream.reset && stream.fin_offset >= end;
  drop_claim(stream);
  stream.fin_offset = end;
  stream.reset_behind_fin = reset_behind;
}

// A RST counts where the next byte is expected, or at the last acknowledgment (RFC 5961 section 3;
// a host without the socket answers with the number that it received). Ahead of that, in the
// window, it waits for the bytes before it, for which there is no other evidence. Returns whether
// it fits.
bool Reassembler::take_rst(TcpStream& stream, uint64_t offset) {
  const uint64_t end = stream.known_end();
  const bool at_ack = stream.acked != 0 && offset == stream.acked;
  const bool behind_fin = stream.ended && !stream.reset &&
                          (offset == stream.fin_offset || offset == stream.fin_offset + 1);
  const bool exact = offset == stream.head || offset == end || at_ack || behind_fin;
  if (!exact && (offset < end || offset > stream.window_limit())) return false;
  if (stream.ended) {
    if (!exact) return false;
    // The FIN was reached before; now nothing of the other side is wanted either.
    if (stream.end_reported && !stream.reset) stream.reset = true;
    if (!stream.reset) stream.reset_behind_fin = true;
    return true;
  }
  if (at_ack && offset > stream.head) stream.ack_repeated = true;
  if (stream.fin_offset == kNoOffset || (stream.reset && exact)) {
    stream.fin_offset =
        std::max(offset, stream.has_waiting() ? stream.reorder->end() : stream.head);
    stream.reset = true;
  } else if (!stream.reset && offset >= stream.fin_offset) {
    stream.reset_behind_fin = true;
  }
  return exact;
}

// Nothing of the claim remains: the stream goes on.
void Reassembler::drop_claim(TcpStream& stream) {
  stream.fin_offset = kNoOffset;
  stream.ended = stream.end_reported = stream.end_guessed = false;
  stream.reset = stream.reset_behind_fin = false;
}

// Whoever sent a RST is alive. A FIN that it followed remains.
void Reassembler::drop_reset(TcpStream& stream) {
  if (stream.end_reported && !stream.end_guessed && stream.head > stream.fin_offset) {
    stream.reset = false;
  } else {
    drop_claim(stream);
  }
}

}  // namespace tcp_sniffer
