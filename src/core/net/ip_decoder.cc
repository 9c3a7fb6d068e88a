#include "core/net/ip_decoder.h"

#include "core/net/checksum.h"
#include "core/net/tcp_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

Layer decode_ip(DecodeState& state) {
  if (state.rest.size == 0) return state.stop(FrameFate::kMalformed);
  switch (state.rest.data[0] >> 4) {
    case 4:
      return decode_ipv4(state);
    case 6:
      return decode_ipv6(state);
    default:
      return state.stop(FrameFate::kMalformed);
  }
}

Layer decode_ip_protocol(DecodeState& state) {
  switch (state.protocol) {
    case kProtocolTcp:
      return Layer::kTcp;
    case kProtocolUdp:
      return state.options.tunnels ? Layer::kUdp : state.stop(FrameFate::kNotTcp);
    case kProtocolGre:
      return state.options.tunnels ? Layer::kGre : state.stop(FrameFate::kNotTcp);
    case kProtocolIpv4:
    case kProtocolIpv6:
    case kProtocolEtherIp:
    case kProtocolMpls:
    case kProtocolEthernet:
      return decode_ip_tunnel(state);
    case kProtocolAuthentication:
      return decode_extension_header(state);
    case kProtocolHopByHop:
    case kProtocolRouting:
    case kProtocolFragment:
    case kProtocolDestinationOptions:
    case kProtocolMobility:
    case kProtocolHostIdentity:
    case kProtocolShim6:
      return state.ip_version == 6 ? decode_extension_header(state)
                                   : state.stop(FrameFate::kNotTcp);
    default:
      return state.stop(FrameFate::kNotTcp);
  }
}

bool may_carry_tcp(uint8_t protocol, const DecodeOptions& options) {
  switch (protocol) {
    case kProtocolTcp:
    case kProtocolAuthentication:
    case kProtocolHopByHop:
    case kProtocolRouting:
    case kProtocolFragment:
    case kProtocolDestinationOptions:
    case kProtocolMobility:
    case kProtocolHostIdentity:
    case kProtocolShim6:
      return true;
    case kProtocolUdp:
    case kProtocolGre:
    case kProtocolIpv4:
    case kProtocolIpv6:
    case kProtocolEtherIp:
    case kProtocolMpls:
    case kProtocolEthernet:
      return options.tunnels;
    default:
      return false;
  }
}

void fill_fragment(DecodeState& state) {
  Fragment& fragment = state.fragment;
  fragment.source = state.source;
  fragment.destination = state.destination;
  fragment.vlan = state.vlan;
  fragment.ip_id = state.ip_id;
  fragment.ip_version = state.ip_version;
  fragment.protocol = state.protocol;
  fragment.ttl = state.ttl;
  fragment.depth = state.depth;
  fragment.tunnel = state.tunnel;
  fragment.data = {state.rest.data, state.rest.size};
  fragment.wire_size = state.rest.wire_size;
}

bool looks_like_ip(const PacketBytes& bytes) {
  const auto has = [&](uint32_t size) { return size <= bytes.wire_size || bytes.is_cut_before; };
  if (bytes.size < 20) return false;
  const uint8_t version = bytes.data[0] >> 4;
  if (version == 4) {
    const uint32_t header_size = (bytes.data[0] & 0x0fu) * 4;
    const uint32_t total = load_be16(bytes.data + 2);
    if (total == 0) return header_size >= 20 && bytes.wire_size > kUnsegmentedMax;
    return header_size >= 20 && total >= header_size && has(total);
  }
  return version == 6 && bytes.size >= 40 && has(load_be16(bytes.data + 4) + 40u);
}

Layer decode_tcp(DecodeState& state) {
  const PacketBytes& rest = state.rest;
  if (rest.size < kTcpHeaderSize) return state.stop(FrameFate::kMalformed);
  const uint8_t* tcp = rest.data;
  const uint32_t header_size = tcp_header_size(tcp);
  if (header_size < kTcpHeaderSize || header_size > rest.wire_size) {
    return state.stop(FrameFate::kMalformed);
  }
  const bool can_verify = rest.size == rest.wire_size && state.is_final_destination;
  if (state.options.verify_checksums && can_verify &&
      !tcp_checksum_ok(state.source, state.destination, {tcp, rest.size})) {
    return state.stop(FrameFate::kBadChecksum);
  }
  Segment& segment = state.segment;
  segment.key.vlan = state.options.key_vlan ? state.vlan : uint16_t{0};
  segment.key.tunnel_kind = state.tunnel.kind;
  segment.key.tunnel_id = state.tunnel.id;
  segment.tunnel_public_id = state.tunnel.public_id;
  set_endpoints(state.source, state.destination, tcp, segment);
  segment.key.mapped_on_wire =
      state.ip_version == 6 && is_v4_mapped(state.source) && is_v4_mapped(state.destination);
  segment.vlan = state.vlan;
  segment.ip_id = state.ip_id;
  segment.ttl = state.ttl;
  // Options that the capture cut are not known, but where the payload is and how long it was is.
  const uint32_t captured_header = std::min(header_size, rest.size);
  read_tcp_header(tcp, captured_header, segment);
  set_tcp_payload(tcp, captured_header, rest.size, rest.wire_size - (header_size - captured_header),
                  segment);
  return state.stop(FrameFate::kSegment);
}

}  // namespace tcp_sniffer
