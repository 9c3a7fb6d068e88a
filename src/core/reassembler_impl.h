#pragma once

// The parts of Reassembler that call the protocol. Included by core/reassembler.h only.

#include "core/reassembler.h"

namespace tcp_sniffer {

template <StreamProtocol P>
void Reassembler::on_segment(TcpStreams& streams, P& protocol, const Segment& segment) {
  TcpStream& stream = at(streams, segment.side);
  TcpStream& peer = at(streams, other(segment.side));
  const bool syn = (segment.flags & kTcpSyn) != 0;
  if (!stream.delivered || syn) set_origin(stream, segment);
  uint64_t acknowledged = 0;
  take_acknowledgment(peer, stream, segment, acknowledged);

  const uint64_t offset = stream.offset_of(segment.sequence + (syn ? 1 : 0));
  const uint64_t end = offset + segment.payload_wire_size;
  if ((segment.flags & (kTcpSyn | kTcpFin | kTcpRst)) == 0 && stream.is_plain() && peer.is_plain())
      [[likely]] {
    if (end == offset) return;
    if (offset == stream.head && segment.payload_size == segment.payload_wire_size) {
      if (!consume_plain(streams, protocol, segment, acknowledged)) {
        settle(streams, protocol, segment.clock_ns);
      }
      return;
    }
  }
  if ((segment.flags & kTcpRst) != 0) {
    take_rst(stream, offset);
    counters_.add(ShardCounter::out_of_window, segment.payload_size);
  } else {
    if (stream.reset && !stream.ended && end > stream.fin_offset) {
      stream.reset = false;
      stream.fin_offset = kNoOffset;
    }
    if ((segment.flags & kTcpFin) != 0) take_fin(stream, end);
    if (end > offset) add_payload(streams, protocol, segment, offset, acknowledged);
  }
  settle(streams, protocol, segment.clock_ns);
}

// Delivers and gives up what the segment just taken allows.
template <StreamProtocol P>
void Reassembler::settle(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  pump(streams, protocol, clock_ns);
  while (give_up_by_evidence(streams, protocol, clock_ns) != 0) pump(streams, protocol, clock_ns);
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
  if (offset > stream.window_limit()) {
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
  cut_to_stream(stream, bytes);
  if (bytes.empty()) return;
  const TcpStream& peer = at(streams, other(segment.side));
  if (bytes.offset == stream.head &&
      !(stream.has_waiting() && stream.reorder->front() == bytes.offset) &&
      !must_wait(peer, acknowledged)) {
    deliver_now(stream, protocol, segment.side, bytes, false);
    if (bytes.empty()) return;
  }
  buffer_bytes(streams, protocol, segment.side, bytes, segment.clock_ns);
}

// Delivers bytes that stand at the head straight from the packet, up to those that wait. What the
// protocol refuses, and what lies behind the waiting ones, is left in `bytes`.
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
  skip(stream, protocol, side, stream.head + cut_off, GapCause::kSnaplen);
  bytes.advance(cut_off);
}

// A segment beyond the window. One says nothing; kStrayAgreement that continue each other mean
// that the stream has moved on without us. One that repeats what the last ones brought (every frame
// is captured twice) says nothing either.
template <StreamProtocol P>
bool Reassembler::take_stray(TcpStreams& streams, P& protocol, const Segment& segment,
                             uint64_t offset) {
  TcpStream& stream = at(streams, segment.side);
  if (stream.fin_offset != kNoOffset) return false;
  const uint32_t next = segment.sequence + segment.payload_wire_size;
  if (stream.stray_count > 0 && stream.stray_next - next <= kStrayRepeatMax) return false;
  stream.stray_count = static_cast<uint8_t>(
      stream.stray_count > 0 && segment.sequence == stream.stray_next ? stream.stray_count + 1 : 1);
  stream.stray_next = next;
  if (stream.stray_count < kStrayAgreement) return false;
  stream.stray_count = 0;
  while (stream.has_waiting()) {
    if (stream.hole_before_waiting()) {
      skip(stream, protocol, segment.side, stream.reorder->front(), GapCause::kLost);
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

// Delivers what lies at the head of one stream. True when the head moved.
template <StreamProtocol P>
bool Reassembler::deliver(TcpStreams& streams, P& protocol, Side side, Insist insist) {
  TcpStream& stream = at(streams, side);
  const TcpStream& peer = at(streams, other(side));
  const uint64_t before = stream.head;
  while (stream.has_waiting() && stream.reorder->front() == stream.head &&
         stream.head < stream.fin_offset) {
    ReorderBuffer::Run run = stream.reorder->front_run();
    run.size = static_cast<uint32_t>(std::min<uint64_t>(run.size, stream.fin_offset - stream.head));
    if (insist == Insist::kNo && must_wait(peer, run.meta.acknowledged)) break;
    if (run.lost) {
      stream.reorder->consume(run.size);
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

template <StreamProtocol P>
bool Reassembler::reach_end(TcpStream& stream, P& protocol, Side side) {
  if (stream.ended || stream.head < stream.fin_offset) return false;
  // Bytes behind the FIN were never part of the stream.
  if (stream.reorder != nullptr) {
    counters_.add(ShardCounter::out_of_window, stream.reorder->buffered_bytes());
    counters_.subtract(ShardCounter::buffered, stream.reorder->buffered_bytes());
    release_buffer(stream);
  }
  stream.ended = true;
  stream.delivered = true;
  stream.head = stream.fin_offset + (stream.reset ? 0 : 1);
  stream.hole_since_ns = 0;
  protocol.on_end(side);
  stream.reset |= stream.reset_behind_fin;
  return true;
}

// Delivers both directions as far as they go, each unblocking the other.
template <StreamProtocol P>
void Reassembler::pump(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  constexpr std::array kSides = {Side::kLow, Side::kHigh};
  bool moved = true;
  while (moved) {
    moved = false;
    for (const Side side : kSides) {
      if (at(streams, side).reorder != nullptr)
        moved |= deliver(streams, protocol, side, Insist::kNo);
      moved |= reach_end(at(streams, side), protocol, side);
    }
    if (!moved && streams[0].reorder != nullptr && streams[1].reorder != nullptr) {
      moved = break_mutual_wait(streams, protocol);
    }
  }
  time_hole(streams[0], streams[1], clock_ns);
  time_hole(streams[1], streams[0], clock_ns);
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

// The bytes up to `to` are missing for good.
template <StreamProtocol P>
void Reassembler::skip(TcpStream& stream, P& protocol, Side side, uint64_t to, GapCause cause) {
  const uint64_t length = to - stream.head;
  if (length == 0) return;
  counters_.add(ShardCounter::gaps);
  counters_.add(ShardCounter::missing, length);
  stream.gap_end = to;
  stream.gap_size = static_cast<uint32_t>(std::min<uint64_t>(length, UINT32_MAX));
  const uint64_t from = stream.head;
  stream.head = to;
  stream.delivered = true;
  stream.refused = false;
  protocol.on_gap(side, from, length, cause);
}

// Gives up [head, to). One acknowledged byte with nothing behind it, between messages, is a FIN
// that was lost.
template <StreamProtocol P>
void Reassembler::give_up(TcpStream& stream, P& protocol, Side side, uint64_t to) {
  if (to == stream.head + 1 && !stream.has_waiting() && stream.fin_offset == kNoOffset &&
      !protocol.in_message(side)) {
    stream.fin_offset = stream.head;
  } else {
    skip(stream, protocol, side, to, GapCause::kLost);
  }
}

// Gives up at most one hole. Returns when its timer ran out, 0 when none did.
template <StreamProtocol P>
int64_t Reassembler::give_up_by_evidence(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  for (size_t i = 0; i < 2; i++) {
    TcpStream& stream = streams[i];
    if (stream.hole_since_ns == 0) continue;
    const TcpStream& peer = streams[1 - i];
    const bool proven = peer.seen && stream.advancing_acks >= kGapAcksMin;
    const int64_t deadline_ns =
        stream.hole_since_ns + (proven ? kGapAckedWaitNs : wait_max_ns(peer));
    if (clock_ns < deadline_ns) continue;
    uint64_t to = stream.hole_before_waiting() ? stream.reorder->front() : stream.acked;
    if (peer.seen) to = std::min(to, stream.acked);
    to = std::min(to, stream.fin_offset);
    if (to > stream.head) {
      give_up(stream, protocol, static_cast<Side>(i), to);
    } else {
      stream.hole_since_ns = 0;
    }
    return deadline_ns;
  }
  return 0;
}

// The buffer of `side` or the shard's memory is full: gives up what keeps its bytes waiting.
// `in_hand` found no room. False when those are the next to deliver, or nothing waits.
template <StreamProtocol P>
bool Reassembler::give_up_for_room(TcpStreams& streams, P& protocol, Side side,
                                   const Bytes& in_hand) {
  TcpStream& stream = at(streams, side);
  if (!stream.has_waiting() && in_hand.empty()) return false;
  const uint64_t waiting = stream.has_waiting() ? stream.reorder->front() : kNoOffset;
  const uint64_t first = std::min(waiting, in_hand.offset);
  if (first > stream.head) {
    skip(stream, protocol, side, std::min(first, stream.fin_offset), GapCause::kLost);
    return true;
  }
  const uint64_t acknowledged =
      waiting == first ? stream.reorder->front_run().meta.acknowledged : in_hand.meta.acknowledged;
  TcpStream& peer = at(streams, other(side));
  if (must_wait(peer, acknowledged) && peer.missing() && !stream.refused) {
    uint64_t to = peer.hole_before_waiting() ? peer.reorder->front() : peer.acked;
    to = std::min(to, peer.fin_offset);
    if (to > peer.head) {
      give_up(peer, protocol, other(side), to);
      return true;
    }
  }
  return waiting == first && deliver(streams, protocol, side, Insist::kOnAll);
}

// One step of flush. What the protocol refused waits for the other direction: all that is known of
// that comes before it. Else the oldest captured bytes that still wait decide what is given up.
template <StreamProtocol P>
bool Reassembler::give_up_at_close(TcpStreams& streams, P& protocol) {
  constexpr std::array kSides = {Side::kLow, Side::kHigh};
  for (const Side side : kSides) {
    const TcpStream& peer = at(streams, other(side));
    if (!at(streams, side).refused || peer.refused) continue;
    if (peer.has_waiting()) return give_up_for_room(streams, protocol, other(side), {});
    if (give_up_end(streams, protocol, other(side))) return true;
  }
  const bool low = streams[0].has_waiting();
  const bool high = streams[1].has_waiting();
  if (low || high) {
    const bool high_first = high && (!low || streams[1].reorder->front_run().meta.frame <
                                                 streams[0].reorder->front_run().meta.frame);
    return give_up_for_room(streams, protocol, high_first ? Side::kHigh : Side::kLow, {});
  }
  return give_up_end(streams, protocol, Side::kLow) || give_up_end(streams, protocol, Side::kHigh);
}

// Gives up what is missing at the end of a stream of which nothing waits. A FIN tells where it
// ended, even if nobody acknowledged it.
template <StreamProtocol P>
bool Reassembler::give_up_end(TcpStreams& streams, P& protocol, Side side) {
  TcpStream& stream = at(streams, side);
  const uint64_t to = stream.fin_offset != kNoOffset ? stream.fin_offset : stream.acked;
  if (!stream.seen || stream.ended || to <= stream.head) return false;
  give_up(stream, protocol, side, to);
  return true;
}

template <StreamProtocol P>
void Reassembler::flush(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  pump(streams, protocol, clock_ns);
  while (give_up_at_close(streams, protocol)) pump(streams, protocol, clock_ns);
  streams[0].hole_since_ns = 0;
  streams[1].hole_since_ns = 0;
}

}  // namespace tcp_sniffer
