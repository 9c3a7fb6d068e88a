#include "core/net/ip_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// GTP-U version 1, 3GPP TS 29.281 section 5.1. The TEID is chosen by the receiving side, so that
// the directions of one connection have different ones: it is no part of the key.
bool read_gtp(PacketBytes payload, TunnelContent& content) {
  constexpr uint32_t kHeaderSize = 8;
  constexpr uint32_t kOptionalSize = 4;  // sequence number, N-PDU number, next extension's type
  constexpr uint8_t kVersion1 = 0x30;    // version 1, protocol type GTP
  constexpr uint8_t kUserData = 255;     // G-PDU
  constexpr uint8_t kHasOptional = 0x07;
  constexpr uint8_t kHasExtension = 0x04;
  if (payload.size < kHeaderSize || (payload.data[0] & 0xf0) != kVersion1 ||
      payload.data[1] != kUserData) {
    return false;
  }
  const uint8_t flags = payload.data[0];
  const uint16_t length = load_be16(payload.data + 2);
  payload.skip(kHeaderSize);
  if (!payload.set_wire_size(length)) return false;
  if ((flags & kHasOptional) != 0) {
    if (payload.size < kOptionalSize) return false;
    uint8_t extension = (flags & kHasExtension) != 0 ? payload.data[3] : uint8_t{0};
    payload.skip(kOptionalSize);
    // Section 5.2.1: length in words, content, the type of the next one.
    while (extension != 0) {
      if (payload.size < 1) return false;
      const uint32_t size = payload.data[0] * 4u;
      if (size == 0 || size > payload.size) return false;
      extension = payload.data[size - 1];
      payload.skip(size);
    }
  }
  content.inner = payload;
  content.kind = TunnelKind::kGtp;
  content.layer = Layer::kIp;
  return looks_like_ip(payload);
}

}  // namespace tcp_sniffer
