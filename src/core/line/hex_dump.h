#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tcp_sniffer {

constexpr size_t kHexDumpBytes = 16;  // a line

// Up to 16 bytes as in a hex dump, without a line end: their place in so many hexadecimal digits,
// the bytes, and characters (a dot for what is not printable ASCII).
void append_hex_line(size_t at, int digits, std::span<const uint8_t> bytes, std::string& out);

}  // namespace tcp_sniffer
