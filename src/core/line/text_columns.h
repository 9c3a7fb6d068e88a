#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// How many columns of a terminal a character takes: 2 for East Asian wide ones and emoji (UAX #11),
// 0 for marks that combine with the character before, 1 for all others. Terminals differ in rare
// characters.
uint32_t columns_of(uint32_t code);

// Columns of a text in UTF-8. Colour sequences (ESC, '[', …, 'm') take none.
size_t columns_of(std::string_view utf8);

// A URL is not cut to less.
inline constexpr size_t kUrlColumnsMin = 12;
// Stands where something was left out.
inline constexpr std::string_view kCutSign = "\u2026";

// What stays of a text when its middle is left out.
struct MiddleCut {
  size_t head = 0;  // bytes kept at its start
  size_t tail = 0;  // where the bytes kept at its end begin
};

// Leaves out characters in the middle of a text in UTF-8 that is wider than `columns_max`, so that
// it takes at most that many columns, one of them for kCutSign. A third stays before it, the rest
// after it, because the end of a path says most.
MiddleCut cut_middle(std::string_view utf8, size_t columns_max);

}  // namespace tcp_sniffer
