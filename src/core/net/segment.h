#pragma once

#include <cstdint>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// TCP flags, RFC 9293 section 3.1.
constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpSyn = 0x02;
constexpr uint8_t kTcpRst = 0x04;
constexpr uint8_t kTcpPsh = 0x08;
constexpr uint8_t kTcpAck = 0x10;
constexpr uint8_t kTcpUrg = 0x20;

constexpr uint8_t kNoWindowScale = 0xff;

// One TCP segment as the capture thread decoded it: what a shard needs and nothing else.
//
// `payload` points into the memory of the PacketBlock that carries the segment (or into the
// capture piece that the block holds a reference to). Bytes that are kept longer are copied.
// Two cache lines: what the lookup needs is in the first.
struct Segment {
  uint64_t flow_hash = 0;  // keyed with the run's secret; low bits pick the bucket
  FlowKey key;
  uint8_t flags = 0;
  Side side = Side::kLow;  // the sender
  uint16_t window = 0;     // as on the wire, not scaled
  int64_t clock_ns = 0;    // packet clock: the latest plausible packet time so far

  int64_t time_ns = 0;  // the packet's own time, nanoseconds since 1970 UTC
  uint64_t frame = 0;   // number in the input, from 1
  const uint8_t* payload = nullptr;
  uint32_t payload_size = 0;       // bytes at `payload`
  uint32_t payload_wire_size = 0;  // bytes on the wire; more when cut by the snaplen, or withheld
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;
  uint16_t maximum_segment_size = 0;      // option 2, RFC 9293 section 3.7.1; 0 = absent
  uint16_t vlan = 0;                      // outermost tag, 0 = none
  uint16_t ip_id = 0;                     // IPv4 identification, to tell copies of a frame
  uint8_t window_scale = kNoWindowScale;  // option 3, RFC 7323 section 2
  uint8_t ttl = 0;                        // IPv4 TTL or IPv6 hop limit
  uint32_t timestamp_value = 0;           // option 8, RFC 7323 section 3; 0 = absent
  uint32_t tunnel_public_id = 0;          // as key.tunnel_id, but the same in every run
  uint32_t link_id = 0;                   // of its interface, in LinkNames; 0 = without a name
  // The rest of the payload was captured but not handed over: a body that is not needed.
  bool withheld = false;
};
static_assert(sizeof(Segment) <= 128);

// The key as it may be shown and chosen by: the same in every run.
inline FlowKey public_key(const Segment& segment) {
  FlowKey key = segment.key;
  key.tunnel_id = segment.tunnel_public_id;
  return key;
}

}  // namespace tcp_sniffer
