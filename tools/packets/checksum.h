#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

// The Internet checksum, RFC 1071, in the order of memory.
namespace tcp_sniffer::packets {

// One's complement sum of 16-bit words, not folded and not inverted. Sums of several pieces may be
// added, if all but the last have an even size.
inline std::uint64_t ones_sum(std::span<const std::uint8_t> bytes) {
  const std::uint8_t* data = bytes.data();
  std::size_t size = bytes.size();
  std::uint64_t even = 0;
  std::uint64_t odd = 0;
  while (size >= 16) {
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    std::memcpy(&first, data, 8);
    std::memcpy(&second, data + 8, 8);
    even += first;
    even += static_cast<std::uint64_t>(even < first);
    odd += second;
    odd += static_cast<std::uint64_t>(odd < second);
    data += 16;
    size -= 16;
  }
  std::uint64_t sum = (even >> 32U) + (even & 0xffffffffU) + (odd >> 32U) + (odd & 0xffffffffU);
  while (size >= 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, data, 4);
    sum += word;
    data += 4;
    size -= 4;
  }
  std::uint32_t rest = 0;
  if (size > 0) std::memcpy(&rest, data, size);
  return sum + rest;
}

inline std::uint16_t fold(std::uint64_t sum) {
  sum = (sum >> 32U) + (sum & 0xffffffffU);
  sum = (sum >> 32U) + (sum & 0xffffffffU);
  sum = (sum >> 16U) + (sum & 0xffffU);
  sum = (sum >> 16U) + (sum & 0xffffU);
  return static_cast<std::uint16_t>(sum);
}

// Writes the checksum of bytes with this sum.
inline void write_checksum(std::uint8_t* at, std::uint64_t sum) {
  const auto checksum = static_cast<std::uint16_t>(~fold(sum));
  std::memcpy(at, &checksum, 2);
}

}  // namespace tcp_sniffer::packets
