#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

// What CLI11's own checks do not say or let pass: it takes NaN for a number in every range.
namespace tcp_sniffer {

inline CLI::Validator fraction() {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0;
    const bool is_one = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1;
    return is_one ? "" : "'" + text + "' is no fraction from 0 to 1";
  };
  return {check, "0 to 1"};
}

inline CLI::Range whole(std::uint64_t least, std::uint64_t most) {
  return {least, most, std::to_string(least) + " to " + std::to_string(most)};
}

}  // namespace tcp_sniffer
