#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

namespace {

bool read_tunnel_of_port(uint16_t port, const PacketBytes& payload, TunnelContent& content) {
  switch (port) {
    case 4789:  // RFC 7348
    case 8472:  // Linux before the port was assigned
      return read_vxlan(payload, content);
    case 6081:
      return read_geneve(payload, content);
    case 2152:
      return read_gtp(payload, content);
    case 3544:
      return read_teredo(payload, content);
    case 1701:
      return read_l2tp(payload, content);
    case 5072:
      return read_ayiya(payload, content);
    default:
      return false;
  }
}

}  // namespace

Layer decode_udp(DecodeState& state) {
  constexpr uint32_t kHeaderSize = 8;  // RFC 768
  if (state.rest.size < kHeaderSize) return state.stop(FrameFate::kNotTcp);
  const uint16_t source_port = load_be16(state.rest.data);
  const uint16_t destination_port = load_be16(state.rest.data + 2);
  const uint16_t length = load_be16(state.rest.data + 4);
  // A length of 0 is a jumbogram's (RFC 2675 section 4) or segmentation offload.
  if (length != 0 && (length < kHeaderSize || !state.rest.set_wire_size(length))) {
    return state.stop(FrameFate::kMalformed);
  }
  state.rest.skip(kHeaderSize);

  TunnelContent content;
  if (!read_tunnel_of_port(destination_port, state.rest, content) &&
      !read_tunnel_of_port(source_port, state.rest, content) &&
      !(state.ip_version == 4 && read_teredo_of_any_port(state.rest, content))) {
    return state.stop(FrameFate::kNotTcp);
  }
  TunnelLeg leg = state.leg(content.kind);
  leg.network = content.network;
  state.rest = content.inner;
  return state.enter_tunnel(content.layer, leg);
}

}  // namespace tcp_sniffer
