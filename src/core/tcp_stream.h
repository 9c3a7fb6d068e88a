#pragma once

#include <algorithm>
#include <cstdint>

#include "core/limits.h"
#include "core/reorder_buffer.h"

namespace tcp_sniffer {

constexpr uint64_t kNoOffset = ~uint64_t{0};

// One direction of a connection, as a tap sees it: where its bytes stand and what is known about
// those that are missing. Plain data, part of the connection object; `reorder` is its only memory
// and exists only while bytes wait.
//
// Offsets are 64-bit stream positions: the wire's 32-bit sequence numbers are unwrapped once, at
// offset_of, and never compared (RFC 9293 section 3.4 explains why they can not be ordered).
struct TcpStream {
  uint64_t head = kStreamOrigin;  // next byte to deliver; everything before is settled
  uint64_t acked = 0;             // highest acknowledgment seen from the peer; 0 = none
  uint64_t fin_offset = kNoOffset;  // where the stream ends (FIN or RST), once known
  uint64_t gap_end = 0;           // the last hole given up is [gap_end - gap_size, gap_end)
  int64_t hole_since_ns = 0;      // packet clock since when the hole at the head is timed; 0 = not
  uint64_t evidence_ack = 0;      // `acked` when the timing began
  ReorderBuffer* reorder = nullptr;
  uint32_t origin_sequence = 0;   // the wire's number of offset kStreamOrigin
  uint32_t window = 0;            // announced by the receiver, scaled; 0 = unknown
  uint32_t gap_size = 0;
  uint32_t stray_next = 0;        // where the next segment outside the window must start
  uint16_t maximum_segment_size = 0;  // the sender's announcement; 0 = not seen
  uint8_t window_scale = kNoWindowScale;  // the sender's own announcements are shifted by it
  uint8_t stray_count = 0;
  uint8_t advancing_acks = 0;     // acknowledgments beyond the hole that advanced
  bool seen : 1 = false;          // a segment of this sender was captured
  bool syn_seen : 1 = false;
  bool hinted : 1 = false;        // origin taken from the peer's acknowledgment
  bool hint_is_start : 1 = false; // … in the handshake: the stream begins there
  bool delivered : 1 = false;     // the origin is fixed
  bool refused : 1 = false;       // the protocol wants the bytes at the head later
  bool ended : 1 = false;         // FIN or RST reached
  bool reset : 1 = false;         // ended by RST
  bool reset_behind_fin : 1 = false;  // a RST came when the FIN was not reached yet

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

  uint64_t window_limit() const { return head + std::max<uint64_t>(window, kWindowMin); }

  bool has_waiting() const { return reorder != nullptr && !reorder->empty(); }
  // Bytes are here, but not those at the head.
  bool hole_before_waiting() const { return has_waiting() && reorder->front() > head; }
  // The peer has acknowledged bytes at the head that were never captured.
  bool acked_past_head() const { return acked > head && !(has_waiting() && reorder->front() == head); }
  // Nothing is missing, waits or ends: nearly all streams, nearly always.
  bool is_plain() const {
    return reorder == nullptr && hole_since_ns == 0 && acked <= head && fin_offset == kNoOffset;
  }
  // A RST stands where nothing is missing before it: reached, or kept from that only by bytes that
  // wait for the other direction.
  bool was_reset() const {
    return (reset || reset_behind_fin) && (ended || contiguous_end() >= fin_offset);
  }
  bool missing() const { return seen && !ended && (hole_before_waiting() || acked_past_head()); }
  uint64_t contiguous_end() const {
    return has_waiting() && reorder->front() == head ? reorder->front_end() : head;
  }
};

}  // namespace tcp_sniffer
