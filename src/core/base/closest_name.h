#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace tcp_sniffer {

// Nothing longer was meant to be one of the program's own names.
constexpr size_t kMeantNameMax = 64;

// The name among `candidates` that was probably meant by `name`, or an empty view. Case, dashes
// and underscores do not count; up to two wrong letters do. For messages about a configuration.
std::string_view closest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace tcp_sniffer
