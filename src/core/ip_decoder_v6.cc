#include "core/ip_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kHeaderSize = 40;  // RFC 8200 section 3
constexpr uint32_t kFragmentHeaderSize = 8;

// RFC 8200 section 4.5.
Layer decode_fragment_header(DecodeState& state) {
  if (state.rest.size < kFragmentHeaderSize) return state.stop(FrameFate::kMalformed);
  const uint8_t* header = state.rest.data;
  const uint16_t field = load_be16(header + 2);
  state.protocol = header[0];
  state.rest.skip(kFragmentHeaderSize);
  // A fragment that is the whole datagram has nothing to do with others of its id, RFC 6946.
  if ((field & 0xfff9) == 0) return Layer::kIpProtocol;
  if (!may_carry_tcp(state.protocol, state.options)) return state.stop(FrameFate::kNotTcp);
  state.fragment.id = load_be32(header + 4);
  state.fragment.offset = field & 0xfff8u;
  state.fragment.more = (field & 1) != 0;
  fill_fragment(state);
  return state.stop(FrameFate::kFragment);
}

// With segments left, the IP header's destination is only the next hop; the checksum is over the
// final one (RFC 8200 section 8.1).
void note_routing_header(const uint8_t* header, DecodeState& state) {
  const uint8_t segments_left = header[3];
  if (segments_left != 0) state.is_final_destination = false;
}

}  // namespace

Layer decode_ipv6(DecodeState& state) {
  PacketBytes& rest = state.rest;
  if (rest.size < kHeaderSize) return state.stop(FrameFate::kMalformed);
  const uint8_t* ip = rest.data;
  const uint32_t payload_size = load_be16(ip + 4);
  // A payload length of 0 is a jumbogram (RFC 2675) or segmentation offload: in both cases the rest
  // of the frame.
  if (payload_size != 0) rest.set_wire_size(kHeaderSize + payload_size);
  state.ip_version = 6;
  state.is_final_destination = true;
  state.ip_id = 0;
  state.protocol = ip[6];
  state.ttl = ip[7];
  std::copy_n(ip + 8, 16, state.source.begin());
  std::copy_n(ip + 24, 16, state.destination.begin());
  rest.skip(kHeaderSize);
  return Layer::kIpProtocol;
}

Layer decode_extension_header(DecodeState& state) {
  if (state.protocol == kProtocolFragment) return decode_fragment_header(state);
  if (state.rest.size < 8) return state.stop(FrameFate::kMalformed);
  const uint8_t* header = state.rest.data;
  // Units of 8 bytes without the first; the Authentication Header counts words without two
  // (RFC 4302 section 2.2).
  const uint32_t size =
      state.protocol == kProtocolAuthentication ? (header[1] + 2u) * 4 : (header[1] + 1u) * 8;
  if (size > state.rest.size) return state.stop(FrameFate::kMalformed);
  if (state.protocol == kProtocolRouting) note_routing_header(header, state);
  state.protocol = header[0];
  state.rest.skip(size);
  return Layer::kIpProtocol;
}

}  // namespace tcp_sniffer
