#pragma once

#include "core/net/decode_state.h"

namespace tcp_sniffer {

// Link layers. Each function reads its header at state.rest, moves to the byte after it and returns
// the layer that comes next. A header that is cut or unknown ends in kNotIp (kNotTcp inside a
// tunnel), one whose length the frame contradicts in kMalformed.

// What a capture's link type begins with: skips the capture's own headers (cooked, radiotap, …).
Layer start_link(LinkType link_type, DecodeState& state);

// IEEE 802.3: Ethernet II or a length and LLC.
Layer decode_ethernet(DecodeState& state);

// Dispatches state.ether_type: VLAN tags (IEEE 802.1Q, 802.1ad and their predecessors), IEEE
// 802.1ah I-TAG, IP, MPLS, PPPoE. Remembers the outermost VLAN.
Layer decode_ether_type(DecodeState& state);

// IEEE 802.2 LLC, and SNAP (RFC 1042).
Layer decode_llc(DecodeState& state);

// PPP: RFC 1661, RFC 1662 address and control, protocol field compression.
Layer decode_ppp(DecodeState& state);

// PPPoE session stage, RFC 2516 section 4.
Layer decode_pppoe(DecodeState& state);

// Cisco HDLC: address, control, Ethernet type.
Layer decode_cisco_hdlc(DecodeState& state);

// MPLS label stack, RFC 3032. The first nibble of what follows decides what it is (RFC 4928 section
// 3), an Ethernet pseudowire with or without control word (RFC 4448) included.
Layer decode_mpls(DecodeState& state);

// IEEE 802.11 MAC header of a data frame that is not encrypted.
Layer decode_ieee80211(DecodeState& state);

// The capture's headers before 802.11: radiotap, AVS, Prism.
Layer decode_radiotap(DecodeState& state);
Layer decode_avs(DecodeState& state);
Layer decode_prism(DecodeState& state);

// Netfilter's log: a list of type-length-value records with the IP packet in one of them.
Layer decode_nflog(DecodeState& state);

// Whether an Ethernet frame with an IP packet stands at `bytes`.
bool looks_like_ethernet(PacketBytes bytes);

}  // namespace tcp_sniffer
