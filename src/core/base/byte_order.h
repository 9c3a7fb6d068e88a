#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace tcp_sniffer {

// Integers in the order of packets and of files. Loads are unaligned; the caller has checked that
// the bytes exist.

constexpr uint16_t swap_bytes(uint16_t value) {
  return __builtin_bswap16(value);
}
constexpr uint32_t swap_bytes(uint32_t value) {
  return __builtin_bswap32(value);
}
constexpr uint64_t swap_bytes(uint64_t value) {
  return __builtin_bswap64(value);
}

// From or to the order of the machine.
template <typename Integer>
constexpr Integer little_endian(Integer value) {
  return std::endian::native == std::endian::little ? value : swap_bytes(value);
}
template <typename Integer>
constexpr Integer big_endian(Integer value) {
  return std::endian::native == std::endian::big ? value : swap_bytes(value);
}

template <typename Integer>
inline Integer load_native(const uint8_t* bytes) {
  Integer value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

template <typename Integer>
inline Integer load_big_endian(const uint8_t* bytes) {
  return big_endian(load_native<Integer>(bytes));
}

template <typename Integer>
inline Integer load_little_endian(const uint8_t* bytes) {
  return little_endian(load_native<Integer>(bytes));
}

inline uint16_t load_be16(const uint8_t* bytes) {
  return load_big_endian<uint16_t>(bytes);
}
inline uint32_t load_be32(const uint8_t* bytes) {
  return load_big_endian<uint32_t>(bytes);
}
inline uint16_t load_le16(const uint8_t* bytes) {
  return load_little_endian<uint16_t>(bytes);
}
inline uint32_t load_le32(const uint8_t* bytes) {
  return load_little_endian<uint32_t>(bytes);
}

// 24 bits: VXLAN and GENEVE network identifiers.
inline uint32_t load_be24(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) << 16 | static_cast<uint32_t>(bytes[1]) << 8 | bytes[2];
}

}  // namespace tcp_sniffer
