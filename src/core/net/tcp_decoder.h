#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/base/byte_order.h"
#include "core/net/flow_key.h"
#include "core/net/segment.h"

namespace tcp_sniffer {

// TCP header, RFC 9293 section 3.1. Everything here is pure and keeps no pointer.

constexpr uint32_t kTcpHeaderSize = 20;  // without options

// Header length in bytes that the data offset field claims; below kTcpHeaderSize it is wrong.
inline uint32_t tcp_header_size(const uint8_t* tcp) {
  return static_cast<uint32_t>(tcp[12] >> 4) * 4;
}

// Reads the options MSS, window scale and timestamps into `segment`, whose option fields are at
// their defaults. Options after a broken length are left unread: the segment itself is still good
// (RFC 9293 section 3.1 only asks not to be confused by them).
void read_tcp_options(const uint8_t* options, uint32_t size, Segment& segment);

// Reads the fixed header and the options. `header_size` captured bytes stand at `tcp`.
inline void read_tcp_header(const uint8_t* tcp, uint32_t header_size, Segment& segment) {
  segment.sequence = load_be32(tcp + 4);
  segment.acknowledgment = load_be32(tcp + 8);
  segment.flags = tcp[13];
  segment.window = load_be16(tcp + 14);
  segment.maximum_segment_size = 0;
  segment.window_scale = kNoWindowScale;
  segment.timestamp_value = 0;
  if (header_size == kTcpHeaderSize) return;
  // Two no-operations and timestamps (RFC 7323 appendix A) are what nearly every segment carries.
  if (header_size == 32 && load_be32(tcp + 20) == 0x0101080a) {
    segment.timestamp_value = load_be32(tcp + 24);
    return;
  }
  read_tcp_options(tcp + kTcpHeaderSize, header_size - kTcpHeaderSize, segment);
}

// Puts the payload of a segment of `wire_size` bytes (header included), of which `captured` were
// captured, into `segment`. header_size <= captured <= wire_size.
inline void set_tcp_payload(const uint8_t* tcp, uint32_t header_size, uint32_t captured,
                            uint32_t wire_size, Segment& segment) {
  segment.payload = tcp + header_size;
  segment.payload_size = captured - header_size;
  segment.payload_wire_size = wire_size - header_size;
}

// Writes a v4-mapped address from the four bytes at `ipv4`.
inline void set_v4_mapped(IpAddress& address, const uint8_t* ipv4) {
  std::memcpy(address.data(), kV4MappedPrefix.data(), 12);
  std::memcpy(address.data() + 12, ipv4, 4);
}

// Fills key and side for IPv4: the endpoint that compares lower (address, then port) comes first,
// so that both directions have one key. `addresses` is the source and then the destination, as in
// the IP header; `ports` likewise.
inline void set_ipv4_endpoints(const uint8_t* addresses, const uint8_t* ports, Segment& segment) {
  const uint64_t source = uint64_t{load_be32(addresses)} << 16 | load_be16(ports);
  const uint64_t destination = uint64_t{load_be32(addresses + 4)} << 16 | load_be16(ports + 2);
  const bool from_high = source > destination;
  const uint32_t low = from_high ? 4 : 0;
  set_v4_mapped(segment.key.low_ip, addresses + low);
  set_v4_mapped(segment.key.high_ip, addresses + (4 - low));
  segment.key.low_port = static_cast<uint16_t>(std::min(source, destination));
  segment.key.high_port = static_cast<uint16_t>(std::max(source, destination));
  segment.side = static_cast<Side>(from_high);
}

// The same for addresses of either family.
void set_endpoints(const IpAddress& source, const IpAddress& destination, const uint8_t* ports,
                   Segment& segment);

}  // namespace tcp_sniffer
