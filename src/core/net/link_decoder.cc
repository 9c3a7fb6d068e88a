#include "core/net/link_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kSllSize = 16;
constexpr uint32_t kSll2Size = 20;
constexpr uint16_t kSllLlc = 0x0004;  // "protocol" of 802.2 frames in cooked captures

// BSD loopback: an address family in the byte order of the capturing host (NULL) or of the network
// (LOOP). The family numbers differ between systems, so what follows must agree: 2 is IPv4
// everywhere; IPv6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD), 30 (Darwin).
Layer start_loopback(DecodeState& state) {
  if (state.rest.size < 4) return state.stop_broken_link();
  const uint32_t big = load_be32(state.rest.data);
  const uint32_t family = big > 0xffff ? swap_bytes(big) : big;
  state.rest.skip(4);
  switch (family) {
    case 2:
    case 10:
    case 24:
    case 28:
    case 30:
      return Layer::kIp;
    default:
      // Some writers put an Ethernet type there.
      if (family < 0x600) return state.stop_unknown();
      state.ether_type = static_cast<uint16_t>(family);
      return Layer::kEtherType;
  }
}

Layer start_cooked(DecodeState& state, uint32_t header_size, uint32_t protocol_at) {
  if (state.rest.size < header_size) return state.stop_broken_link();
  state.is_cooked = true;
  state.ether_type = load_be16(state.rest.data + protocol_at);
  state.rest.skip(header_size);
  return state.ether_type == kSllLlc ? Layer::kLlc : Layer::kEtherType;
}

// PPP in HDLC framing; the address byte of Cisco's framing is 0x0f (unicast) or 0x8f (broadcast).
Layer start_ppp_hdlc(DecodeState& state) {
  if (state.rest.size < 2) return state.stop_broken_link();
  const uint8_t address = state.rest.data[0];
  return address == 0x0f || address == 0x8f ? Layer::kCiscoHdlc : Layer::kPpp;
}

}  // namespace

Layer start_link(LinkType link_type, DecodeState& state) {
  switch (link_type) {
    case LinkType::kEthernet:
      return Layer::kEthernet;
    case LinkType::kNull:
    case LinkType::kLoop:
      return start_loopback(state);
    case LinkType::kRaw:
    case LinkType::kIpv4:
    case LinkType::kIpv6:
      return Layer::kIp;
    case LinkType::kLinuxSll:
      return start_cooked(state, kSllSize, 14);
    case LinkType::kLinuxSll2:
      return start_cooked(state, kSll2Size, 0);
    case LinkType::kPpp:
    case LinkType::kPppHdlc:
      return start_ppp_hdlc(state);
    case LinkType::kPppEther:
      return Layer::kPppoe;
    case LinkType::kCiscoHdlc:
      return Layer::kCiscoHdlc;
    case LinkType::kIeee80211:
      return Layer::kIeee80211;
    case LinkType::kIeee80211Radiotap:
      return decode_radiotap(state);
    case LinkType::kIeee80211Avs:
      return decode_avs(state);
    case LinkType::kPrism:
      return decode_prism(state);
    case LinkType::kNflog:
      return decode_nflog(state);
  }
  return state.stop_unknown();
}

}  // namespace tcp_sniffer
