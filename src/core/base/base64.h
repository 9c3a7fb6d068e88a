#pragma once

#include <cstddef>
#include <string_view>

namespace tcp_sniffer {

// Size of the base64 text (RFC 4648 section 4, with padding) of `size` bytes.
constexpr size_t base64_size(size_t size) {
  return (size + 2) / 3 * 4;
}

// Writes base64_size(bytes.size()) characters and returns their end.
char* write_base64(char* out, std::string_view bytes);

}  // namespace tcp_sniffer
