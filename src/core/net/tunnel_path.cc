#include "core/net/tunnel_path.h"

#include <xxhash.h>

namespace tcp_sniffer {

namespace {

uint32_t hash_of(const TunnelLeg& leg, TunnelKind outer_kind, uint32_t outer_id, uint64_t seed) {
  struct {
    IpAddress low_ip;
    IpAddress high_ip;
    uint64_t network;
    uint32_t outer_id;
    TunnelKind kind;
    TunnelKind outer_kind;
    uint16_t reserved = 0;
  } const named{leg.low_ip, leg.high_ip, leg.network, outer_id, leg.kind, outer_kind};
  static_assert(sizeof(named) == 48);  // no padding: hashed as bytes
  return static_cast<uint32_t>(XXH3_64bits_withSeed(&named, sizeof(named), seed));
}

}  // namespace

TunnelPath inside(const TunnelPath& outer, const TunnelLeg& leg, uint64_t secret) {
  return {leg.kind, hash_of(leg, outer.kind, outer.id, secret),
          hash_of(leg, outer.kind, outer.public_id, 0)};
}

}  // namespace tcp_sniffer
