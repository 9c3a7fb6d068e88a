#pragma once

#include <cstddef>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// Room that write_ip needs: a full IPv6 address, and what its last store may spill.
constexpr size_t kIpTextMax = 48;

// The address as text: IPv4 (also v4-mapped) in dotted decimal, IPv6 as RFC 5952 says (lower
// case, no leading zeros, the longest run of two or more zero groups as `::`). Returns the end.
// An IPv6 packet may itself carry v4-mapped addresses: then `mapped_on_wire` asks for the mixed
// notation of section 5, ::ffff:192.0.2.1.
char* write_ip(char* out, const IpAddress& ip, bool mapped_on_wire = false);

// Room that write_ip_and_port needs.
constexpr size_t kIpAndPortTextMax = kIpTextMax + 8;

// The endpoint for people: 192.0.2.1:80, [2001:db8::1]:80. Returns the end.
char* write_ip_and_port(char* out, const Endpoint& endpoint);

}  // namespace tcp_sniffer
