#include "core/net/link_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// RFC 7348 section 5: flags, 24 reserved bits, network identifier, 8 reserved bits, an Ethernet
// frame. The other flags and reserved bits belong to extensions that change nothing here (group
// policy).
bool read_vxlan(PacketBytes payload, TunnelContent& content) {
  constexpr uint32_t kHeaderSize = 8;
  constexpr uint8_t kHasNetwork = 0x08;
  if (payload.size < kHeaderSize || (payload.data[0] & kHasNetwork) == 0) return false;
  content.kind = TunnelKind::kVxlan;
  content.network = network_number(load_be24(payload.data + 4));
  payload.skip(kHeaderSize);
  content.inner = payload;
  content.layer = Layer::kEthernet;
  return looks_like_ethernet(payload);
}

}  // namespace tcp_sniffer
