#include "core/net/link_decoder.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kRecordHeaderSize = 4;
constexpr uint16_t kPayloadType = 9;  // NFULA_PAYLOAD of linux/netfilter/nfnetlink_log.h

// Finds the payload record. The records' integers are in the byte order of the capturing host,
// which is not recorded: the order in which the lengths make sense is the right one.
bool find_payload(PacketBytes bytes, bool is_little_endian, PacketBytes& payload) {
  while (bytes.size >= kRecordHeaderSize) {
    const uint16_t length = is_little_endian ? load_le16(bytes.data) : load_be16(bytes.data);
    const uint16_t type = is_little_endian ? load_le16(bytes.data + 2) : load_be16(bytes.data + 2);
    if (length < kRecordHeaderSize) return false;
    if (type == kPayloadType) {
      payload = bytes;
      payload.skip(kRecordHeaderSize);
      // A rule may log only the beginning of each packet (--nflog-size).
      payload.wire_size = length - kRecordHeaderSize;
      payload.size = std::min(payload.size, payload.wire_size);
      payload.is_cut_before = true;
      return true;
    }
    const uint32_t padded = (length + 3u) & ~3u;
    if (padded > bytes.size) return false;
    bytes.skip(padded);
  }
  return false;
}

}  // namespace

Layer decode_nflog(DecodeState& state) {
  constexpr uint32_t kHeaderSize = 4;  // family, version, resource id
  if (state.rest.size < kHeaderSize || state.rest.data[1] != 0) return state.stop_broken_link();
  state.rest.skip(kHeaderSize);
  PacketBytes payload;
  if (!find_payload(state.rest, true, payload) && !find_payload(state.rest, false, payload)) {
    return state.stop_unknown();
  }
  state.rest = payload;
  return Layer::kIp;
}

}  // namespace tcp_sniffer
