#pragma once

#include <cstdint>
#include <span>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// The Internet checksum, RFC 1071. All functions are pure and read every byte once.

// One's complement sum of 16-bit words, folded to 16 bits, in the byte order of memory; an odd
// last byte is padded with zero. `initial` continues an earlier sum over an even number of bytes.
uint16_t checksum_sum(std::span<const uint8_t> bytes, uint32_t initial = 0);

// Whether the IPv4 header (options included) carries the right checksum, RFC 791 section 3.1.
bool ipv4_checksum_ok(std::span<const uint8_t> header);

// Whether a complete TCP segment (header and payload) carries the right checksum, RFC 9293
// section 3.1; the pseudo-header of IPv6 is RFC 8200 section 8.1.
bool tcp_checksum_ok(const IpAddress& source, const IpAddress& destination,
                     std::span<const uint8_t> segment);

}  // namespace tcp_sniffer
