#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace tcp_sniffer {

// 16 bytes in network order; an IPv4 address is v4-mapped (::ffff:a.b.c.d, RFC 4291 section
// 2.5.5.2), so that one key serves both families.
using IpAddress = std::array<uint8_t, 16>;

constexpr IpAddress kV4MappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

inline bool is_v4_mapped(const IpAddress& ip) {
  return std::memcmp(ip.data(), kV4MappedPrefix.data(), 12) == 0;
}

struct Endpoint {
  IpAddress ip{};
  uint16_t port = 0;            // host order
  bool mapped_on_wire = false;  // see FlowKey

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Which of a connection's two byte streams a segment belongs to: named by the sender's endpoint
// in the canonical key.
enum class Side : uint8_t { kLow = 0, kHigh = 1 };

constexpr Side other(Side side) {
  return side == Side::kLow ? Side::kHigh : Side::kLow;
}

enum class TunnelKind : uint8_t {
  kNone = 0,
  kIpInIp,
  kEtherIp,
  kGre,
  kPptp,
  kErspan,
  kVxlan,
  kGeneve,
  kGtp,
  kTeredo,
  kL2tp,
  kAyiya,
};

// The identity of a connection, the same for both directions: the endpoint that compares lower
// (address, then port) comes first. No padding: hashed and compared as 44 bytes.
struct FlowKey {
  IpAddress low_ip{};
  IpAddress high_ip{};
  uint16_t low_port = 0;                       // host order
  uint16_t high_port = 0;                      // host order
  uint16_t vlan = 0;                           // outermost VLAN id, only with keyVlan
  TunnelKind tunnel_kind = TunnelKind::kNone;  // the innermost; only with keyTunnel
  uint8_t mapped_on_wire = 0;  // 1: IPv6 packets that themselves carry ::ffff:a.b.c.d addresses
  uint32_t tunnel_id = 0;      // TunnelPath::id of all tunnels around; only with keyTunnel

  friend bool operator==(const FlowKey& a, const FlowKey& b) {
    return std::memcmp(&a, &b, sizeof(FlowKey)) == 0;
  }
};
static_assert(sizeof(FlowKey) == 44);

inline Endpoint endpoint_of(const FlowKey& key, Side side) {
  const bool mapped = key.mapped_on_wire != 0;
  return side == Side::kLow ? Endpoint{key.low_ip, key.low_port, mapped}
                            : Endpoint{key.high_ip, key.high_port, mapped};
}

}  // namespace tcp_sniffer
