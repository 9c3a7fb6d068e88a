#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/defaults.h"
#include "core/base/limits.h"
#include "core/net/segment.h"
#include "core/tcp/reorder_buffer.h"
#include "core/tcp/stream_protocol.h"
#include "core/tcp/tcp_stream.h"

namespace tcp_sniffer {

using TcpStreams = std::array<TcpStream, 2>;  // by Side

struct ReassemblySettings {
  bool by_evidence = true;  // gapPolicy: false = only when memory is full
  // Where the other direction is not captured.
  int64_t gap_timeout_ns = defaults::kGapTimeoutMs * 1'000'000;
  // How long acknowledged bytes are waited for when the receiver goes on acknowledging.
  int64_t acked_wait_ns = kGapAckedWaitNs;
  // How long the first bytes of a direction wait for the other one to be seen at all; 0: not.
  int64_t late_wait_ns = 0;
  uint64_t buffer_max = defaults::kReassemblyBufferSize;  // reassemblyBufferSize, one direction
};

// Turns segments into the two ordered byte streams of a connection, and reports what is missing.
//
// Rules (ARCHITECTURE.md, "The life of a byte", has the reasons):
// 1. In-order bytes go to the protocol straight from the packet; a buffer exists only while bytes
//    wait after a hole, for the other direction, or because the protocol refused them.
// 2. The first copy of a byte wins, also for a part of a segment.
// 3. A segment that acknowledges bytes of the peer that were not delivered yet waits for them:
//    the sender had received them when it sent the segment. With late_wait_ns it waits so long for
//    a peer, too, of which nothing was captured yet.
// 4. A hole at the head is given up when the peer has acknowledged it and the evidence of
//    limits.h is there; by timeout only where the peer is not captured; else when memory is full
//    or the connection ends. Never more than the peer has acknowledged is given up at once.
// 5. FIN and RST are claims. A claim stands when the stream has reached it. Any later byte after
//    it, or another sign of life of its sender, takes it back. It is final, and the protocol is
//    called, when the FIN was acknowledged exactly, or (the peer not captured) nothing came for
//    the gap timeout, or the connection is over. A FIN takes one sequence number (RFC 9293 section
//    3.4), which is counted as delivered but is not given to the protocol. The payload of a RST is
//    text for people (RFC 9293 section 3.5.3), not data.
// 6. A segment is believed only when it fits. Bytes that are not at the head need an acknowledgment
//    that the peer's stream makes plausible (RFC 5961 section 5). An acknowledgment needs a place
//    next to what is known of its own stream. Bytes that were acknowledged but are not known to
//    have been sent are given up only when they are acknowledged again; a copy of the frame is
//    none.
//
// All state is in the TcpStreams and the protocol. One per shard; not shared.
class Reassembler {
 public:
  Reassembler(BufferPool& pool, ShardCounters& counters, const ReassemblySettings& settings)
      : pool_(pool), counters_(counters), settings_(settings) {}

  // Verdicts that packet time has brought since the connection's last segment. Called with a
  // later segment's clock before that segment is looked at, or by a sweep: both give the same.
  // Returns the clock at which the latest of them was due, 0 when there was none.
  template <StreamProtocol P>
  int64_t advance_clock(TcpStreams& streams, P& protocol, int64_t clock_ns) {
    int64_t latest_ns = 0;
    if (streams[0].hole_since_ns == 0 && streams[1].hole_since_ns == 0) return latest_ns;
    // The next hole is timed from the moment the timer of this one ran out, so that the result does
    // not depend on when this is called.
    while (const int64_t verdict_ns = give_up_by_evidence(streams, protocol, clock_ns)) {
      pump(streams, protocol, verdict_ns);
      latest_ns = verdict_ns;
    }
    return latest_ns;
  }

  // One segment of an existing connection; a SYN only sets the origin. The caller does the streams'
  // scaling and checks the state. False: the segment does not fit, so it may not be from an end of
  // the connection.
  template <StreamProtocol P>
  bool on_segment(TcpStreams& streams, P& protocol, const Segment& segment);

  // The connection is over: delivers everything that is left, in the order it was captured, and
  // reports what is missing. Does not call on_end; the caller knows the reason.
  template <StreamProtocol P>
  void flush(TcpStreams& streams, P& protocol, int64_t clock_ns);

  // Whether a stream's first segment to be placed is at or after a known beginning. If not, the
  // capture began in the middle of the stream.
  static bool knows_start(const TcpStream& stream, const Segment& segment);

  // Whether a SYN on a living connection is the one of its own stream: for the first time, again,
  // or captured after its data.
  static bool owns_syn(const TcpStream& stream, const TcpStream& peer, const Segment& segment);

