#include "core/ip_decoder.h"
#include "core/tunnel_decoder.h"

namespace tcp_sniffer {

Layer decode_ip_tunnel(DecodeState& state) {
  constexpr uint32_t kEtherIpSize = 2;
  constexpr uint8_t kEtherIpVersion = 3;  // RFC 3378 section 3
  switch (state.protocol) {
    case kProtocolIpv4:
    case kProtocolIpv6:
      return state.enter_tunnel(Layer::kIp);
    case kProtocolMpls:
      return state.enter_tunnel(Layer::kMpls);
    case kProtocolEthernet:
      return state.enter_tunnel(Layer::kEthernet);
    case kProtocolEtherIp:
      if (state.rest.size < kEtherIpSize || state.rest.data[0] >> 4 != kEtherIpVersion) break;
      state.rest.skip(kEtherIpSize);
      return state.enter_tunnel(Layer::kEthernet);
    default:
      break;
  }
  return state.stop(FrameFate::kNotTcp);
}

}  // namespace tcp_sniffer
