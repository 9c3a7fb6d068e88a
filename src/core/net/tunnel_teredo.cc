#include "core/net/ip_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// RFC 4380 section 5.1.1: an optional authentication and an optional origin indication. Their first
// byte, 0, distinguishes both from an IPv6 packet.
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
  content.kind = TunnelKind::kTeredo;
  content.layer = Layer::kIp;
  return payload.size != 0 && payload.data[0] >> 4 == 6 && looks_like_ip(payload);
}

// The port is known of servers alone; clients and relays choose theirs. What is no Teredo passes by
// chance once in 2^50.
bool read_teredo_of_any_port(PacketBytes payload, TunnelContent& content) {
  constexpr uint32_t kPrefix = 0x20010000;  // RFC 4380 section 2.6: 2001::/32
  constexpr uint32_t kHeaderSize = 40;
  if (payload.size < kHeaderSize) return false;
  const bool may_be = payload.data[0] >> 4 == 6 || load_be16(payload.data) <= 1;
  if (!may_be || !read_teredo(payload, content)) return false;
  const uint8_t* ip = content.inner.data;
  return load_be16(ip + 4) + kHeaderSize == content.inner.wire_size &&
         (load_be32(ip + 8) == kPrefix || load_be32(ip + 24) == kPrefix);
}

}  // namespace tcp_sniffer
