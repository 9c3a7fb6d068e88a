#pragma once

#include "core/net/decode_state.h"

namespace tcp_sniffer {

// Tunnels in IP. The contract of the decode_ functions is that of link_decoder.h; a tunnel that
// carries no IP ends in kNotTcp.

// IP in IP (RFC 2003, RFC 2473), 6in4 (RFC 4213), EtherIP (RFC 3378), MPLS in IP (RFC 4023),
// Ethernet in IPv6 (RFC 8986 section 4.9), by state.protocol.
Layer decode_ip_tunnel(DecodeState& state);

// GRE, RFC 2784 and RFC 2890; its version 1 is PPTP's, RFC 2637.
Layer decode_gre(DecodeState& state);

// ERSPAN (draft-foschiano-erspan-03) after GRE type 0x88be: type I has no header of its own and
// type II follows a GRE sequence number.
Layer decode_erspan_1_2(DecodeState& state, bool has_gre_sequence);

// ERSPAN type III, GRE type 0x22eb.
Layer decode_erspan_3(DecodeState& state);

// UDP, as far as it carries one of the tunnels below: known by a port and a valid inner header,
// Teredo by that alone.
Layer decode_udp(DecodeState& state);

// What was read from a UDP tunnel's header.
struct TunnelContent {
  PacketBytes inner;
  Layer layer = Layer::kIp;  // of `inner`
  TunnelKind kind = TunnelKind::kNone;
  uint64_t network = 0;  // network_number() of one that is the same in both directions
};

// Each reads a UDP payload and is false when this is not its tunnel with an IP packet inside.
bool read_vxlan(PacketBytes payload, TunnelContent& content);   // RFC 7348
bool read_geneve(PacketBytes payload, TunnelContent& content);  // RFC 8926
bool read_gtp(PacketBytes payload, TunnelContent& content);     // 3GPP TS 29.281
bool read_teredo(PacketBytes payload, TunnelContent& content);  // RFC 4380
// The same between other ports: a whole IPv6 packet with a Teredo address and nothing after it.
bool read_teredo_of_any_port(PacketBytes payload, TunnelContent& content);
bool read_l2tp(PacketBytes payload, TunnelContent& content);   // RFC 2661
bool read_ayiya(PacketBytes payload, TunnelContent& content);  // draft-massar-v6ops-ayiya-02

}  // namespace tcp_sniffer
