#pragma once

#include <algorithm>
#include <cstdint>

#include "core/net/frame_decoder.h"

namespace tcp_sniffer {

// What one header's decoder hands to the next one. Internal to the decoders: one object lives on
// the stack for one frame.

// The rest of the packet, from the next header on. size <= wire_size.
struct PacketBytes {
  const uint8_t* data = nullptr;
  uint32_t size = 0;       // captured
  uint32_t wire_size = 0;  // on the wire
  // The packet was cut by a mirror or by netfilter's log, which do not record how much.
  bool is_cut_before = false;

  // bytes <= size
  void skip(uint32_t bytes) {
    data += bytes;
    size -= bytes;
    wire_size -= bytes;
  }

  // A length field claims that the packet has `bytes` from here: what follows is padding. False:
  // the frame had less on the wire, so the field is wrong. Receivers drop such a packet.
  [[nodiscard]] bool set_wire_size(uint32_t bytes) {
    if (bytes > wire_size && !is_cut_before) return false;
    is_cut_before = false;
    wire_size = bytes;
    size = std::min(size, bytes);
    return true;
  }
};

constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr uint16_t kEthernetBridging = 0x6558;  // EtherType of a whole Ethernet frame, RFC 1701

// Which decoder goes on.
enum class Layer : uint8_t {
  kStop,        // state.fate is how it ended
  kEthernet,    // IEEE 802.3 frame from the destination address on
  kEtherType,   // state.ether_type names what follows
  kLlc,         // IEEE 802.2
  kPpp,         // RFC 1661, with or without the HDLC address and control
  kPppoe,       // RFC 2516 session header
  kCiscoHdlc,   // RFC 1547 section 4.3.1
  kMpls,        // RFC 3032 label stack
  kIeee80211,   // 802.11 MAC header
  kIp,          // version by the first nibble
  kIpProtocol,  // state.protocol names what follows
  kGre,
  kUdp,
  kTcp,
};

struct DecodeState {
  const DecodeOptions& options;
  Segment& segment;
  Fragment& fragment;
  EncapsulationCounters* counters = nullptr;
  PacketBytes rest;
  FrameFate fate = FrameFate::kNotIp;

  // From the innermost IP header found so far.
  IpAddress source{};
  IpAddress destination{};
  uint16_t ip_id = 0;
  uint8_t ip_version = 0;  // 0: none yet
  uint8_t protocol = 0;
  uint8_t ttl = 0;
  bool is_final_destination = true;  // false: a routing header holds the checksum's address
  bool is_source_routed = false;     // there is a routing header

  bool is_cooked = false;       // a cooked capture: tags may stand where its type says IP
  bool is_wifi_padded = false;  // radiotap: the 802.11 header is padded to 32 bits

  uint16_t ether_type = 0;
  uint16_t vlan = 0;
  uint8_t depth = 0;
  TunnelPath tunnel{};

  Layer stop(FrameFate with) {
    fate = with;
    return Layer::kStop;
  }

  // The packet ends in something that is not followed any further.
  Layer stop_unknown() { return stop(ip_version == 0 ? FrameFate::kNotIp : FrameFate::kNotTcp); }

  // After a link layer's header that is cut or broken nothing is known about IP or TCP.
  Layer stop_broken_link() { return stop_unknown(); }

  void count(Encapsulation encapsulation) {
    if (counters != nullptr) counters->add(encapsulation);
  }

  // The tunnel between the ends of the IP header before it. With segment routing (RFC 8986) the
  // directions have no address in common: then its ends do not count.
  TunnelLeg leg(TunnelKind kind) const {
    TunnelLeg leg{.kind = kind};
    if (!is_source_routed) leg.set_ends(source, destination);
    return leg;
  }

  // Goes on with `next` inside a tunnel, whose header is counted as its kind or as `encapsulation`.
  Layer enter_tunnel(Layer next, const TunnelLeg& leg) {
    return enter_tunnel(next, leg, encapsulation_of(leg.kind));
  }
  Layer enter_tunnel(Layer next, const TunnelLeg& leg, Encapsulation encapsulation) {
    if (!options.tunnels) return stop(FrameFate::kNotTcp);
    if (depth >= options.tunnel_depth_max) return stop(FrameFate::kTunnelTooDeep);
    ++depth;
    count(encapsulation);
    if (options.key_tunnel) tunnel = inside(tunnel, leg, options.tunnel_secret);
    return next;
  }
};

}  // namespace tcp_sniffer
