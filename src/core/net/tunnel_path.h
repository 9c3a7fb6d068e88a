#pragma once

#include <cstdint>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// The tunnels around a packet, as far as they distinguish its connection from others with the same
// addresses: for each its kind, its two ends, and a network number that is the same in both
// directions.
struct TunnelPath {
  TunnelKind kind = TunnelKind::kNone;  // of the innermost
  // Hash of all of them with the run's secret. 32 bits are enough: the secret keeps packets from
  // aiming at another tunnel's hash, and tunnels that share one by chance still differ in the
  // addresses inside.
  uint32_t id = 0;
  // The same without the secret: the same in every run, but open to aiming.
  uint32_t public_id = 0;

  friend bool operator==(const TunnelPath&, const TunnelPath&) = default;
};

// One tunnel. Both directions give the same when its ends are the same two.
struct TunnelLeg {
  IpAddress low_ip{};
  IpAddress high_ip{};
  uint64_t network = 0;  // network_number(), 0: it has none
  TunnelKind kind = TunnelKind::kNone;

  void set_ends(const IpAddress& a, const IpAddress& b) {
    low_ip = a < b ? a : b;
    high_ip = a < b ? b : a;
  }
};

// Network 0 is another one than none.
constexpr uint64_t network_number(uint32_t number) {
  return uint64_t{1} << 32 | number;
}

// The path inside `leg`, which itself lies inside `outer`.
TunnelPath inside(const TunnelPath& outer, const TunnelLeg& leg, uint64_t secret);

}  // namespace tcp_sniffer
