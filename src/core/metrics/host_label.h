#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// The longest name in DNS (RFC 1035 section 2.3.4, as text). Of a longer host the beginning is
// kept.
constexpr size_t kHostLabelMax = 253;

// A host as the value of a label: valid UTF-8 without control characters.
struct HostLabel {
  std::array<char, kHostLabelMax> bytes;
  uint8_t size = 0;

  std::string_view text() const { return {bytes.data(), size}; }
};

// Which host a request is for, as sent and without its port: of its first Host header; without one
// of the target, where that names one (RFC 9112 section 3.2). Empty: it says none.
std::string_view host_of_request(std::string_view method, std::string_view target,
                                 std::string_view host_header);

// In lower case, at most kHostLabelMax bytes. U+FFFD stands for each control character and for each
// byte that is not part of UTF-8. `none` when it is empty.
HostLabel host_label(std::string_view host);

}  // namespace tcp_sniffer
