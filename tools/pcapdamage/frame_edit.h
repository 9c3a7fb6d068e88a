#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "capture_file.h"

namespace pcapdamage {

// Where a frame's IP packet and TCP header are. Offsets are bytes from the frame's start.
// `tcp` is 0 when the packet is no TCP segment or is a fragment.
struct FrameLayout {
  std::size_t ip = 0;
  std::size_t ip_bytes = 0;  // as announced, without link padding
  bool ipv6 = false;
  std::size_t tcp = 0;
};

// Understands EN10MB with any number of VLAN tags, LINUX_SLL, LINUX_SLL2 and RAW. Nothing for a
// frame that is not IP or whose headers are cut.
std::optional<FrameLayout> find_layout(const Frame& frame, std::uint32_t link_type);

// Adds `delta` (modulo 2^32) to the 32-bit field at `at` and corrects the TCP checksum by the
// difference (RFC 1624, equation 3), so a wrong checksum stays wrong and a right one right.
void add_to_tcp_field(Frame& frame, const FrameLayout& layout, std::size_t at, std::uint32_t delta);

// Positions of the sequence numbers in the SACK option (RFC 2018), 0 to 8 of them.
std::vector<std::size_t> find_sack_edges(const Frame& frame, const FrameLayout& layout);

// Cuts the frame's IP packet into fragments whose IP packets have at most `packet_bytes_max` bytes
// (RFC 791 section 3.2, RFC 8200 section 4.5). Gives the frame alone when it fits, is no TCP
// segment, is cut by the snaplen, or carries IPv4 options or IPv6 extension headers.
// `identification` is used for IPv6, and for IPv4 when the packet's own is zero.
std::vector<Frame> fragment_frame(const Frame& frame, std::uint32_t link_type,
                                  std::size_t packet_bytes_max, std::uint32_t identification);

}  // namespace pcapdamage
