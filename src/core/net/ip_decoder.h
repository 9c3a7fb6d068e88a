#pragma once

#include "core/net/decode_state.h"

namespace tcp_sniffer {

// IP and what follows it. The contract of each function is that of link_decoder.h; a cut or
// contradicting header is kMalformed.

enum IpProtocol : uint8_t {
  kProtocolHopByHop = 0,
  kProtocolIpv4 = 4,
  kProtocolTcp = 6,
  kProtocolUdp = 17,
  kProtocolIpv6 = 41,
  kProtocolRouting = 43,
  kProtocolFragment = 44,
  kProtocolGre = 47,
  kProtocolAuthentication = 51,
  kProtocolDestinationOptions = 60,
  kProtocolEtherIp = 97,
  kProtocolMobility = 135,
  kProtocolMpls = 137,
  kProtocolHostIdentity = 139,
  kProtocolShim6 = 140,
  kProtocolEthernet = 143,
};

// A length of 0 means that the driver had not filled it in yet: segmentation offload, which is for
// packets of more than one segment. 536 bytes is the smallest default segment, RFC 9293 section
// 3.7.1. Up to here 0 is wrong, and what follows the headers may be Ethernet's padding.
constexpr uint32_t kUnsegmentedMax = 576;

// IPv4 (RFC 791) or IPv6 (RFC 8200), by the first nibble.
Layer decode_ip(DecodeState& state);

// Goes on with state.protocol: IPv6 extension headers, tunnels, UDP, TCP.
Layer decode_ip_protocol(DecodeState& state);

Layer decode_ipv4(DecodeState& state);
Layer decode_ipv6(DecodeState& state);

// One IPv6 extension header (RFC 8200 section 4), the fragment header included, or the IP
// Authentication Header (RFC 4302) after either version.
Layer decode_extension_header(DecodeState& state);

// A TCP segment directly after IP: fills state.segment.
Layer decode_tcp(DecodeState& state);

// Fills state.fragment from the state, except id, offset and more. state.rest is its data.
void fill_fragment(DecodeState& state);

// Whether TCP can follow `protocol`, as far as `options` allow.
bool may_carry_tcp(uint8_t protocol, const DecodeOptions& options);

// Whether a valid IP header stands at `bytes`: used where no field names what a tunnel or a
// pseudowire carries.
bool looks_like_ip(const PacketBytes& bytes);

}  // namespace tcp_sniffer