  // Whether a SYN acknowledges exactly what the other side sent, which began with a SYN.
  static bool answers_syn(const TcpStream& peer, const Segment& segment);

  // Whether the first segment of a connection may be a keep-alive probe (RFC 9293 section 3.8.4).
  static bool seems_probe(const Segment& segment);

  // Whether the segment goes on where both streams stand.
  static bool continues(const TcpStream& stream, const TcpStream& peer, const Segment& segment);

  void release(TcpStreams& streams) {
    for (TcpStream& stream : streams) release_buffer(stream);
  }

  // True when a sweep has to look at this connection even if no segment comes.
  static bool timed(const TcpStreams& streams) {
    return streams[0].hole_since_ns != 0 || streams[1].hole_since_ns != 0;
  }
  // The clock at which advance_clock will act at the latest; only when timed.
  int64_t deadline_ns(const TcpStreams& streams) const {
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < 2; i++) {
      if (streams[i].hole_since_ns == 0 || !has_verdict(streams[i], streams[1 - i])) continue;
      deadline =
          std::min(deadline, streams[i].hole_since_ns + wait_max_ns(streams[i], streams[1 - i]));
    }
    return deadline;
  }

 private:
  static TcpStream& at(TcpStreams& streams, Side side) {
    return streams[static_cast<size_t>(side)];
  }

  int64_t wait_max_ns(const TcpStream& stream, const TcpStream& peer) const {
    if (peer.seen) return kGapAckedWaitMaxNs;
    return waits_for_unseen(stream, peer) ? settings_.late_wait_ns : settings_.gap_timeout_ns;
  }

  // ---- what a segment claims, and whether it is believed (reassembler_claims.cc)
  enum class Place : uint8_t { kNowhere, kKnown, kMidstream };
  static Place place(TcpStream& stream, const TcpStream& peer, const Segment& segment);
  static void place_syn(TcpStream& stream, uint32_t first);
  static bool agrees_with_strays(TcpStream& stream, const TcpStream& peer, const Segment& segment);
  static Place place_bytes(TcpStream& stream, const TcpStream& peer, const Segment& segment);
  static bool acknowledges_exactly(const TcpStream& peer, const Segment& segment);
  static bool acknowledges_plausibly(const TcpStream& peer, const Segment& segment);
  static bool believes(const TcpStream& stream, const TcpStream& peer, const Segment& segment,
                       uint64_t offset);
  static bool fits(const TcpStream& stream, uint64_t offset);
  static uint64_t take_acknowledgment(TcpStream& peer, TcpStream& stream, const Segment& segment,
                                      uint64_t offset);
  static uint64_t take_hint(TcpStream& peer, const TcpStream& stream, const Segment& segment,
                            uint64_t offset);
  static void take_window(TcpStream& peer, const TcpStream& stream, const Segment& segment);
  bool is_probe(const TcpStream& stream, const Segment& segment, uint64_t offset) const;

  // ---- ends
  static void take_fin(TcpStream& stream, uint64_t end);
  static bool take_rst(TcpStream& stream, uint64_t offset);
  static void drop_claim(TcpStream& stream);
  static void drop_reset(TcpStream& stream);
  template <StreamProtocol P>
  void take_back_end(TcpStream& stream, P& protocol, Side side, uint64_t offset);
  template <StreamProtocol P>
  void report_end(TcpStream& stream, P& protocol, Side side);
  template <StreamProtocol P>
  void settle_ends(TcpStreams& streams, P& protocol);
  template <StreamProtocol P>
  void settle_end(TcpStream& stream, P& protocol, Side side);

  // ---- bytes
  template <StreamProtocol P>
  bool take_ordinary(TcpStreams& streams, TcpStream& stream, TcpStream& peer, P& protocol,
                     const Segment& segment);
  template <StreamProtocol P>
  bool take_other(TcpStreams& streams, TcpStream& stream, TcpStream& peer, P& protocol,
                  const Segment& segment);
  template <StreamProtocol P>
  bool take_segment(TcpStreams& streams, TcpStream& stream, TcpStream& peer, P& protocol,
                    const Segment& segment, uint64_t offset, uint64_t acknowledged);
  template <StreamProtocol P>
  bool consume_plain(TcpStreams& streams, P& protocol, const Segment& segment,
                     uint64_t acknowledged);
  template <StreamProtocol P>
  void add_payload(TcpStreams& streams, P& protocol, const Segment& segment, uint64_t offset,
                   uint64_t acknowledged);
  template <StreamProtocol P>
  static bool pass_over(TcpStream& stream, P& protocol, Side side, uint64_t offset, uint64_t size,
                        const SegmentMeta& meta);
  template <StreamProtocol P>
  bool take_stray(TcpStreams& streams, P& protocol, const Segment& segment, uint64_t offset);
  // A segment's bytes on their way: those captured, then those the snaplen cut off.
  struct Bytes {
    uint64_t offset = kNoOffset;
    std::span<const uint8_t> data;
    uint64_t lost = 0;
    SegmentMeta meta;

