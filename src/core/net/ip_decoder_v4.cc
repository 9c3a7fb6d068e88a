#include "core/net/checksum.h"
#include "core/net/ip_decoder.h"
#include "core/net/tcp_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kIpv4HeaderSize = 20;  // without options, RFC 791 section 3.1
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffsetMask = 0x1fff;  // units of 8 bytes

Layer stop_at_fragment(DecodeState& state, uint16_t fragment_field) {
  if (!may_carry_tcp(state.protocol, state.options)) return state.stop(FrameFate::kNotTcp);
  Fragment& fragment = state.fragment;
  fragment.id = state.ip_id;
  fragment.offset = (fragment_field & kOffsetMask) * 8u;
  fragment.more = (fragment_field & kMoreFragments) != 0;
  fill_fragment(state);
  return state.stop(FrameFate::kFragment);
}

}  // namespace

Layer decode_ipv4(DecodeState& state) {
  PacketBytes& rest = state.rest;
  if (rest.size < kIpv4HeaderSize) return state.stop(FrameFate::kMalformed);
  const uint8_t* ip = rest.data;
  const uint32_t header_size = (ip[0] & 0x0fu) * 4;
  const uint32_t claimed = load_be16(ip + 2);
  const bool is_offloaded = claimed == 0 && rest.wire_size > kUnsegmentedMax;
  const uint32_t total = is_offloaded ? rest.wire_size : claimed;
  if (header_size < kIpv4HeaderSize || total < header_size || rest.size < header_size ||
      !rest.set_wire_size(total)) {
    return state.stop(FrameFate::kMalformed);
  }
  if (state.options.verify_checksums && !ipv4_checksum_ok({ip, header_size})) {
    return state.stop(FrameFate::kBadChecksum);
  }
  state.ip_version = 4;
  state.is_final_destination = true;
  state.is_source_routed = false;
  state.ip_id = load_be16(ip + 4);
  state.ttl = ip[8];
  state.protocol = ip[9];
  set_v4_mapped(state.source, ip + 12);
  set_v4_mapped(state.destination, ip + 16);
  rest.skip(header_size);
  const uint16_t fragment_field = load_be16(ip + 6);
  if ((fragment_field & (kMoreFragments | kOffsetMask)) != 0) {
    return stop_at_fragment(state, fragment_field);
  }
  return Layer::kIpProtocol;
}

}  // namespace tcp_sniffer
