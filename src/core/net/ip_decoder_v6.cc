#include <optional>

#include "core/net/ip_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kIpv6HeaderSize = 40;  // RFC 8200 section 3
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

// The length in the jumbo payload option of the hop-by-hop options at `header`, RFC 2675 section 2;
// 0: it is not there.
uint32_t jumbo_length(const uint8_t* header, uint32_t captured) {
  constexpr uint8_t kPad1 = 0;
  constexpr uint8_t kJumboPayload = 0xc2;
  if (captured < 8) return 0;
  const uint32_t size = std::min<uint32_t>(captured, (header[1] + 1u) * 8);
  for (uint32_t at = 2; at + 6 <= size;) {
    if (header[at] == kJumboPayload && header[at + 1] == 4) return load_be32(header + at + 2);
    at += header[at] == kPad1 ? 1 : 2u + header[at + 1];
  }
  return 0;
}

// How many bytes follow the IPv6 header at `rest`; no number: the lengths contradict the frame.
// A payload length of 0 is a jumbogram, or segmentation offload: in both cases more than fits.
std::optional<uint32_t> payload_size_of(const PacketBytes& rest) {
  const uint8_t* ip = rest.data;
  const uint32_t size = load_be16(ip + 4);
  if (size != 0) return size;
  if (ip[6] == kProtocolHopByHop) {
    const uint32_t jumbo = jumbo_length(ip + kIpv6HeaderSize, rest.size - kIpv6HeaderSize);
    if (jumbo > 0xffff) return jumbo;
    if (jumbo != 0) return {};
  }
  return rest.wire_size > kUnsegmentedMax ? rest.wire_size - kIpv6HeaderSize : 0;
}

// With segments left, the IP header's destination is only the next hop; the checksum is over the
// final one (RFC 8200 section 8.1).
void note_routing_header(const uint8_t* header, DecodeState& state) {
  const uint8_t segments_left = header[3];
  state.is_source_routed = true;
  if (segments_left != 0) state.is_final_destination = false;
}

}  // namespace

Layer decode_ipv6(DecodeState& state) {
  PacketBytes& rest = state.rest;
  if (rest.size < kIpv6HeaderSize) return state.stop(FrameFate::kMalformed);
  const uint8_t* ip = rest.data;
  const std::optional<uint32_t> payload_size = payload_size_of(rest);
  if (!payload_size || *payload_size > UINT32_MAX - kIpv6HeaderSize ||
      !rest.set_wire_size(kIpv6HeaderSize + *payload_size)) {
    return state.stop(FrameFate::kMalformed);
  }
  state.ip_version = 6;
  state.is_final_destination = true;
  state.is_source_routed = false;
  state.ip_id = 0;
  state.protocol = ip[6];
  state.ttl = ip[7];
  std::copy_n(ip + 8, 16, state.source.begin());
  std::copy_n(ip + 24, 16, state.destination.begin());
  rest.skip(kIpv6HeaderSize);
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
