#pragma once

#include <cstdint>
#include <span>

#include "core/net/flow_key.h"
#include "core/net/tunnel_path.h"

namespace tcp_sniffer {

// One IP fragment as the decoder met it. `data` points into the frame and is valid only until the
// next frame is read; the defragmenter copies what it keeps.
struct Fragment {
  IpAddress source{};
  IpAddress destination{};
  uint32_t id = 0;      // IPv4: 16 bits, IPv6: 32 bits
  uint32_t offset = 0;  // of data in the datagram's fragmentable part, bytes
  uint16_t vlan = 0;    // for keyVlan and `vlan` of the finished datagram
  uint16_t ip_id = 0;
  uint8_t ip_version = 4;  // 4 or 6
  uint8_t protocol = 0;    // IPv4 protocol, or the IPv6 fragment header's next header
  uint8_t ttl = 0;
  uint8_t depth = 0;  // tunnels already opened around it
  bool more = false;  // more fragments follow
  TunnelPath tunnel{};
  std::span<const uint8_t> data;  // captured part
  uint32_t wire_size = 0;         // of data on the wire
};

}  // namespace tcp_sniffer
