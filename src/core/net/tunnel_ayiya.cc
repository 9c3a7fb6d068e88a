#include "core/net/ip_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// AYIYA, draft-massar-v6ops-ayiya-02 section 3: lengths, methods, operation, next header, time,
// identity of 2^n bytes, signature in words.
bool read_ayiya(PacketBytes payload, TunnelContent& content) {
  constexpr uint32_t kHeaderSize = 8;
  constexpr uint8_t kForward = 1;
  if (payload.size < kHeaderSize || (payload.data[2] & 0x0f) != kForward) return false;
  const uint32_t identity_size = 1u << (payload.data[0] >> 4);
  const uint32_t signature_size = (payload.data[1] >> 4) * 4u;
  const uint8_t next = payload.data[3];
  const uint32_t size = kHeaderSize + identity_size + signature_size;
  if ((next != kProtocolIpv4 && next != kProtocolIpv6) || payload.size < size) return false;
  payload.skip(size);
  content.inner = payload;
  content.kind = TunnelKind::kAyiya;
  content.layer = Layer::kIp;
  return looks_like_ip(payload);
}

}  // namespace tcp_sniffer
