#include "core/net/frame_decoder.h"

#include "core/net/decode_state.h"
#include "core/net/ip_decoder.h"
#include "core/net/link_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

namespace {

Layer decode_layer(Layer layer, DecodeState& state) {
  switch (layer) {
    case Layer::kEthernet:
      return decode_ethernet(state);
    case Layer::kEtherType:
      return decode_ether_type(state);
    case Layer::kLlc:
      return decode_llc(state);
    case Layer::kPpp:
      return decode_ppp(state);
    case Layer::kPppoe:
      return decode_pppoe(state);
    case Layer::kCiscoHdlc:
      return decode_cisco_hdlc(state);
    case Layer::kMpls:
      return decode_mpls(state);
    case Layer::kIeee80211:
      return decode_ieee80211(state);
    case Layer::kIp:
      return decode_ip(state);
    case Layer::kIpProtocol:
      return decode_ip_protocol(state);
    case Layer::kGre:
      return decode_gre(state);
    case Layer::kUdp:
      return decode_udp(state);
    case Layer::kTcp:
      return decode_tcp(state);
    case Layer::kStop:
      break;
  }
  return Layer::kStop;
}

FrameFate decode_from(Layer layer, DecodeState& state) {
  for (int headers = 0; layer != Layer::kStop; ++headers) {
    if (headers == kHeadersMax) return FrameFate::kTunnelTooDeep;
    layer = decode_layer(layer, state);
  }
  return state.fate;
}

}  // namespace

std::span<const uint8_t> ip_packet_of(LinkType link_type, std::span<const uint8_t> frame,
                                      uint32_t wire_size) {
  const DecodeOptions options;
  Segment segment;
  Fragment fragment;
  const auto captured = static_cast<uint32_t>(frame.size());
  DecodeState state{.options = options,
                    .segment = segment,
                    .fragment = fragment,
                    .rest = {frame.data(), captured, std::max(captured, wire_size)}};
  Layer layer = start_link(link_type, state);
  for (int headers = 0; layer != Layer::kIp; ++headers) {
    if (layer == Layer::kStop || headers == kHeadersMax) return {};
    layer = decode_layer(layer, state);
  }
  return {state.rest.data, state.rest.size};
}

FrameFate FrameDecoder::decode_any(LinkType link_type, std::span<const uint8_t> frame,
                                   uint32_t wire_size, Segment& segment, Fragment& fragment) const {
  const auto captured = static_cast<uint32_t>(frame.size());
  DecodeState state{.options = options_,
                    .segment = segment,
                    .fragment = fragment,
                    .counters = counters_,
                    .rest = {frame.data(), captured, std::max(captured, wire_size)}};
  return decode_from(start_link(link_type, state), state);
}

FrameFate FrameDecoder::decode_datagram(const Fragment& header, std::span<const uint8_t> payload,
                                        Segment& segment, Fragment& fragment) const {
  const auto captured = static_cast<uint32_t>(payload.size());
  DecodeState state{.options = options_,
                    .segment = segment,
                    .fragment = fragment,
                    .counters = counters_,
                    .rest = {payload.data(), captured, std::max(captured, header.wire_size)},
                    .source = header.source,
                    .destination = header.destination,
                    .ip_id = header.ip_id,
                    .ip_version = header.ip_version,
                    .protocol = header.protocol,
                    .ttl = header.ttl,
                    .vlan = header.vlan,
                    .depth = header.depth,
                    .tunnel = header.tunnel};
  return decode_from(Layer::kIpProtocol, state);
}

}  // namespace tcp_sniffer
