#include "core/line/hex_dump.h"

#include "core/base/number_text.h"

namespace tcp_sniffer {

void append_hex_line(size_t at, int digits, std::span<const uint8_t> bytes, std::string& out) {
  char text[16];
  out.append(text, write_hex(text, at, digits));
  out += ' ';
  for (size_t i = 0; i < kHexDumpBytes; i++) {
    if (i == kHexDumpBytes / 2) out += ' ';
    out += ' ';
    if (i < bytes.size()) {
      out.append(text, write_hex(text, bytes[i], 2));
    } else {
      out += "  ";
    }
  }
  out += "  |";
  for (const uint8_t byte : bytes) {
    out += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
  }
  out += '|';
}

}  // namespace tcp_sniffer
