#pragma once

// Reassembler: what is missing, and how streams end. Included by core/tcp/reassembler.h only.

#include "core/tcp/reassembler.h"

namespace tcp_sniffer {

// The claimed end is reached. True when that lets the other direction go on.
template <StreamProtocol P>
bool Reassembler::reach_end(TcpStreams& streams, P& protocol, Side side) {
  TcpStream& stream = at(streams, side);
  if (stream.ended || stream.head < stream.fin_offset) return false;
  stream.ended = true;
  stream.hole_since_ns = 0;
  settle_ends(streams, protocol);
  return true;
}

// Tells the protocol of the ends that are final.
template <StreamProtocol P>
inline void Reassembler::settle_ends(TcpStreams& streams, P& protocol) {
  if (streams[0].end_is_open()) settle_end(streams[0], protocol, Side::kLow);
  if (streams[1].end_is_open()) settle_end(streams[1], protocol, Side::kHigh);
}

template <StreamProtocol P>
[[gnu::noinline]] void Reassembler::settle_end(TcpStream& stream, P& protocol, Side side) {
  const bool acknowledged =
      !stream.reset && !stream.end_guessed && stream.acked == stream.fin_offset + 1;
  if (!acknowledged && !closing_) return;
  if (!stream.end_reported) report_end(stream, protocol, side);
  if (!stream.reset) stream.head = stream.fin_offset + 1;
  stream.reset |= stream.reset_behind_fin;
}

template <StreamProtocol P>
void Reassembler::report_end(TcpStream& stream, P& protocol, Side side) {
  stream.end_reported = stream.delivered = true;
  protocol.on_end(side);
}

// Bytes at `offset` are after the claimed end: the stream goes on. A guessed end was a byte.
template <StreamProtocol P>
void Reassembler::take_back_end(TcpStream& stream, P& protocol, Side side, uint64_t offset) {
  const bool was_byte = stream.end_guessed && offset > stream.head;
  drop_claim(stream);
  if (was_byte) skip(stream, protocol, side, stream.head + 1, GapCause::kLost);
}

// The bytes at the head that the snaplen cut off are missing for good, up to those that came.
template <StreamProtocol P>
void Reassembler::give_up_cut(TcpStream& stream, P& protocol, Side side) {
  uint64_t size = stream.cut_size();
  if (stream.has_waiting()) size = std::min(size, stream.reorder->front() - stream.head);
  stream.cut = false;
  if (size > 0) skip(stream, protocol, side, stream.head + size, GapCause::kSnaplen);
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

// Whether the byte that waits at the front, alone in its segment, is the first one of a message.
template <StreamProtocol P>
bool Reassembler::begins_message(const ReorderBuffer& reorder, const P& protocol) {
  constexpr size_t kStartBytes = 48;  // the longest method and a space
  std::array<uint8_t, kStartBytes> bytes;
  const std::span text = std::span(bytes).first(reorder.copy_front(bytes));
  return protocol.begins_message(text) && !protocol.begins_message(text.subspan(1));
}

// [head, to) is lost. A single byte after it, directly before the next ones or the end of all that
// was acknowledged, may be a keep-alive probe's octet of garbage: it is lost, too, unless a message
// begins with it.
template <StreamProtocol P>
void Reassembler::skip_hole(TcpStream& stream, P& protocol, Side side, uint64_t to) {
  if (stream.hole_before_waiting() && to == stream.reorder->front()) {
    const ReorderBuffer::Run run = stream.reorder->front_run();
    const bool next_follows = stream.reorder->front_end() > to + 1 || stream.acked == to + 1;
    if (run.size == 1 && !run.lost && next_follows && !begins_message(*stream.reorder, protocol)) {
      stream.reorder->consume(1);
      counters_.subtract(ShardCounter::buffered, 1);
      counters_.add(ShardCounter::duplicate, 1);
      to++;
    }
  }
  skip(stream, protocol, side, to, GapCause::kLost);
}

// Gives up [head, to). One acknowledged byte with nothing after it, between messages, is taken for
// a FIN that was lost, until the stream goes on.
template <StreamProtocol P>
void Reassembler::give_up(TcpStreams& streams, P& protocol, Side side, uint64_t to) {
  TcpStream& stream = at(streams, side);
  if (to == stream.head + 1 && !stream.has_waiting() && stream.fin_offset == kNoOffset &&
      !protocol.in_message(side) &&
      !(closing_ && protocol.ends_with_stream(side) && !at(streams, other(side)).ended)) {
    stream.fin_offset = stream.head;
    stream.end_guessed = true;
    return;
  }
  skip_hole(stream, protocol, side, to);
}

// Gives up at most one hole. Returns when its timer ran out, 0 when none did.
template <StreamProtocol P>
int64_t Reassembler::give_up_by_evidence(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  for (size_t i = 0; i < 2; i++) {
    TcpStream& stream = streams[i];
    if (stream.hole_since_ns == 0) continue;
    const TcpStream& peer = streams[1 - i];
    if (!has_verdict(stream, peer)) continue;
    const bool proven = !stream.cut && peer.seen && stream.advancing_acks >= kGapAcksMin;
    const int64_t deadline_ns =
        stream.hole_since_ns + (proven ? settings_.acked_wait_ns : wait_max_ns(stream, peer));
    if (clock_ns < deadline_ns) continue;
    const auto side = static_cast<Side>(i);
    if (waits_for_unseen(stream, peer)) [[unlikely]] {
      streams[1 - i].absent = true;
      stream.hole_since_ns = 0;
      return deadline_ns;
    }
    if (end_waits(stream, peer)) {
      stream.hole_since_ns = 0;
      report_end(stream, protocol, side);
      return deadline_ns;
    }
    if (stream.cut) {
      stream.hole_since_ns = 0;
      give_up_cut(stream, protocol, side);
      return deadline_ns;
    }
    uint64_t to = stream.hole_before_waiting() ? stream.reorder->front() : stream.acked;
    if (peer.seen) to = std::min(to, stream.acked);
    to = std::min(to, stream.fin_offset);
    if (to > stream.head) {
      give_up(streams, protocol, side, to);
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
  if (stream.cut) {
    give_up_cut(stream, protocol, side);
    return true;
  }
  const uint64_t waiting = stream.has_waiting() ? stream.reorder->front() : kNoOffset;
  const uint64_t first = std::min(waiting, in_hand.offset);
  if (first > stream.head) {
    skip_hole(stream, protocol, side, first);
    return true;
  }
  const uint64_t acknowledged =
      waiting == first ? stream.reorder->front_run().meta.acknowledged : in_hand.meta.acknowledged;
  TcpStream& peer = at(streams, other(side));
  if (peer.cut && must_wait(peer, acknowledged)) {
    give_up_cut(peer, protocol, other(side));
    return true;
  }
  if (must_wait(peer, acknowledged) && peer.missing() && !stream.refused) {
    uint64_t to = peer.hole_before_waiting() ? peer.reorder->front() : peer.acked;
    to = std::min(to, peer.fin_offset);
    if (to > peer.head) {
      give_up(streams, protocol, other(side), to);
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

// Gives up what is missing at the end of a stream of which nothing waits.
template <StreamProtocol P>
bool Reassembler::give_up_end(TcpStreams& streams, P& protocol, Side side) {
  TcpStream& stream = at(streams, side);
  if (!stream.seen || stream.ended) return false;
  // There were bytes before an end that was not reached only if they were acknowledged.
  if (stream.fin_offset != kNoOffset && stream.acked < stream.fin_offset) drop_claim(stream);
  const uint64_t to = std::min(stream.fin_offset, stream.acked);
  if (to <= stream.head) return false;
  give_up(streams, protocol, side, to);
  return true;
}

template <StreamProtocol P>
inline void Reassembler::flush(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  if (!streams[0].is_done() || !streams[1].is_done()) flush_rest(streams, protocol, clock_ns);
}

template <StreamProtocol P>
[[gnu::noinline]] void Reassembler::flush_rest(TcpStreams& streams, P& protocol, int64_t clock_ns) {
  for (const Side side : {Side::kLow, Side::kHigh}) {
    TcpStream& stream = at(streams, side);
    give_up_cut(stream, protocol, side);
    // A byte that never came may have been the end of the stream, or of what was captured.
    if (stream.end_guessed && protocol.ends_with_stream(side) && !at(streams, other(side)).ended) {
      drop_claim(stream);
    }
  }
  closing_ = true;
  pump(streams, protocol, clock_ns);
  settle_ends(streams, protocol);
  while (give_up_at_close(streams, protocol)) pump(streams, protocol, clock_ns);
  closing_ = false;
  streams[0].hole_since_ns = 0;
  streams[1].hole_since_ns = 0;
}

}  // namespace tcp_sniffer
