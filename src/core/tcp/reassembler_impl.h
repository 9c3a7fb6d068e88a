#pragma once

// Reassembler: segments, bytes and their delivery. Included by core/tcp/reassembler.h only.

#include "core/tcp/reassembler.h"

namespace tcp_sniffer {

inline void Reassembler::take_window(TcpStream& peer, const TcpStream& stream,
                                     const Segment& segment) {
  const bool scaled = stream.window_scale != kNoWindowScale &&
                      peer.window_scale != kNoWindowScale && (segment.flags & kTcpSyn) == 0;
  peer.window = static_cast<uint32_t>(segment.window)
                << (scaled ? std::min<uint8_t>(stream.window_scale, 14) : 0);
}

template <StreamProtocol P>
inline bool Reassembler::on_segment(TcpStreams& streams, P& protocol, const Segment& segment) {
  constexpr uint8_t kRead = kTcpSyn | kTcpFin | kTcpRst | kTcpAck;
  TcpStream& stream = at(streams, segment.side);
  TcpStream& peer = at(streams, other(segment.side));
  return (segment.flags & kRead) == kTcpAck
             ? take_ordinary(streams, stream, peer, protocol, segment)
             : take_other(streams, stream, peer, protocol, segment);
}

// A segment that goes on where its stream stands while in both directions nothing is missing, waits
// or ends: nearly all of a connection that moves data. Others are passed on.
template <StreamProtocol P>
[[gnu::noinline]] bool Reassembler::take_ordinary(TcpStreams& streams, TcpStream& stream,
                                                  TcpStream& peer, P& protocol,
                                                  const Segment& segment) {
  const uint64_t acknowledged = peer.offset_of(segment.acknowledgment);
  if (!stream.is_anchored() || !peer.seen || segment.sequence != stream.sequence_of(stream.head) ||
      peer.head - acknowledged > peer.reach() ||
      segment.payload_size != segment.payload_wire_size || !stream.is_plain() || !peer.is_plain())
      [[unlikely]] {
    return take_other(streams, stream, peer, protocol, segment);
  }
  take_window(peer, stream, segment);
  if (acknowledged > peer.acked) peer.acked = acknowledged;
  if (segment.payload_size > 0 && !consume_plain(streams, protocol, segment, acknowledged))
      [[unlikely]] {
    settle(streams, protocol, segment.clock_ns);
  }
  return true;
}

// Any other segment.
template <StreamProtocol P>
[[gnu::noinline]] bool Reassembler::take_other(TcpStreams& streams, TcpStream& stream,
                                               TcpStream& peer, P& protocol,
                                               const Segment& segment) {
  const bool syn = (segment.flags & kTcpSyn) != 0;
  // After a stream's SYN only another SYN can change where it begins.
  if (syn || !stream.is_anchored()) {
    const bool seemed_midstream = stream.seems_midstream();
    const Place found = place(stream, peer, segment);
    if (syn && seemed_midstream && stream.offset_of(segment.sequence + 1) == stream.head) {
      protocol.on_beginning(segment.side);
    }
    if (syn && (segment.flags & kTcpAck) != 0 && peer.seems_midstream() &&
        peer.offset_of(segment.acknowledgment) == peer.head) {
      protocol.on_beginning(other(segment.side));
    }
    if (found == Place::kNowhere) {
      counters_.add(ShardCounter::out_of_window, segment.payload_size);
      return false;
    }
    if (found == Place::kMidstream) protocol.on_midstream(segment.side);
  }
  const uint64_t offset = stream.offset_of(segment.sequence + (syn ? 1 : 0));
  const uint64_t acknowledged = take_acknowledgment(peer, stream, segment, offset);
  if ((segment.flags & (kTcpFin | kTcpRst)) == 0 && stream.is_plain() && peer.is_plain()) {
    const bool is_next = offset == stream.head && !syn;
    if (segment.payload_wire_size == 0) {
      return is_next || (acknowledged != 0 && fits(stream, offset));
    }
    if (is_next && segment.payload_size == segment.payload_wire_size && !may_be_late(peer)) {
      if (!consume_plain(streams, protocol, segment, acknowledged)) {
        settle(streams, protocol, segment.clock_ns);
      }
      return true;
    }
  }
  // Sent before the bytes that are held back until the connection goes on.
  if (stream.refused && stream.seems_midstream() && offset == stream.head &&
      segment.payload_wire_size == 0 && (segment.flags & (kTcpSyn | kTcpFin | kTcpRst)) == 0) {
    return true;
  }
  const bool believed =
      take_segment(streams, stream, peer, protocol, segment, offset, acknowledged);
  settle(streams, protocol, segment.clock_ns);
  return believed;
}

// All but the ordinary. Returns whether the segment fits.
template <StreamProtocol P>
[[gnu::always_inline]] inline bool Reassembler::take_segment(TcpStreams& streams, TcpStream& stream,
                                                             TcpStream& peer, P& protocol,
                                                             const Segment& segment,
                                                             uint64_t offset,
                                                             uint64_t acknowledged) {
  if (stream.ended || peer.ended) settle_ends(streams, protocol);
  // What was held back until the connection's next segment was sent before this one.
  if (peer.refused && !peer.delivered && !peer.syn_seen && !peer.hint_is_start) {
    pump(streams, protocol, segment.clock_ns);
  }
  if ((segment.flags & kTcpRst) != 0) {
    counters_.add(ShardCounter::out_of_window, segment.payload_size);
    const bool exact = take_rst(stream, offset);
    if (exact) give_up_cut(stream, protocol, segment.side);
    return exact;
  }
  const bool syn = (segment.flags & kTcpSyn) != 0;
  const bool fin = (segment.flags & kTcpFin) != 0;
  const uint64_t end = offset + segment.payload_wire_size;
  const bool believed = syn || acknowledged != 0 || believes(stream, peer, segment, offset);
  if (end == offset && !fin) {
    if (acknowledged == 0 || !fits(stream, offset)) return false;
    // The sender has got as far as the peer acknowledged.
    if (stream.acked > stream.head && offset >= stream.acked) stream.ack_repeated = true;
    return true;
  }
  if (end > offset && !syn && is_probe(stream, segment, offset)) {
    counters_.add(ShardCounter::duplicate, segment.payload_size);
    return true;
  }
  if (!believed && end > stream.head) {
    counters_.add(ShardCounter::out_of_window, segment.payload_size);
    return false;
  }
  if (stream.fin_offset != kNoOffset && !stream.end_is_sure() && offset <= stream.window_limit() &&
      (end > offset || stream.end_guessed) && end > stream.fin_offset) {
    take_back_end(stream, protocol, segment.side, offset);
  }
  if (fin) {
    if (stream.acked > stream.head && offset >= stream.acked) stream.ack_repeated = true;
    take_fin(stream, end);
  }
  if (stream.cut && (fin || offset > stream.head)) give_up_cut(stream, protocol, segment.side);
  if (peer.cut && acknowledged > peer.head) give_up_cut(peer, protocol, other(segment.side));
  if (end > offset) add_payload(streams, protocol, segment, offset, acknowledged);
  return true;
}

// Delivers and gives up what the segment just taken allows.
template <StreamProtocol P>
[[gnu::noinline]] void Reassembler::settle(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  pump(streams, protocol, clock_ns);
  while (timed(streams) && give_up_by_evidence(streams, protocol, clock_ns) != 0) {
    pump(streams, protocol, clock_ns);
  }
}

// The next bytes of a stream beside which nothing is missing or waiting. False when the protocol
// has not taken them all and the rest waits.
template <StreamProtocol P>
bool Reassembler::consume_plain(TcpStreams& streams, P& protocol, const Segment& segment,
                                uint64_t acknowledged) {
  TcpStream& stream = at(streams, segment.side);
  stream.stray_count = 0;
  Bytes bytes{stream.head,
              {segment.payload, segment.payload_size},
              0,
              {segment.time_ns, segment.frame, acknowledged}};
  const uint32_t taken =
      protocol.try_consume(segment.side, bytes.offset, bytes.data, bytes.meta, false);
  stream.head += taken;
  if (taken > 0) stream.delivered = true;
  if (taken == segment.payload_size) [[likely]]
    return true;
  stream.refused = true;
  bytes.advance(taken);
  buffer_bytes(streams, protocol, segment.side, bytes, segment.clock_ns);
  return false;
}

template <StreamProtocol P>
void Reassembler::add_payload(TcpStreams& streams, P& protocol, const Segment& segment,
                              uint64_t offset, uint64_t acknowledged) {
  TcpStream& stream = at(streams, segment.side);
  // Bytes that wait for a late direction do not narrow the window.
  if (offset > stream.window_limit() &&
      (settings_.late_wait_ns == 0 || offset > stream.contiguous_end() + stream.reach())) {
    if (!take_stray(streams, protocol, segment, offset)) {
      counters_.add(ShardCounter::out_of_window, segment.payload_size);
      return;
    }
  } else {
    stream.stray_count = 0;
  }
  Bytes bytes{offset,
              {segment.payload, segment.payload_size},
              segment.payload_wire_size - segment.payload_size,
              {segment.time_ns, segment.frame, acknowledged}};
  // If they are needed after all, they are treated as if the snaplen had cut them off.
  if (segment.withheld &&
      pass_over(stream, protocol, segment.side, offset, segment.payload_wire_size, bytes.meta)) {
    counters_.add(ShardCounter::captured, bytes.lost);
    return;
  }
  cut_to_stream(stream, bytes);
  if (bytes.empty()) return;
  if (stream.has_waiting()) [[unlikely]]
    stream.reorder->replace_octets(bytes.offset, bytes.data, bytes.meta);
  const TcpStream& peer = at(streams, other(segment.side));
  if (bytes.offset == stream.head &&
      !(stream.has_waiting() && stream.reorder->front() == bytes.offset) &&
      !must_wait(peer, acknowledged)) {
    deliver_now(stream, protocol, segment.side, bytes, false);
    if (bytes.empty()) return;
  } else if (bytes.lost == 0 && pass_over(stream, protocol, segment.side, bytes.offset,
                                          bytes.data.size(), bytes.meta)) {
    // They would have waited for the peer. Taken now, withheld ones after them are at the head,
    // too.
    return;
  }
  buffer_bytes(streams, protocol, segment.side, bytes, segment.clock_ns);
}

// Bytes at the head that are here and that the protocol need not look at. False: nothing was taken.
template <StreamProtocol P>
bool Reassembler::pass_over(TcpStream& stream, P& protocol, Side side, uint64_t offset,
                            uint64_t size, const SegmentMeta& meta) {
  if (offset != stream.head || stream.has_waiting() || stream.ended) return false;
  if (!protocol.pass_over(side, size, meta)) return false;
  stream.head += size;
  stream.delivered = true;
  stream.refused = false;
  return true;
}

// Delivers bytes at the head straight from the packet, up to those that wait. What the protocol
// refuses, and what is after the waiting ones, is left in `bytes`.
template <StreamProtocol P>
void Reassembler::deliver_now(TcpStream& stream, P& protocol, Side side, Bytes& bytes, bool force) {
  const uint64_t room = stream.has_waiting() ? stream.reorder->front() - bytes.offset : kNoOffset;
  const auto size = static_cast<size_t>(std::min<uint64_t>(bytes.data.size(), room));
  if (size > 0) {
    const uint32_t taken =
        protocol.try_consume(side, bytes.offset, bytes.data.first(size), bytes.meta, force);
    if (taken > 0) stream.delivered = true;
    stream.head += taken;
    bytes.advance(taken);
    stream.refused = taken < size;
    if (stream.refused) return;
  }
  if (!bytes.data.empty() || bytes.lost == 0) return;
  const uint64_t cut_off = std::min(bytes.lost, room - size);
  if (cut_off == 0) return;
  if (cut_off < room - size && !force) {
    keep_cut(stream, cut_off);
  } else {
    skip(stream, protocol, side, stream.head + cut_off, GapCause::kSnaplen);
  }
  bytes.advance(cut_off);
}

// A segment beyond the window. One alone proves nothing; kStrayAgreement that continue each other
// mean that the stream has moved on without us.
template <StreamProtocol P>
bool Reassembler::take_stray(TcpStreams& streams, P& protocol, const Segment& segment,
                             uint64_t offset) {
  TcpStream& stream = at(streams, segment.side);
  if (stream.end_is_sure() ||
      !agrees_with_strays(stream, at(streams, other(segment.side)), segment))
    return false;
  drop_claim(stream);
  give_up_cut(stream, protocol, segment.side);
  while (stream.has_waiting()) {
    if (stream.hole_before_waiting()) {
      skip_hole(stream, protocol, segment.side, stream.reorder->front());
    }
    deliver(streams, protocol, segment.side, Insist::kOnAll);
  }
  if (offset > stream.head) skip(stream, protocol, segment.side, offset, GapCause::kLost);
  return true;
}

template <StreamProtocol P>
void Reassembler::buffer_bytes(TcpStreams& streams, P& protocol, Side side, Bytes bytes,
                               int64_t clock_ns) {
  TcpStream& stream = at(streams, side);
  for (;;) {
    if (ReorderBuffer* reorder = reorder_of(stream)) {
      const ReorderBuffer::Result result = reorder->insert(
          bytes.offset, bytes.data, bytes.lost, stream.head, bytes.meta, settings_.buffer_max);
      counters_.add(ShardCounter::rotations, result.rotated);
      if (!result.full) {
        counters_.add(ShardCounter::buffered, result.accepted);
        counters_.add(ShardCounter::duplicate, result.duplicate);
        counters_.add(ShardCounter::conflicting, result.conflicting);
        return;
      }
    }
    if (give_up_for_room(streams, protocol, side, bytes)) {
      pump(streams, protocol, clock_ns);
    } else {
      // These bytes are the next to deliver, and there is no memory for them.
      deliver_now(stream, protocol, side, bytes, true);
    }
    // The head has moved, perhaps into or beyond this segment.
    cut_to_stream(stream, bytes);
    if (bytes.empty()) break;
  }
  if (stream.reorder != nullptr && stream.reorder->empty()) release_buffer(stream);
}

// Delivers what is at the head of one stream. True when the head moved.
template <StreamProtocol P>
bool Reassembler::deliver(TcpStreams& streams, P& protocol, Side side, Insist insist) {
  TcpStream& stream = at(streams, side);
  const TcpStream& peer = at(streams, other(side));
  const uint64_t before = stream.head;
  while (stream.has_waiting() && stream.reorder->front() == stream.head) {
    const ReorderBuffer::Run run = stream.reorder->front_run();
    // What the peer was refused before this side moved is offered again before its answer.
    const bool peer_is_next =
        stream.head != before && peer.refused && run.meta.acknowledged > peer.head;
    if (insist == Insist::kNo && (peer_is_next || must_wait(peer, run.meta.acknowledged))) break;
    if (run.lost) {
      stream.reorder->consume(run.size);
      if (!stream.has_waiting() && !closing_) {
        keep_cut(stream, run.size);
        break;
      }
      skip(stream, protocol, side, stream.head + run.size, GapCause::kSnaplen);
      continue;
    }
    const bool force = insist == Insist::kOnAll;
    const uint32_t taken =
        protocol.try_consume(side, stream.head, {run.data, run.size}, run.meta, force);
    if (taken > 0) stream.delivered = true;
    stream.reorder->consume(taken);
    stream.head += taken;
    counters_.subtract(ShardCounter::buffered, taken);
    stream.refused = taken < run.size;
    if (stream.refused) break;
    insist = Insist::kNo;
  }
  if (stream.reorder != nullptr && stream.reorder->empty()) release_buffer(stream);
  return stream.head != before;
}

// Delivers both directions as far as they go, each unblocking the other.
template <StreamProtocol P>
void Reassembler::pump(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  if (streams[0].reorder == nullptr && streams[1].reorder == nullptr) [[likely]] {
    reach_end(streams, protocol, Side::kLow);
    reach_end(streams, protocol, Side::kHigh);
  } else {
    pump_waiting(streams, protocol);
  }
  if (!streams[0].is_untimed(streams[1])) time_hole(streams[0], streams[1], clock_ns);
  if (!streams[1].is_untimed(streams[0])) time_hole(streams[1], streams[0], clock_ns);
}

template <StreamProtocol P>
[[gnu::noinline]] void Reassembler::pump_waiting(TcpStreams& streams, P& protocol) {
  constexpr std::array kSides = {Side::kLow, Side::kHigh};
  const auto waits = [&](size_t side) { return streams[side].reorder != nullptr; };
  bool moved = true;
  while (moved) {
    moved = false;
    for (const Side side : kSides) {
      if (at(streams, side).reorder != nullptr)
        moved |= deliver(streams, protocol, side, Insist::kNo);
      moved |= reach_end(streams, protocol, side);
    }
    if (!waits(0) && !waits(1)) break;
    if (!moved && waits(0) && waits(1)) moved = break_mutual_wait(streams, protocol);
  }
}

// Each direction waits for bytes of the other that are here: a retransmission carries a newer
// acknowledgment than its bytes had. The one captured first goes first; when the protocol refuses
// it, the other one does.
template <StreamProtocol P>
bool Reassembler::break_mutual_wait(TcpStreams& streams, P& protocol) {
  for (const TcpStream& stream : streams) {
    if (!stream.has_waiting() || stream.reorder->front() != stream.head || stream.refused) {
      return false;
    }
  }
  const bool high_first =
      streams[1].reorder->front_run().meta.frame < streams[0].reorder->front_run().meta.frame;
  const Side first = high_first ? Side::kHigh : Side::kLow;
  return deliver(streams, protocol, first, Insist::kNotOnPeer) || at(streams, first).refused;
}

}  // namespace tcp_sniffer
