#include "core/net/link_decoder.h"

namespace tcp_sniffer {

Layer decode_ppp(DecodeState& state) {
  // PPP protocol numbers, RFC 1661 section 2 and the IANA registry.
  enum : uint16_t {
    kIpv4 = 0x0021,
    kIpv6 = 0x0057,
    kMplsUnicast = 0x0281,
    kMplsMulticast = 0x0283
  };
  if (state.rest.size >= 2 && load_be16(state.rest.data) == 0xff03) state.rest.skip(2);
  if (state.rest.size < 1) return state.stop_broken_link();
  // An odd first byte is a compressed protocol field, RFC 1661 section 6.5.
  uint16_t protocol = state.rest.data[0];
  if ((protocol & 1) != 0) {
    state.rest.skip(1);
  } else {
    if (state.rest.size < 2) return state.stop_broken_link();
    protocol = load_be16(state.rest.data);
    state.rest.skip(2);
  }
  state.count(Encapsulation::kPpp);
  switch (protocol) {
    case kIpv4:
    case kIpv6:
      return Layer::kIp;
    case kMplsUnicast:
    case kMplsMulticast:
      return Layer::kMpls;
    default:
      return state.stop_unknown();
  }
}

Layer decode_pppoe(DecodeState& state) {
  constexpr uint32_t kHeaderSize = 6;
  constexpr uint16_t kVersion1Session = 0x1100;  // version 1, type 1, code 0
  if (state.rest.size < kHeaderSize) return state.stop_broken_link();
  if (load_be16(state.rest.data) != kVersion1Session) return state.stop_unknown();
  state.count(Encapsulation::kPppoe);
  const uint16_t length = load_be16(state.rest.data + 4);
  state.rest.skip(kHeaderSize);
  return state.rest.set_wire_size(length) ? Layer::kPpp : state.stop(FrameFate::kMalformed);
}

}  // namespace tcp_sniffer
