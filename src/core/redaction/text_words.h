#pragma once

#include <cstddef>
#include <string_view>

// Words that the scanners of texts share.
namespace tcp_sniffer {

inline constexpr size_t kNotFound = std::string_view::npos;
// Between the words of JSON (RFC 8259, section 2) and of form fields.
inline constexpr std::string_view kJsonSpace = " \t\r\n";

}  // namespace tcp_sniffer