    bool empty() const { return data.empty() && lost == 0; }
    void advance(uint64_t size);
  };
  void cut_to_stream(const TcpStream& stream, Bytes& bytes);
  template <StreamProtocol P>
  void deliver_now(TcpStream& stream, P& protocol, Side side, Bytes& bytes, bool force);
  static void keep_cut(TcpStream& stream, uint64_t size);
  template <StreamProtocol P>
  void give_up_cut(TcpStream& stream, P& protocol, Side side);
  template <StreamProtocol P>
  void buffer_bytes(TcpStreams& streams, P& protocol, Side side, Bytes bytes, int64_t clock_ns);
  void count_late(const TcpStream& stream, uint64_t start, uint64_t end);

  // ---- delivery
  // A peer that was refused waits for this side itself.
  bool must_wait(const TcpStream& peer, uint64_t acknowledged) const {
    if (!peer.seen) return may_be_late(peer) && (!peer.hint_is_start || acknowledged > peer.head);
    return !peer.ended && !peer.refused && acknowledged > peer.head;
  }
  // Nothing of the peer was captured, but its interface may be late.
  bool may_be_late(const TcpStream& peer) const {
    return settings_.late_wait_ns != 0 && !peer.seen && !peer.absent;
  }
  bool waits_for_unseen(const TcpStream& stream, const TcpStream& peer) const {
    return may_be_late(peer) && !stream.cut && stream.has_waiting() &&
           stream.reorder->front() == stream.head;
  }
  // What delivery does not wait for: the peer's bytes that a segment acknowledges, and the
  // protocol.
  enum class Insist : uint8_t { kNo, kNotOnPeer, kOnAll };
  template <StreamProtocol P>
  bool deliver(TcpStreams& streams, P& protocol, Side side, Insist insist);
  template <StreamProtocol P>
  bool reach_end(TcpStreams& streams, P& protocol, Side side);
  template <StreamProtocol P>
  void settle(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  void pump(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  void pump_waiting(TcpStreams& streams, P& protocol);
  template <StreamProtocol P>
  bool break_mutual_wait(TcpStreams& streams, P& protocol);

  // ---- holes
  template <StreamProtocol P>
  void skip(TcpStream& stream, P& protocol, Side side, uint64_t to, GapCause cause);
  template <StreamProtocol P>
  static bool begins_message(const ReorderBuffer& reorder, const P& protocol);
  template <StreamProtocol P>
  void skip_hole(TcpStream& stream, P& protocol, Side side, uint64_t to);
  template <StreamProtocol P>
  void give_up(TcpStreams& streams, P& protocol, Side side, uint64_t to);
  // An end whose acknowledgment cannot be captured.
  static bool end_waits(const TcpStream& stream, const TcpStream& peer) {
    return stream.ended && !stream.end_reported && !stream.reset && !stream.end_guessed &&
           !peer.seen;
  }
  // Whether time alone decides about what is missing at the head. Not about bytes of which nothing
  // but one acknowledgment is known: that may be forged.
  static bool has_verdict(const TcpStream& stream, const TcpStream& peer) {
    return stream.cut || stream.has_waiting() || !peer.seen || stream.ack_repeated ||
           stream.advancing_acks > 0 || stream.fin_offset != kNoOffset;
  }
  template <StreamProtocol P>
  int64_t give_up_by_evidence(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  bool give_up_for_room(TcpStreams& streams, P& protocol, Side side, const Bytes& in_hand);
  template <StreamProtocol P>
  void flush_rest(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  bool give_up_at_close(TcpStreams& streams, P& protocol);
  template <StreamProtocol P>
  bool give_up_end(TcpStreams& streams, P& protocol, Side side);
  void time_hole(TcpStream& stream, const TcpStream& peer, int64_t clock_ns);

  ReorderBuffer* reorder_of(TcpStream& stream);
  void release_buffer(TcpStream& stream);

  BufferPool& pool_;
  ShardCounters& counters_;
  ReassemblySettings settings_;
  bool closing_ = false;  // within flush
};

}  // namespace tcp_sniffer

#include "core/tcp/reassembler_ends_impl.h"
#include "core/tcp/reassembler_impl.h"
