#include "core/net/tunnel_decoder.h"

namespace tcp_sniffer {

// The session id is left out of the key: a mirror may use one for each direction.

namespace {

// The mirror's own word that it cut the frame, at the same place in types II and III.
bool is_truncated(const uint8_t* header) {
  constexpr uint8_t kTruncated = 0x04;
  return (header[2] & kTruncated) != 0;
}

}  // namespace

Layer decode_erspan_1_2(DecodeState& state, bool has_gre_sequence) {
  constexpr uint32_t kType2Size = 8;
  if (!has_gre_sequence) {
    state.count(Encapsulation::kErspan);
    return Layer::kEthernet;
  }
  if (state.rest.size < kType2Size || state.rest.data[0] >> 4 != 1) {
    return state.stop(FrameFate::kNotTcp);
  }
  state.rest.is_cut_before = is_truncated(state.rest.data);
  state.rest.skip(kType2Size);
  state.count(Encapsulation::kErspan);
  return Layer::kEthernet;
}

Layer decode_erspan_3(DecodeState& state) {
  constexpr uint32_t kType3Size = 12;
  constexpr uint32_t kPlatformSize = 8;
  constexpr uint8_t kHasPlatform = 0x01;
  constexpr uint8_t kFrameIsEthernet = 0;
  constexpr uint8_t kFrameIsIp = 2;
  if (state.rest.size < kType3Size || state.rest.data[0] >> 4 != 2) {
    return state.stop(FrameFate::kNotTcp);
  }
  const uint8_t frame_type = (state.rest.data[10] >> 2) & 0x1f;
  const uint32_t size =
      kType3Size + ((state.rest.data[11] & kHasPlatform) != 0 ? kPlatformSize : 0);
  if (state.rest.size < size) return state.stop(FrameFate::kNotTcp);
  state.rest.is_cut_before = is_truncated(state.rest.data);
  state.rest.skip(size);
  state.count(Encapsulation::kErspan);
  if (frame_type == kFrameIsIp) return Layer::kIp;
  return frame_type == kFrameIsEthernet ? Layer::kEthernet : state.stop(FrameFate::kNotTcp);
}

}  // namespace tcp_sniffer
