#include "core/net/ip_decoder.h"
#include "core/net/link_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// RFC 8926 section 3.4: version and length of the options in words, flags, the type of the
// payload, network identifier.
bool read_geneve(PacketBytes payload, TunnelContent& content) {
  constexpr uint32_t kHeaderSize = 8;
  if (payload.size < kHeaderSize || payload.data[0] >> 6 != 0) return false;
  const uint32_t size = kHeaderSize + (payload.data[0] & 0x3fu) * 4;
  if (payload.size < size) return false;
  const uint16_t type = load_be16(payload.data + 2);
  content.kind = TunnelKind::kGeneve;
  content.network = network_number(load_be24(payload.data + 4));
  payload.skip(size);
  content.inner = payload;
  content.layer = type == kEthernetBridging ? Layer::kEthernet : Layer::kIp;
  if (type == kEthernetBridging) return looks_like_ethernet(payload);
  return (type == kEtherTypeIpv4 || type == kEtherTypeIpv6) && looks_like_ip(payload);
}

}  // namespace tcp_sniffer
