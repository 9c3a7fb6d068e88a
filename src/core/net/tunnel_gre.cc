#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

namespace {

// Flags, RFC 2890 section 2 and RFC 2637 section 4.1.
constexpr uint16_t kChecksumPresent = 0x8000;
constexpr uint16_t kRoutingPresent = 0x4000;  // RFC 1701 only: not followed
constexpr uint16_t kKeyPresent = 0x2000;
constexpr uint16_t kSequencePresent = 0x1000;
constexpr uint16_t kAcknowledgmentPresent = 0x0080;
constexpr uint16_t kVersionMask = 0x0007;

constexpr uint16_t kErspan12 = 0x88be;
constexpr uint16_t kErspan3 = 0x22eb;
constexpr uint16_t kWccp = 0x883e;
constexpr uint16_t kArubaFirst = 0x8200;  // access points: 802.11 frames
constexpr uint16_t kArubaLast = 0x83ff;

Layer decode_content(DecodeState& state, uint16_t type, bool has_sequence) {
  if (type >= kArubaFirst && type <= kArubaLast) return Layer::kIeee80211;
  switch (type) {
    case kErspan12:
      return decode_erspan_1_2(state, has_sequence);
    case kErspan3:
      return decode_erspan_3(state);
    case kWccp:
      // Version 2 puts a redirect header of 4 bytes before the IP packet, version 1 nothing
      // (draft-wilson-wrec-wccp-v2-01 section 4.12).
      if (state.rest.size >= 4 && state.rest.data[0] >> 4 != 4) state.rest.skip(4);
      return Layer::kIp;
    default:
      state.ether_type = type;
      return Layer::kEtherType;
  }
}

// RFC 2637 section 4.1. The key holds the payload's length and the receiver's call id, which each
// side chooses for itself and so is no part of the flow's key.
Layer decode_pptp(DecodeState& state, uint16_t flags) {
  const uint32_t size = 8 + ((flags & kSequencePresent) != 0 ? 4u : 0u) +
                        ((flags & kAcknowledgmentPresent) != 0 ? 4u : 0u);
  if ((flags & kSequencePresent) == 0 || state.rest.size < size) {
    return state.stop(FrameFate::kNotTcp);  // an acknowledgment alone
  }
  const uint16_t type = load_be16(state.rest.data + 2);
  const uint16_t payload_size = load_be16(state.rest.data + 4);
  state.rest.skip(size);
  if (!state.rest.set_wire_size(payload_size)) return state.stop(FrameFate::kMalformed);
  state.ether_type = type;
  return state.enter_tunnel(Layer::kEtherType, state.leg(TunnelKind::kPptp));
}

// NVGRE (RFC 7637 section 3.2) keeps a flow number, which differs between the directions, in the
// low 8 bits of the key: only the 24 bits above name the network.
uint32_t network_of_key(uint32_t key, uint16_t type, uint16_t flags) {
  const bool is_nvgre = type == kEthernetBridging && flags == kKeyPresent;
  return is_nvgre ? key >> 8 : key;
}

}  // namespace

Layer decode_gre(DecodeState& state) {
  constexpr uint32_t kHeaderSize = 4;
  if (state.rest.size < kHeaderSize) return state.stop(FrameFate::kNotTcp);
  const uint16_t flags = load_be16(state.rest.data);
  const uint16_t type = load_be16(state.rest.data + 2);
  const uint16_t version = flags & kVersionMask;
  if (version == 1) return decode_pptp(state, flags);
  if (version != 0 || (flags & kRoutingPresent) != 0) return state.stop(FrameFate::kNotTcp);

  const uint32_t key_at = kHeaderSize + ((flags & kChecksumPresent) != 0 ? 4u : 0u);
  const uint32_t size =
      key_at + ((flags & kKeyPresent) != 0 ? 4u : 0u) + ((flags & kSequencePresent) != 0 ? 4u : 0u);
  if (state.rest.size < size) return state.stop(FrameFate::kNotTcp);
  TunnelLeg leg = state.leg(TunnelKind::kGre);
  if ((flags & kKeyPresent) != 0) {
    const uint32_t key = load_be32(state.rest.data + key_at);
    leg.network = network_number(network_of_key(key, type, flags));
  }
  if (type == kErspan12 || type == kErspan3) {
    // A mirror sends one way, and a collector may get a connection's directions from two of them.
    leg.kind = TunnelKind::kErspan;
    leg.set_ends(state.destination, state.destination);
  }
  state.rest.skip(size);
  const Layer content = decode_content(state, type, (flags & kSequencePresent) != 0);
  return content == Layer::kStop ? content : state.enter_tunnel(content, leg, Encapsulation::kGre);
}

}  // namespace tcp_sniffer
