#include "core/net/ip_decoder.h"
#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

namespace {

bool looks_like_ppp_with_ip(PacketBytes bytes) {
  if (bytes.size >= 2 && load_be16(bytes.data) == 0xff03) bytes.skip(2);
  if (bytes.size < 2) return false;
  const uint16_t protocol = load_be16(bytes.data);
  const bool is_compressed = (bytes.data[0] & 1) != 0;
  const uint16_t value = is_compressed ? bytes.data[0] : protocol;
  bytes.skip(is_compressed ? 1 : 2);
  return (value == 0x0021 || value == 0x0057) && looks_like_ip(bytes);
}

}  // namespace

// Version 2 data messages, RFC 2661 section 3.1. Tunnel and session id are the receiver's own
// numbers and differ between the directions: no part of the key.
bool read_l2tp(PacketBytes payload, TunnelContent& content) {
  constexpr uint16_t kControl = 0x8000;
  constexpr uint16_t kHasLength = 0x4000;
  constexpr uint16_t kHasSequence = 0x0800;
  constexpr uint16_t kHasOffset = 0x0200;
  constexpr uint16_t kL2tpVersionMask = 0x000f;
  if (payload.size < 2) return false;
  const uint16_t flags = load_be16(payload.data);
  if ((flags & kControl) != 0 || (flags & kL2tpVersionMask) != 2) return false;
  uint32_t size = 2;
  if ((flags & kHasLength) != 0) {
    if (payload.size < size + 2) return false;
    const uint16_t length = load_be16(payload.data + size);
    if (!payload.set_wire_size(length)) return false;
    size += 2;
  }
  size += 4;  // tunnel id, session id
  if ((flags & kHasSequence) != 0) size += 4;
  if ((flags & kHasOffset) != 0) {
    if (payload.size < size + 2) return false;
    size += 2u + load_be16(payload.data + size);
  }
  if (payload.size < size) return false;
  payload.skip(size);
  content.inner = payload;
  content.kind = TunnelKind::kL2tp;
  content.layer = Layer::kPpp;
  return looks_like_ppp_with_ip(payload);
}

}  // namespace tcp_sniffer
