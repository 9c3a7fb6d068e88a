#include "core/net/ip_decoder.h"
#include "core/net/link_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kEthernetSize = 14;
constexpr uint16_t kEtherTypeMin = 0x0600;  // below: a length, IEEE 802.3 clause 3.2.6
constexpr uint16_t kLengthMax = 1500;

constexpr uint16_t kPpp = 0x880b;
constexpr uint16_t kEtherTypeMplsUnicast = 0x8847;
constexpr uint16_t kEtherTypeMplsMulticast = 0x8848;
constexpr uint16_t kPppoeSession = 0x8864;
constexpr uint16_t kBackboneService = 0x88e7;  // IEEE 802.1ah I-TAG

bool is_vlan_type(uint16_t ether_type) {
  switch (ether_type) {
    case 0x8100:  // IEEE 802.1Q
    case 0x88a8:  // IEEE 802.1ad
    case 0x9100:  // stacked tags before 802.1ad
    case 0x9200:
      return true;
    default:
      return false;
  }
}

// In a cooked capture the type is the one after all tags. Newer kernels leave the tags that they
// have not moved away in the data: the rest of a tag, and then others, up to that type again.
bool has_hidden_tag(const DecodeState& state) {
  if (!state.is_cooked || state.ip_version != 0 || looks_like_ip(state.rest)) return false;
  for (uint32_t at = 0; at + 4 <= state.rest.size; at += 4) {
    const uint16_t type = load_be16(state.rest.data + at + 2);
    if (type == state.ether_type) return true;
    if (!is_vlan_type(type)) return false;
  }
  return false;
}

Layer decode_type_or_length(uint16_t value, DecodeState& state) {
  if (value >= kEtherTypeMin) {
    state.ether_type = value;
    return Layer::kEtherType;
  }
  if (value > kLengthMax) return state.stop_unknown();
  return state.rest.set_wire_size(value) ? Layer::kLlc : state.stop(FrameFate::kMalformed);
}

}  // namespace

Layer decode_ethernet(DecodeState& state) {
  if (state.rest.size < kEthernetSize) return state.stop_broken_link();
  const uint16_t type = load_be16(state.rest.data + 12);
  state.rest.skip(kEthernetSize);
  return decode_type_or_length(type, state);
}

Layer decode_ether_type(DecodeState& state) {
  if (is_vlan_type(state.ether_type) || has_hidden_tag(state)) {
    if (state.rest.size < 4) return state.stop_broken_link();
    state.count(Encapsulation::kVlan);
    // A tag with id 0 only carries a priority (IEEE 802.1Q clause 9.6).
    if (state.vlan == 0) state.vlan = load_be16(state.rest.data) & 0x0fff;
    const uint16_t type = load_be16(state.rest.data + 2);
    state.rest.skip(4);
    return decode_type_or_length(type, state);
  }
  switch (state.ether_type) {
    case kEtherTypeIpv4:
    case kEtherTypeIpv6:
      return Layer::kIp;
    case kEtherTypeMplsUnicast:
    case kEtherTypeMplsMulticast:
      return Layer::kMpls;
    case kPppoeSession:
      return Layer::kPppoe;
    case kPpp:
      return Layer::kPpp;
    case kEthernetBridging:
      return Layer::kEthernet;
    case kBackboneService:
      if (state.rest.size < 4) return state.stop_broken_link();
      state.rest.skip(4);
      return Layer::kEthernet;
    default:
      return state.stop_unknown();
  }
}

Layer decode_llc(DecodeState& state) {
  constexpr uint32_t kLlcSize = 3;
  constexpr uint32_t kSnapSize = 8;
  constexpr uint32_t kUnnumberedSnap = 0xaaaa03;
  constexpr uint32_t kUnnumberedIp = 0x060603;
  if (state.rest.size < kLlcSize) return state.stop_broken_link();
  const uint32_t llc = load_be24(state.rest.data);
  if (llc == kUnnumberedIp) {
    state.rest.skip(kLlcSize);
    return Layer::kIp;
  }
  if (llc != kUnnumberedSnap || state.rest.size < kSnapSize) return state.stop_unknown();
  // 00-00-00: RFC 1042; 00-00-f8: IEEE 802.1H bridge tunnel encapsulation.
  const uint32_t organization = load_be24(state.rest.data + 3);
  if (organization != 0 && organization != 0x0000f8) return state.stop_unknown();
  state.ether_type = load_be16(state.rest.data + 6);
  state.rest.skip(kSnapSize);
  return state.ether_type >= kEtherTypeMin ? Layer::kEtherType : state.stop_unknown();
}

Layer decode_cisco_hdlc(DecodeState& state) {
  if (state.rest.size < 4) return state.stop_broken_link();
  state.ether_type = load_be16(state.rest.data + 2);
  state.rest.skip(4);
  return Layer::kEtherType;
}

bool looks_like_ethernet(PacketBytes bytes) {
  if (bytes.size < kEthernetSize) return false;
  uint16_t type = load_be16(bytes.data + 12);
  bytes.skip(kEthernetSize);
  while (is_vlan_type(type) && bytes.size >= 4) {
    type = load_be16(bytes.data + 2);
    bytes.skip(4);
  }
  return (type == kEtherTypeIpv4 || type == kEtherTypeIpv6) && looks_like_ip(bytes);
}

}  // namespace tcp_sniffer
