#pragma once

// The parts of Reassembler that call the protocol. Included by core/reassembler.h only.

#include "core/reassembler.h"

namespace tcp_sniffer {

template <StreamProtocol P>
void Reassembler::on_segment(TcpStreams& streams, P& protocol, const Segment& segment) {
  TcpStream& stream = at(streams, segment.side);
  TcpStream& peer = at(streams, other(segment.side));
  set_origin(stream, segment);
  uint64_t acknowledged = 0;
  take_acknowledgment(peer, stream, segment, acknowledged);

  const uint64_t offset =
      stream.offset_of(segment.sequence + ((segment.flags & kTcpSyn) != 0 ? 1 : 0));
  const uint64_t end = offset + segment.payload_wire_size;
  if ((segment.flags & (kTcpFin | kTcpRst)) != 0 && stream.fin_offset == kNoOffset &&
      end >= stream.head && end <= stream.window_limit()) {
    stream.fin_offset = end;
    stream.reset = (segment.flags & kTcpRst) != 0;
    // Nothing before a RST will be sent again, whatever was acknowledged.
    if (stream.reset) stream.acked = std::max(stream.acked, end);
  }
  if (segment.payload_wire_size > 0) add_payload(streams, protocol, segment, offset, acknowledged);
  pump(streams, protocol, segment.clock_ns);
  while (give_up_by_evidence(streams, protocol, segment.clock_ns)) {
    pump(streams, protocol, segment.clock_ns);
  }
}

template <StreamProtocol P>
void Reassembler::add_payload(TcpStreams& streams, P& protocol, const Segment& segment,
                              uint64_t offset, uint64_t acknowledged) {
  TcpStream& stream = at(streams, segment.side);
  uint64_t lost = segment.payload_wire_size - segment.payload_size;
  std::span<const uint8_t> data(segment.payload, segment.payload_size);
  if (offset > stream.window_limit()) {
    if (!take_stray(streams, protocol, segment, offset)) {
      counters_.add(ShardCounter::out_of_window, data.size());
      return;
    }
    offset = stream.offset_of(segment.sequence);
  } else {
    stream.stray_count = 0;
  }
  if (offset < stream.head) {
    const uint64_t behind = stream.head - offset;
    const uint64_t cut = std::min<uint64_t>(behind, data.size());
    count_late(stream, offset, offset + cut);
    data = data.subspan(static_cast<size_t>(cut));
    lost -= std::min(lost, behind - cut);
    offset = stream.head;
  }
  if (stream.ended || (data.empty() && lost == 0)) {
    counters_.add(ShardCounter::out_of_window, data.size());  // behind the end of the stream
    return;
  }
  const SegmentMeta meta{segment.time_ns, segment.frame, acknowledged};
  const TcpStream& peer = at(streams, other(segment.side));
  if (offset == stream.head && stream.reorder == nullptr && !must_wait(peer, acknowledged)) {
    stream.delivered = true;
    const uint32_t taken =
        data.empty() ? 0 : protocol.try_consume(segment.side, offset, data, meta, false);
    stream.head += taken;
    if (taken == data.size()) {
      if (lost > 0) skip(stream, protocol, segment.side, stream.head + lost, GapCause::kSnaplen);
      return;
    }
    stream.refused = true;
    offset += taken;
    data = data.subspan(taken);
  }
  buffer_bytes(streams, protocol, segment.side, offset, data, lost, meta, segment.clock_ns);
}

// A segment beyond the window. One says nothing; kStrayAgreement that continue each other mean
// that the stream has moved on without us.
template <StreamProtocol P>
bool Reassembler::take_stray(TcpStreams& streams, P& protocol, const Segment& segment,
                             uint64_t offset) {
  TcpStream& stream = at(streams, segment.side);
  const uint32_t next = segment.sequence + segment.payload_wire_size;
  stream.stray_count = static_cast<uint8_t>(
      stream.stray_count > 0 && segment.sequence == stream.stray_next ? stream.stray_count + 1 : 1);
  stream.stray_next = next;
  if (stream.stray_count < kStrayAgreement) return false;
  stream.stray_count = 0;
  while (stream.has_waiting()) {
    if (stream.hole_before_waiting()) {
      skip(stream, protocol, segment.side, stream.reorder->front(), GapCause::kLost);
    }
    deliver(streams, protocol, segment.side, true);
  }
  skip(stream, protocol, segment.side, offset, GapCause::kLost);
  return true;
}

template <StreamProtocol P>
void Reassembler::buffer_bytes(TcpStreams& streams, P& protocol, Side side, uint64_t offset,
                               std::span<const uint8_t> data, uint64_t lost,
                               const SegmentMeta& meta, int64_t clock_ns) {
  TcpStream& stream = at(streams, side);
  for (;;) {
    // What was given up below may have moved the head into or beyond this segment.
    if (offset < stream.head) {
      const uint64_t cut = std::min<uint64_t>(stream.head - offset, data.size());
      count_late(stream, offset, offset + cut);
      data = data.subspan(static_cast<size_t>(cut));
      lost -= std::min(lost, stream.head - offset - cut);
      offset = stream.head;
      if (data.empty() && lost == 0) return;
    }
    if (ReorderBuffer* reorder = reorder_of(stream)) {
      const ReorderBuffer::Result result =
          reorder->insert(offset, data, lost, stream.head, meta, settings_.buffer_max);
      counters_.add(ShardCounter::rotations, result.rotated);
      if (!result.full) {
        counters_.add(ShardCounter::buffered, result.accepted);
        counters_.add(ShardCounter::duplicate, result.duplicate);
        counters_.add(ShardCounter::conflicting, result.conflicting);
        return;
      }
    }
    if (give_up_for_room(streams, protocol, side)) {
      pump(streams, protocol, clock_ns);
      continue;
    }
    // Nothing is buffered and there is no memory for this segment: it is delivered at once.
    if (offset > stream.head) skip(stream, protocol, side, offset, GapCause::kLost);
    stream.delivered = true;
    if (!data.empty()) protocol.try_consume(side, offset, data, meta, true);
    stream.head += data.size();
    stream.refused = false;
    if (lost > 0) skip(stream, protocol, side, stream.head + lost, GapCause::kSnaplen);
    return;
  }
}

// Delivers what lies at the head of one stream. True when the head moved.
template <StreamProtocol P>
bool Reassembler::deliver(TcpStreams& streams, P& protocol, Side side, bool force) {
  TcpStream& stream = at(streams, side);
  const TcpStream& peer = at(streams, other(side));
  const uint64_t before = stream.head;
  while (stream.has_waiting() && stream.reorder->front() == stream.head) {
    const ReorderBuffer::Run run = stream.reorder->front_run();
    if (!force && must_wait(peer, run.meta.acknowledged)) break;
    stream.delivered = true;
    if (run.lost) {
      stream.reorder->consume(run.size);
      skip(stream, protocol, side, stream.head + run.size, GapCause::kSnaplen);
      continue;
    }
    const uint32_t taken =
        protocol.try_consume(side, stream.head, {run.data, run.size}, run.meta, force);
    stream.reorder->consume(taken);
    stream.head += taken;
    counters_.subtract(ShardCounter::buffered, taken);
    stream.refused = taken < run.size;
    if (stream.refused) break;
    force = false;
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
  stream.head = stream.fin_offset + (stream.reset ? 0 : 1);
  stream.hole_since_ns = 0;
  protocol.on_end(side);
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
      if (at(streams, side).reorder != nullptr) moved |= deliver(streams, protocol, side, false);
      moved |= reach_end(at(streams, side), protocol, side);
    }
    if (!moved) moved = break_mutual_wait(streams, protocol);
  }
  time_hole(streams[0], streams[1], clock_ns);
  time_hole(streams[1], streams[0], clock_ns);
}

