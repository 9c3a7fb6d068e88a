#pragma once

#include <cstdint>
#include <span>

#include "core/base/byte_order.h"
#include "core/base/defaults.h"
#include "core/net/encapsulation.h"
#include "core/net/fragment.h"
#include "core/net/link_type.h"
#include "core/net/segment.h"
#include "core/net/tcp_decoder.h"

namespace tcp_sniffer {

// Headers in one frame. The deepest real stacks (Ethernet, two VLANs, MPLS, IPv6 with extensions,
// GRE, …, four tunnels deep) stay under half of it; a crafted pile must end.
constexpr int kHeadersMax = 64;

struct DecodeOptions {
  bool tunnels = true;  // look into IP tunnels; false: what they carry is kNotTcp
  uint8_t tunnel_depth_max = defaults::kTunnelDepth;  // tunnels opened around one segment
  bool key_tunnel = true;         // the tunnels around a segment are part of the key
  uint64_t tunnel_secret = 0;     // of this run: keeps a tunnel from aiming at another's number
  bool key_vlan = false;          // the outermost VLAN is part of the key
  bool verify_checksums = false;  // bad IPv4 header or TCP checksum: kBadChecksum
  bool defrag = true;             // for the owner: whether kFragment goes to a Defragmenter
};

enum class FrameFate : uint8_t {
  kSegment,        // a TCP segment
  kFragment,       // a piece of an IP datagram that may carry TCP
  kNotIp,          // no IP in it, or not to be seen (encrypted Wi-Fi)
  kNotTcp,         // IP without TCP
  kMalformed,      // a header contradicts itself or the frame's size, or IP's or TCP's is cut
  kBadChecksum,    // only with verify_checksums
  kTunnelTooDeep,  // more than tunnel_depth_max tunnels, or an absurd pile of headers
};

// Finds the TCP segment in a captured frame: link layer, VLAN, MPLS, PPPoE, IP, tunnels, TCP. One
// capture thread owns it; nothing is allocated and no frame, however broken, is read beyond its
// captured bytes.
//
// 1. The innermost IP pair makes the key, and every tunnel around it: its kind, its two ends, and
//    an identifier if that is the same in both directions (the GRE key, VXLAN's and GENEVE's VNI).
//    So no packet in a tunnel can touch a connection outside, or in another tunnel. GTP's TEID, the
//    session ids of L2TP and ERSPAN and PPTP's call id are chosen by each receiver for itself: in a
//    direction-free key they would split every connection in two. Nor do ports of UDP tunnels
//    count, which many senders choose for each flow. Where the two directions have other ends, only
//    what they share counts: of ERSPAN the collector, of 6to4 and segment routing no end.
// 2. A header's length field decides: bytes after that are padding (Ethernet's minimum frame, a
//    Wi-Fi check sequence). If the length is beyond the frame's size on the wire, the packet is
//    malformed: receivers drop it, and so do Zeek and Suricata. Bytes are missing only if the
//    capture cut them, as the frame's record shows, or a mirror that marks it. A length of 0 in a
//    large IP packet is segmentation offload and means the rest of the frame.
// 3. Packets quoted in ICMP errors are not TCP segments.
// 4. VLAN, MPLS, PPPoE and PPP belong to the link: opened with tunnels = false, too, and not
//    counted as depth.
class FrameDecoder {
 public:
  // `counters`, if any, belongs to the calling thread and outlives this object.
  explicit FrameDecoder(const DecodeOptions& options, EncapsulationCounters* counters = nullptr)
      : options_(options), counters_(counters) {}

  // Decodes one frame of which frame.size() bytes of wire_size were captured.
  // kSegment: `segment` is filled except flow_hash, clock_ns, time_ns, frame and link_id; its
  // payload points into `frame`. kFragment: `fragment` is filled; its data points into `frame`.
  // Otherwise the contents of both are unspecified.
  FrameFate decode(LinkType link_type, std::span<const uint8_t> frame, uint32_t wire_size,
                   Segment& segment, Fragment& fragment) const {
    if (link_type == LinkType::kEthernet && !options_.verify_checksums &&
        decode_plain(frame, segment)) [[likely]] {
      return FrameFate::kSegment;
    }
    return decode_any(link_type, frame, wire_size, segment, fragment);
  }

  // Goes on after the IP header of a reassembled datagram: `header` and `payload` as the
  // Defragmenter gave them (header.wire_size is the datagram's size on the wire, of which
  // `payload` is the captured beginning). May find a tunnel or another fragment inside.
  // `fragment` may be the same object as `header`.
  FrameFate decode_datagram(const Fragment& header, std::span<const uint8_t> payload,
                            Segment& segment, Fragment& fragment) const;

  const DecodeOptions& options() const { return options_; }

 private:
  // Untagged Ethernet, IPv4 without options and not a fragment, TCP: nearly every frame there is.
  // False: not that simple, `segment` may be half written.
  static bool decode_plain(std::span<const uint8_t> frame, Segment& segment);

  FrameFate decode_any(LinkType link_type, std::span<const uint8_t> frame, uint32_t wire_size,
                       Segment& segment, Fragment& fragment) const;

  DecodeOptions options_;
  EncapsulationCounters* counters_;
};

// The outer IP packet in a frame, without what the link layer puts before it (VLAN tags, MPLS,
// PPPoE, LLC, …): its captured bytes. Empty: there is none.
std::span<const uint8_t> ip_packet_of(LinkType link_type, std::span<const uint8_t> frame,
                                      uint32_t wire_size);

inline bool FrameDecoder::decode_plain(std::span<const uint8_t> frame, Segment& segment) {
  constexpr uint32_t kLinkSize = 14;
  constexpr uint32_t kIpSize = 20;
  if (frame.size() < kLinkSize + kIpSize + kTcpHeaderSize) return false;
  const uint8_t* ip = frame.data() + kLinkSize;
  const uint8_t* tcp = ip + kIpSize;
  const bool is_plain = load_be32(frame.data() + 12) >> 8 == 0x080045 &&
                        (load_be16(ip + 6) & 0x3fff) == 0 && ip[9] == 6;
  if (!is_plain) return false;
  const uint32_t ip_total = load_be16(ip + 2);
  const uint32_t header_size = tcp_header_size(tcp);
  if (header_size < kTcpHeaderSize || ip_total < kIpSize + header_size) return false;
  if (ip_total > frame.size() - kLinkSize) return false;  // cut, or wrong
  segment.key.vlan = 0;
  segment.key.tunnel_kind = TunnelKind::kNone;
  segment.key.mapped_on_wire = 0;
  segment.key.tunnel_id = 0;
  segment.tunnel_public_id = 0;
  set_ipv4_endpoints(ip + 12, tcp, segment);
  segment.vlan = 0;
  segment.ip_id = load_be16(ip + 4);
  segment.ttl = ip[8];
  read_tcp_header(tcp, header_size, segment);
  set_tcp_payload(tcp, header_size, ip_total - kIpSize, ip_total - kIpSize, segment);
  return true;
}

}  // namespace tcp_sniffer
