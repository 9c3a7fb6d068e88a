#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// The constants of conditions. Nothing: the text is none of the kind, or beyond 64 bits.

// A whole number, with K, M, G or T for powers of 1024: 500, 64K, 1MiB, 1.5M.
std::optional<int64_t> parse_count(std::string_view text);
// A time in ns: 1500, 0.5 (milliseconds), 1500us, 1.5s, 2m or 2min, 1h; may be negative.
std::optional<int64_t> parse_duration(std::string_view text);
// 2025-02-21, 2025-02-21T12:00:00, 2025-02-21T12:00:00.123456Z: ns since 1970, UTC.
std::optional<int64_t> parse_time(std::string_view text);

// Addresses with the same first bits; IPv4 v4-mapped, as in IpAddress. No network of IPv6 that is
// larger than all of IPv4 holds an address of IPv4.
struct Network {
  IpAddress ip{};
  uint32_t bits = 128;

  bool holds(const IpAddress& address) const;
};
// 10.0.0.1, 10.0.0.0/8, 2001:db8::/32.
std::optional<Network> parse_network(std::string_view text);

}  // namespace tcp_sniffer
