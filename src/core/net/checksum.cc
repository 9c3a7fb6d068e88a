#include "core/net/checksum.h"

#include <bit>
#include <cstddef>

#include "core/base/byte_order.h"
#include "core/net/ip_decoder.h"

namespace tcp_sniffer {

namespace {

uint64_t fold_to_32(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  return (sum & 0xffffffff) + (sum >> 32);
}

uint16_t fold_to_16(uint64_t sum) {
  sum = fold_to_32(sum);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint32_t to_memory_order(uint32_t value) {
  return std::endian::native == std::endian::little ? swap_bytes(value) : value;
}

}  // namespace

uint16_t checksum_sum(std::span<const uint8_t> bytes, uint32_t initial) {
  // The sum does not depend on the byte order (RFC 1071 section 2 B), so words are added as they
  // lie in memory, 32 bits at a time: 2^32 of them fit into the 64-bit sum.
  uint64_t sum = initial;
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    const auto word = load_native<uint64_t>(at);
    sum += (word & 0xffffffff) + (word >> 32);
  }
  uint8_t tail[8] = {};
  for (size_t i = 0; i < left; ++i) tail[i] = at[i];
  const auto word = load_native<uint64_t>(tail);
  sum += (word & 0xffffffff) + (word >> 32);
  return fold_to_16(sum);
}

bool ipv4_checksum_ok(std::span<const uint8_t> header) {
  return checksum_sum(header) == 0xffff;
}

bool tcp_checksum_ok(const IpAddress& source, const IpAddress& destination,
                     std::span<const uint8_t> segment) {
  // The prefix of a v4-mapped address adds 0xffff, which is 0 in one's complement: the sums of both
  // families are the same.
  uint32_t sum = checksum_sum(source);
  sum += checksum_sum(destination);
  sum += fold_to_16(to_memory_order(static_cast<uint32_t>(segment.size())));
  sum += fold_to_16(to_memory_order(kProtocolTcp));
  return checksum_sum(segment, sum) == 0xffff;
}

}  // namespace tcp_sniffer
