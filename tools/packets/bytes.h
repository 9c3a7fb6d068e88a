#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// Numbers in packets and capture files. Like all of this folder it is written without the product's
// own functions, so that a fault of theirs is not in the packets that test them.
namespace tcp_sniffer::packets {

using Bytes = std::vector<std::uint8_t>;

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline void write_number(std::uint8_t* at, std::uint64_t value, std::size_t size, bool big_endian) {
  for (std::size_t i = 0; i < size; ++i) {
    at[i] = static_cast<std::uint8_t>(value >> 8 * (big_endian ? size - 1 - i : i));
  }
}

inline std::uint64_t read_number(const std::uint8_t* at, std::size_t size, bool big_endian) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::uint64_t{at[i]} << 8 * (big_endian ? size - 1 - i : i);
  }
  return value;
}

// In the order of the network.
inline void write_be16(std::uint8_t* at, std::uint32_t value) {
  write_number(at, value, 2, true);
}
inline void write_be32(std::uint8_t* at, std::uint32_t value) {
  write_number(at, value, 4, true);
}
inline std::uint16_t read_be16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(read_number(&bytes[at], 2, true));
}
inline std::uint32_t read_be32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(read_number(&bytes[at], 4, true));
}

}  // namespace tcp_sniffer::packets