// Each direction waits for bytes of the other that are here: a retransmission carries a newer
// acknowledgment than its bytes had. The one captured first goes first.
template <StreamProtocol P>
bool Reassembler::break_mutual_wait(TcpStreams& streams, P& protocol) {
  for (const TcpStream& stream : streams) {
    if (!stream.has_waiting() || stream.reorder->front() != stream.head || stream.refused) {
      return false;
    }
  }
  const bool high_first =
      streams[1].reorder->front_run().meta.frame < streams[0].reorder->front_run().meta.frame;
  return deliver(streams, protocol, high_first ? Side::kHigh : Side::kLow, true);
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

template <StreamProtocol P>
bool Reassembler::give_up_by_evidence(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  for (size_t i = 0; i < 2; i++) {
    TcpStream& stream = streams[i];
    if (stream.hole_since_ns == 0) continue;
    const TcpStream& peer = streams[1 - i];
    const int64_t waited = clock_ns - stream.hole_since_ns;
    const bool enough =
        peer.seen && stream.advancing_acks >= kGapAcksMin && waited >= kGapAckedWaitNs;
    if (!enough && waited < wait_max_ns(peer)) continue;
    uint64_t to = stream.hole_before_waiting() ? stream.reorder->front() : stream.acked;
    if (peer.seen) to = std::min(to, stream.acked);
    to = std::min(to, stream.fin_offset);
    const Side side = static_cast<Side>(i);
    if (to <= stream.head) {
      stream.hole_since_ns = 0;
    } else if (to == stream.head + 1 && !stream.has_waiting() && !protocol.in_message(side)) {
      // One acknowledged byte with nothing behind it, between messages: a FIN that was lost.
      stream.fin_offset = stream.head;
    } else {
      skip(stream, protocol, side, to, GapCause::kLost);
    }
    return true;
  }
  return false;
}

// The buffer of `side` or the shard's memory is full: gives up what keeps its bytes waiting.
// False when nothing waits.
template <StreamProtocol P>
bool Reassembler::give_up_for_room(TcpStreams& streams, P& protocol, Side side) {
  TcpStream& stream = at(streams, side);
  if (!stream.has_waiting()) return false;
  if (stream.hole_before_waiting()) {
    skip(stream, protocol, side, stream.reorder->front(), GapCause::kLost);
    return true;
  }
  TcpStream& peer = at(streams, other(side));
  if (must_wait(peer, stream.reorder->front_run().meta.acknowledged) && peer.missing() &&
      !stream.refused) {
    uint64_t to = peer.hole_before_waiting() ? peer.reorder->front() : peer.acked;
    to = std::min(to, peer.fin_offset);
    if (to > peer.head) {
      skip(peer, protocol, other(side), to, GapCause::kLost);
      return true;
    }
  }
  return deliver(streams, protocol, side, true);
}

// One step of flush: the oldest captured bytes that still wait decide what is given up.
template <StreamProtocol P>
bool Reassembler::give_up_at_close(TcpStreams& streams, P& protocol) {
  const bool low = streams[0].has_waiting();
  const bool high = streams[1].has_waiting();
  if (low || high) {
    const bool high_first = high && (!low || streams[1].reorder->front_run().meta.frame <
                                                 streams[0].reorder->front_run().meta.frame);
    return give_up_for_room(streams, protocol, high_first ? Side::kHigh : Side::kLow);
  }
  for (size_t i = 0; i < 2; i++) {
    TcpStream& stream = streams[i];
    const uint64_t to = std::min(stream.acked, stream.fin_offset);
    if (!stream.seen || stream.ended || to <= stream.head) continue;
    const Side side = static_cast<Side>(i);
    if (to == stream.head + 1 && !protocol.in_message(side)) {
      stream.fin_offset = stream.head;
    } else {
      skip(stream, protocol, side, to, GapCause::kLost);
    }
    return true;
  }
  return false;
}

template <StreamProtocol P>
void Reassembler::flush(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  pump(streams, protocol, clock_ns);
  while (give_up_at_close(streams, protocol)) pump(streams, protocol, clock_ns);
  streams[0].hole_since_ns = 0;
  streams[1].hole_since_ns = 0;
}

}  // namespace tcp_sniffer
