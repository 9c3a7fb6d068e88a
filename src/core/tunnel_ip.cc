#include "core/ip_decoder.h"
#include "core/tunnel_decoder.h"

namespace tcp_sniffer {

Layer decode_ip_tunnel(DecodeState& state) {
  constexpr uint32_t kEtherIpSize = 2;
  constexpr uint8_t kEtherIpVersion = 3;  // RFC 3378 section 3
  switch (state.protocol) {
    case kProtocolIpv4:
    case kProtocolIpv6:
      return state.enter_tunnel(Layer::kIp, Encapsulation::kIpInIp);
    case kProtocolMpls:
      return state.enter_tunnel(Layer::kMpls, Encapsulation::kIpInIp);
    case kProtocolEthernet:
      return state.enter_tunnel(Layer::kEthernet, Encapsulation::kIpInIp);
    case kProtocolEtherIp:
      if (state.rest.size < kEtherIpSize || state.rest.data[0] >> 4 != kEtherIpVersion) break;
      state.rest.skip(kEtherIpSize);
      return state.enter_tunnel(Layer::kEthernet, Encapsulation::kEtherIp);
    default:
      break;
  }
  return state.stop(FrameFate::kNotTcp);
}

}  // namespace tcp_sniffer
