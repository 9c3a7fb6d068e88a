#include "core/ip_decoder.h"
#include "core/tunnel_decoder.h"

namespace tcp_sniffer {

// RFC 4380 section 5.1.1: an optional authentication and an optional origin indication, both told
// from the IPv6 packet by their first byte 0.
bool read_teredo(PacketBytes payload, TunnelContent& content) {
  constexpr uint16_t kAuthentication = 0x0001;
  constexpr uint16_t kOrigin = 0x0000;
  constexpr uint32_t kOriginSize = 8;
  if (payload.size >= 4 && load_be16(payload.data) == kAuthentication) {
    // Lengths of the client identifier and of the authentication value; nonce and confirmation.
    const uint32_t size = 4u + payload.data[2] + payload.data[3] + 9u;
    if (payload.size < size) return false;
    payload.skip(size);
  }
  if (payload.size >= kOriginSize && load_be16(payload.data) == kOrigin) payload.skip(kOriginSize);
  content.inner = payload;
  content.encapsulation = Encapsulation::kTeredo;
  content.kind = TunnelKind::kTeredo;
  content.layer = Layer::kIp;
  return payload.size != 0 && payload.data[0] >> 4 == 6 && looks_like_ip(payload);
}

}  // namespace tcp_sniffer
