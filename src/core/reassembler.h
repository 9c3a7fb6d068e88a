#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <span>

#include "core/buffer_pool.h"
#include "core/counters.h"
#include "core/limits.h"
#include "core/reorder_buffer.h"
#include "core/segment.h"
#include "core/stream_protocol.h"
#include "core/tcp_stream.h"

namespace tcp_sniffer {

using TcpStreams = std::array<TcpStream, 2>;  // by Side

struct ReassemblySettings {
  bool by_evidence = true;                 // gapPolicy: false = only when memory is full
  int64_t gap_timeout_ns = 2'000'000'000;  // where the other direction is not captured
  uint64_t buffer_max = 4u << 20;          // reassemblyBufferSize, one direction
};

// Turns segments into the two ordered byte streams of a connection, and says what is missing.
//
// Rules (ARCHITECTURE.md, "The life of a byte", has the reasons):
// 1. In-order bytes go to the protocol straight from the packet; a buffer exists only while bytes
//    wait behind a hole, for the other direction, or because the protocol refused them.
// 2. The first copy of a byte wins, also for a part of a segment.
// 3. A segment that acknowledges bytes of the peer that were not delivered yet waits for them:
//    the sender had seen them when it spoke.
// 4. A hole at the head is given up when the peer has acknowledged it and the evidence of
//    limits.h is there; by timeout only where the peer is not captured; else when memory is full
//    or the connection ends. Never more than the peer has acknowledged is given up at once.
// 5. FIN and RST take effect when the stream reaches them. A FIN takes one sequence number
//    (RFC 9293 section 3.4), which is counted as delivered but given to no one. Bytes behind a FIN
//    are no part of the stream; bytes behind a RST that was not reached yet prove it forged. What
//    a RST carries is text for people (RFC 9293 section 3.5.3), not data.
//
// Stateless itself: all state is in the TcpStreams and the protocol. One per shard; not shared.
class Reassembler {
 public:
  Reassembler(BufferPool& pool, ShardCounters& counters, const ReassemblySettings& settings)
      : pool_(pool), counters_(counters), settings_(settings) {}

  // Verdicts that packet time has brought since the connection's last segment. Called with a
  // later segment's clock before that segment is looked at, or by a sweep: both give the same.
  template <StreamProtocol P>
  void advance_clock(TcpStreams& streams, P& protocol, int64_t clock_ns) {
    if (streams[0].hole_since_ns == 0 && streams[1].hole_since_ns == 0) return;
    // The next hole is timed from the moment the timer of this one ran out, so that it does not
    // matter how late somebody looks.
    while (const int64_t verdict_ns = give_up_by_evidence(streams, protocol, clock_ns)) {
      pump(streams, protocol, verdict_ns);
    }
  }

  // One segment of an existing connection; a SYN only sets the origin. The streams' scaling and
  // state checks are the caller's.
  template <StreamProtocol P>
  void on_segment(TcpStreams& streams, P& protocol, const Segment& segment);

  // Delivers everything that is left, in the order it was captured, and reports what is missing:
  // the connection is over. The protocol is not told of an end; the caller knows the reason.
  template <StreamProtocol P>
  void flush(TcpStreams& streams, P& protocol, int64_t clock_ns);

  // Whether a stream's first segment to be seen is, or comes behind, a known beginning; if not,
  // the stream is met in its middle. To be asked before on_segment.
  static bool knows_start(const TcpStream& stream, const Segment& segment);

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
      if (streams[i].hole_since_ns == 0) continue;
      deadline = std::min(deadline, streams[i].hole_since_ns + wait_max_ns(streams[1 - i]));
    }
    return deadline;
  }

 private:
  static TcpStream& at(TcpStreams& streams, Side side) {
    return streams[static_cast<size_t>(side)];
  }

  int64_t wait_max_ns(const TcpStream& peer) const {
    return peer.seen ? kGapAckedWaitMaxNs : settings_.gap_timeout_ns;
  }

  // ---- what the segment says about the peer's stream
  void take_acknowledgment(TcpStream& peer, const TcpStream& sender, const Segment& segment,
                           uint64_t& acknowledged);
  void set_origin(TcpStream& stream, const Segment& segment);
  static void take_fin(TcpStream& stream, uint64_t end);
  static void take_rst(TcpStream& stream, uint64_t offset);

  // ---- bytes
  template <StreamProtocol P>
  bool consume_plain(TcpStreams& streams, P& protocol, const Segment& segment,
                     uint64_t acknowledged);
  template <StreamProtocol P>
  void add_payload(TcpStreams& streams, P& protocol, const Segment& segment, uint64_t offset,
                   uint64_t acknowledged);
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
  template <StreamProtocol P>
  void buffer_bytes(TcpStreams& streams, P& protocol, Side side, Bytes bytes, int64_t clock_ns);
  void count_late(const TcpStream& stream, uint64_t start, uint64_t end);

  // ---- delivery
  // A peer that was refused waits for this side itself.
  static bool must_wait(const TcpStream& peer, uint64_t acknowledged) {
    return peer.seen && !peer.ended && !peer.refused && acknowledged > peer.head;
  }
  // What delivery does not wait for: the peer's bytes that a segment acknowledges, and the
  // protocol.
  enum class Insist : uint8_t { kNo, kNotOnPeer, kOnAll };
  template <StreamProtocol P>
  bool deliver(TcpStreams& streams, P& protocol, Side side, Insist insist);
  template <StreamProtocol P>
  bool reach_end(TcpStream& stream, P& protocol, Side side);
  template <StreamProtocol P>
  void settle(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  void pump(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  bool break_mutual_wait(TcpStreams& streams, P& protocol);

  // ---- holes
  template <StreamProtocol P>
  void skip(TcpStream& stream, P& protocol, Side side, uint64_t to, GapCause cause);
  template <StreamProtocol P>
  void give_up(TcpStream& stream, P& protocol, Side side, uint64_t to);
  template <StreamProtocol P>
  int64_t give_up_by_evidence(TcpStreams& streams, P& protocol, int64_t clock_ns);
  template <StreamProtocol P>
  bool give_up_for_room(TcpStreams& streams, P& protocol, Side side, const Bytes& in_hand);
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
};

}  // namespace tcp_sniffer

#include "core/reassembler_impl.h"
