#include "core/net/link_decoder.h"

namespace tcp_sniffer {

// IEEE 802.11-2020 clause 9.3.2 (data frames) and 9.2.4 (fields).
Layer decode_ieee80211(DecodeState& state) {
  constexpr uint32_t kHeaderSize = 24;
  constexpr uint8_t kTypeMask = 0x0f;  // version and type
  constexpr uint8_t kDataType = 0x08;
  constexpr uint8_t kSubtypeNoData = 0x40;
  constexpr uint8_t kSubtypeQos = 0x80;
  constexpr uint8_t kBothDistributionSystems = 0x03;
  constexpr uint8_t kMoreFragmentsFlag = 0x04;
  constexpr uint8_t kProtected = 0x40;
  constexpr uint8_t kHighThroughputControl = 0x80;
  constexpr uint8_t kAggregate = 0x80;  // A-MSDU, in the QoS control field

  PacketBytes& rest = state.rest;
  if (rest.size < kHeaderSize) return state.stop_broken_link();
  const uint8_t type = rest.data[0];
  const uint8_t flags = rest.data[1];
  if ((type & kTypeMask) != kDataType || (type & kSubtypeNoData) != 0) return state.stop_unknown();
  if ((flags & (kProtected | kMoreFragmentsFlag)) != 0) return state.stop_unknown();
  if ((load_le16(rest.data + 22) & 0x000f) != 0) return state.stop_unknown();  // a later fragment

  uint32_t size = kHeaderSize;
  if ((flags & kBothDistributionSystems) == kBothDistributionSystems) size += 6;  // address 4
  bool is_aggregate = false;
  if ((type & kSubtypeQos) != 0) {
    if (rest.size < size + 2) return state.stop_broken_link();
    is_aggregate = (rest.data[size] & kAggregate) != 0;
    size += 2;
    if ((flags & kHighThroughputControl) != 0) size += 4;
  }
  if (state.is_wifi_padded) size = (size + 3) & ~3u;
  if (rest.size < size) return state.stop_broken_link();
  rest.skip(size);
  state.count(Encapsulation::kWifi);
  if (!is_aggregate) return Layer::kLlc;

  // Clause 9.3.2.2: each part is addresses, length, data. A frame yields one segment at most: that
  // of the first part.
  constexpr uint32_t kPartHeaderSize = 14;
  if (rest.size < kPartHeaderSize) return state.stop_broken_link();
  const uint16_t length = load_be16(rest.data + 12);
  rest.skip(kPartHeaderSize);
  return rest.set_wire_size(length) ? Layer::kLlc : state.stop(FrameFate::kMalformed);
}

// https://www.radiotap.org: version, pad, length, presence bits, then fields in the order of the
// bits, each aligned to its own size. Only the flags field matters here.
Layer decode_radiotap(DecodeState& state) {
  constexpr uint32_t kMinimumSize = 8;
  constexpr uint32_t kHasTimestamp = 1u << 0;  // 8 bytes
  constexpr uint32_t kHasFlags = 1u << 1;      // 1 byte
  constexpr uint32_t kMorePresence = 1u << 31;
  constexpr uint8_t kFlagPadded = 0x20;  // between the 802.11 header and the data, to 32 bits

  const PacketBytes& rest = state.rest;
  if (rest.size < kMinimumSize || rest.data[0] != 0) return state.stop_broken_link();
  const uint32_t length = load_le16(rest.data + 2);
  if (length < kMinimumSize || length > rest.size) return state.stop_broken_link();
  const uint32_t present = load_le32(rest.data + 4);
  uint32_t at = 4;
  while (at + 8 <= length && (load_le32(rest.data + at) & kMorePresence) != 0) at += 4;
  at += 4;
  if ((present & kHasTimestamp) != 0) at = ((at + 7) & ~7u) + 8;
  if ((present & kHasFlags) != 0 && at < length) {
    state.is_wifi_padded = (rest.data[at] & kFlagPadded) != 0;
  }
  state.rest.skip(length);
  return Layer::kIeee80211;
}

// AVS: a magic number and the header's length.
Layer decode_avs(DecodeState& state) {
  constexpr uint32_t kMagicMask = 0xfffff000;
  constexpr uint32_t kMagic = 0x80211000;  // the last digit is the version
  if (state.rest.size < 8) return state.stop_broken_link();
  const uint32_t length = load_be32(state.rest.data + 4);
  if ((load_be32(state.rest.data) & kMagicMask) != kMagic || length < 8 ||
      length > state.rest.size) {
    return state.stop_broken_link();
  }
  state.rest.skip(length);
  return Layer::kIeee80211;
}

// Prism: message code 0x44, message length, in the byte order of the capturing host. Drivers put
// AVS headers under the same link type.
Layer decode_prism(DecodeState& state) {
  constexpr uint32_t kMessageCode = 0x44;
  constexpr uint32_t kMinimumSize = 24;
  if (state.rest.size < 8) return state.stop_broken_link();
  const uint32_t code = load_le32(state.rest.data);
  if (code != kMessageCode && swap_bytes(code) != kMessageCode) return decode_avs(state);
  const uint32_t length =
      code == kMessageCode ? load_le32(state.rest.data + 4) : load_be32(state.rest.data + 4);
  if (length < kMinimumSize || length > state.rest.size) return state.stop_broken_link();
  state.rest.skip(length);
  return Layer::kIeee80211;
}

}  // namespace tcp_sniffer
