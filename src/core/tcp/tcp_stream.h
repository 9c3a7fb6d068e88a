#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/limits.h"
#include "core/tcp/reorder_buffer.h"

namespace tcp_sniffer {

constexpr uint64_t kNoOffset = ~uint64_t{0};

// One direction of a connection, as a tap sees it: how far its bytes have come and what is known
// about the missing ones. Plain data, part of the connection object; `reorder` is its only memory
// and exists only while bytes wait.
//
// Offsets are 64-bit stream positions: the wire's 32-bit sequence numbers are unwrapped once, at
// offset_of, and never compared (RFC 9293 section 3.4 explains why they cannot be ordered).
struct TcpStream {
  uint64_t head = kStreamOrigin;    // next byte to deliver; everything before is settled
  uint64_t acked = 0;               // highest acknowledgment that was believed; 0 = none
  uint64_t fin_offset = kNoOffset;  // where a FIN or RST claims that the stream ends
  uint64_t gap_end = 0;             // the last hole given up is [gap_end - gap_size, gap_end)
  int64_t hole_since_ns = 0;  // packet clock since when the hole at the head is timed; 0 = not
  ReorderBuffer* reorder = nullptr;
  uint32_t origin_sequence = 0;  // the wire's number of offset kStreamOrigin
  uint32_t window = 0;           // announced by the receiver, scaled; 0 = unknown
  uint32_t gap_size = 0;
  uint32_t stray_next = 0;                // where the next segment outside the window must start
  uint32_t evidence_sequence = 0;         // the number of `acked` when the timing began
  uint32_t cut_end_sequence = 0;          // with `cut`: the bytes from the head up to here
  uint16_t maximum_segment_size = 0;      // the sender's announcement; 0 = not seen
  uint8_t window_scale = kNoWindowScale;  // the sender's own announcements are shifted by it
  uint8_t stray_count = 0;
  uint8_t advancing_acks = 0;  // acknowledgments beyond the hole that advanced
  bool seen : 1 = false;       // a segment of this sender was captured
  bool placed : 1 = false;     // a SYN or bytes have shown where the stream is; an ACK does not
  bool syn_seen : 1 = false;
  bool hinted : 1 = false;            // coordinates taken from an acknowledgment
  bool hint_is_start : 1 = false;     // … in the handshake: the stream begins there
  bool delivered : 1 = false;         // the origin is fixed
  bool refused : 1 = false;           // the protocol wants the bytes at the head later
  bool cut : 1 = false;               // the snaplen cut off the bytes at the head; a copy may come
  bool ack_repeated : 1 = false;      // the hole at the head was acknowledged again
  bool ended : 1 = false;             // the claimed end is reached
  bool end_reported : 1 = false;      // … and final: the protocol knows
  bool reset : 1 = false;             // the claim is a RST
  bool reset_behind_fin : 1 = false;  // a RST came when the FIN was not final yet
  bool end_guessed : 1 = false;       // the claim is a byte that was acknowledged and never came
  bool absent : 1 = false;            // not seen, and not waited for any more

  // Nearest 64-bit position with this sequence number (within 2 GiB of the head).
  uint64_t offset_of(uint32_t sequence) const {
    const auto head_sequence = static_cast<uint32_t>(origin_sequence + (head - kStreamOrigin));
    return head + static_cast<uint64_t>(
                      static_cast<int64_t>(static_cast<int32_t>(sequence - head_sequence)));
  }
  uint32_t sequence_of(uint64_t offset) const {
    return static_cast<uint32_t>(origin_sequence + (offset - kStreamOrigin));
  }
  void set_origin(uint32_t sequence) {
    origin_sequence = sequence;
    head = kStreamOrigin;
  }

  uint64_t reach() const { return std::max<uint64_t>(window, kWindowMin); }
  uint64_t window_limit() const { return head + reach(); }
  // Where the next segment of a side that was not seen yet should be.
  uint64_t expected() const { return std::max(head, acked); }

  bool has_waiting() const { return reorder != nullptr && !reorder->empty(); }
  // Bytes are here, but not those at the head.
  bool hole_before_waiting() const { return has_waiting() && reorder->front() > head; }
  // The peer has acknowledged bytes at the head that were never captured.
  bool acked_past_head() const {
    return acked > head && !(has_waiting() && reorder->front() == head);
  }
  // Only a SYN can still change where the stream begins.
  bool is_anchored() const { return delivered || (placed && syn_seen); }
  // Bytes have shown where it is, and nothing whether it begins there.
  bool seems_midstream() const { return placed && !is_anchored() && !hint_is_start; }
  // Nothing is missing, waits or ends: nearly all streams, nearly always.
  bool is_plain() const {
    return reorder == nullptr && hole_since_ns == 0 && acked <= head && fin_offset == kNoOffset;
  }
  // Nothing at the head is timed, nor has to be.
  bool is_untimed(const TcpStream& peer) const {
    return !cut && (is_plain() || (ended && hole_since_ns == 0 && peer.seen));
  }
  bool missing() const { return seen && !ended && (hole_before_waiting() || acked_past_head()); }
  uint64_t contiguous_end() const {
    return has_waiting() && reorder->front() == head ? reorder->front_end() : head;
  }
  // End of the bytes that are known to have been sent, captured or claimed by a FIN.
  uint64_t known_end() const {
    const uint64_t captured = has_waiting() ? reorder->end() : head;
    return fin_offset == kNoOffset ? captured : std::max(captured, fin_offset);
  }
  // The bytes at the head that the snaplen cut off.
  uint64_t cut_size() const {
    if (!cut) return 0;
    const auto left = static_cast<int32_t>(cut_end_sequence - sequence_of(head));
    return left > 0 ? static_cast<uint64_t>(left) : 0;
  }

  // The stream has got as far as the claimed end, or only bytes that wait for the other direction
  // keep it from that.
  bool end_stands() const {
    return fin_offset != kNoOffset && (ended || contiguous_end() >= fin_offset);
  }
  bool was_reset() const { return (reset || reset_behind_fin) && end_stands(); }
  // A FIN that was acknowledged: nothing can take it back.
  bool end_is_sure() const { return end_reported && head > fin_offset; }
  // It is reached, and something can take it back.
  bool end_is_open() const { return ended && !end_is_sure(); }
  // It is sure, and nothing of the stream is left.
  bool is_done() const { return end_is_sure() && reorder == nullptr && !cut && hole_since_ns == 0; }
};

}  // namespace tcp_sniffer
