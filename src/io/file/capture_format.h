#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/net/link_type.h"

namespace tcp_sniffer {

// The largest frame or pcapng block that is believed. libpcap's limit is 262,144 for most link
// types and 128 MiB for USB and D-Bus, which carry no IP; a length beyond this is corruption.
constexpr size_t kBlockSizeMax = size_t{64} << 20;

// What a format's reader makes of the bytes at its position.
struct FormatStep {
  enum class Kind : uint8_t {
    kFrame,     // a frame was filled in; `bytes` are used up
    kSkip,      // no frame in the next `bytes`, which may be more than are there
    kNeedMore,  // ask again with at least `bytes` in front
    kCorrupt,   // the format's `problem()` describes what is wrong here
  };
  Kind kind;
  size_t bytes;
};

inline uint16_t load_u16(const uint8_t* at, bool swapped) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return swapped ? __builtin_bswap16(value) : value;
}

inline uint32_t load_u32(const uint8_t* at, bool swapped) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return swapped ? __builtin_bswap32(value) : value;
}

inline uint64_t load_u64(const uint8_t* at, bool swapped) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return swapped ? __builtin_bswap64(value) : value;
}

// Packet times are kept within 1970 … 2116, so that no sum with a timeout can overflow, whatever a
// file contains.
constexpr int64_t kPacketTimeMaxNs = int64_t{1} << 62;

// The link type of a file's LINKTYPE_ value. 12 and 14 are what some systems wrote for raw IP
// before LINKTYPE_RAW had a number of its own.
inline LinkType link_type_of_file(uint16_t value) {
  return value == 12 || value == 14 ? LinkType::kRaw : static_cast<LinkType>(value);
}

}  // namespace tcp_sniffer
