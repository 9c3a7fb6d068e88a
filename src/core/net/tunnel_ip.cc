#include "core/net/ip_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

namespace {

// RFC 3056: an address in 2002::/16 holds the IPv4 address of its site; the relays of the two
// directions may be different ones (RFC 3068).
bool is_6to4(const PacketBytes& ipv6) {
  constexpr uint16_t kPrefix = 0x2002;
  if (ipv6.size < 40 || ipv6.data[0] >> 4 != 6) return false;
  return load_be16(ipv6.data + 8) == kPrefix || load_be16(ipv6.data + 24) == kPrefix;
}

}  // namespace

Layer decode_ip_tunnel(DecodeState& state) {
  constexpr uint32_t kEtherIpSize = 2;
  constexpr uint8_t kEtherIpVersion = 3;  // RFC 3378 section 3
  TunnelLeg leg = state.leg(TunnelKind::kIpInIp);
  switch (state.protocol) {
    case kProtocolIpv4:
    case kProtocolIpv6:
      if (is_6to4(state.rest)) leg.set_ends({}, {});
      return state.enter_tunnel(Layer::kIp, leg);
    case kProtocolMpls:
      return state.enter_tunnel(Layer::kMpls, leg);
    case kProtocolEthernet:
      leg.set_ends({}, {});  // segment routing
      return state.enter_tunnel(Layer::kEthernet, leg);
    case kProtocolEtherIp:
      if (state.rest.size < kEtherIpSize || state.rest.data[0] >> 4 != kEtherIpVersion) break;
      state.rest.skip(kEtherIpSize);
      leg.kind = TunnelKind::kEtherIp;
      return state.enter_tunnel(Layer::kEthernet, leg);
    default:
      break;
  }
  return state.stop(FrameFate::kNotTcp);
}

}  // namespace tcp_sniffer
