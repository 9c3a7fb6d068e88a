#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// PROXY protocol headers of version 2, built in view of the test.
namespace tcp_sniffer::proxy_headers {

inline std::string big_endian_16(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

inline std::string version_2(uint8_t version_and_command, uint8_t family_and_transport,
                             std::string_view rest) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += static_cast<char>(version_and_command);
  header += static_cast<char>(family_and_transport);
  return header + big_endian_16(rest.size()) + std::string(rest);
}

inline std::string tlv(uint8_t type, std::string_view value) {
  return static_cast<char>(type) + big_endian_16(value.size()) + std::string(value);
}

}  // namespace tcp_sniffer::proxy_headers
