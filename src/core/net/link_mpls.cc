#include "core/net/ip_decoder.h"
#include "core/net/link_decoder.h"

namespace tcp_sniffer {

Layer decode_mpls(DecodeState& state) {
  constexpr uint32_t kLabelSize = 4;
  constexpr uint32_t kControlWordSize = 4;
  state.count(Encapsulation::kMpls);
  bool is_bottom = false;
  while (!is_bottom) {
    if (state.rest.size < kLabelSize) return state.stop_broken_link();
    is_bottom = (state.rest.data[2] & 1) != 0;
    state.rest.skip(kLabelSize);
  }
  if (state.rest.size == 0) return state.stop_broken_link();
  // Only the two routers know from the label what follows. A first nibble of 4 or 6 is IP unless it
  // is the address of an Ethernet pseudowire without control word; 0 is a control word (RFC 4385),
  // 1 the pseudowire's own channel.
  if (looks_like_ip(state.rest)) return Layer::kIp;
  if (looks_like_ethernet(state.rest)) return Layer::kEthernet;
  const uint8_t nibble = state.rest.data[0] >> 4;
  if (nibble == 4 || nibble == 6) return Layer::kIp;
  if (nibble != 0 || state.rest.size < kControlWordSize) return state.stop_unknown();
  state.rest.skip(kControlWordSize);
  return Layer::kEthernet;
}

}  // namespace tcp_sniffer
