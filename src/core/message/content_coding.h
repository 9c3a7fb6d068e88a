#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// The codings of a Content-Encoding header that can be undone (RFC 9110 section 8.4.1, RFC 7932,
// RFC 8878), the last ones applied: those that come off first.
struct ContentCodings {
  // Two cover what servers send by accident (a proxy that compresses again); a longer stack is
  // only ever built to multiply a bomb.
  static constexpr size_t kCodingsMax = 2;

  std::array<ContentCoding, kCodingsMax> codings{};  // in the order they were applied
  uint8_t count = 0;
  bool too_many = false;  // more than kCodingsMax; then count is 0

  std::span<const ContentCoding> view() const { return {codings.data(), count}; }
};

// Reads every Content-Encoding field in order (RFC 9110 section 5.3: their values are one list).
// `identity` is passed over, and names are compared without regard to case. Codings that were
// applied before an unknown one are not undone.
ContentCodings read_content_codings(std::span<const HeaderField> headers);

// "gzip", "deflate", "br" or "zstd".
std::string_view content_coding_name(ContentCoding coding);

}  // namespace tcp_sniffer
