#include "core/line/text_columns.h"

#include <algorithm>

#include "core/base/text_encoding.h"

namespace tcp_sniffer {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// East_Asian_Width W and F of Unicode 15, unassigned characters between them included.
constexpr Range kWideCharacters[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x23f0, 0x23f0},   {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},
    {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},   {0x2e80, 0x3029},
    {0x302e, 0x303e},   {0x3041, 0x3098},   {0x309b, 0x3247},   {0x3250, 0x4dbf},
    {0x4e00, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},
    {0x16fe0, 0x18d08}, {0x1aff0, 0x1b2fb}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf},
    {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335},
    {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3},
    {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440},
    {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567},
    {0x1f57a, 0x1f57a}, {0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f},
    {0x1f680, 0x1f6c5}, {0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2}, {0x1f6d5, 0x1f6df},
    {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7f0}, {0x1f90c, 0x1f93a},
    {0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

// Combining marks of the scripts that are met most, and variation selectors.
constexpr Range kNoColumn[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489},   {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x06d6, 0x06dc}, {0x06df, 0x06e4},   {0x0900, 0x0902}, {0x093c, 0x093c}, {0x0941, 0x0948},
    {0x094d, 0x094d}, {0x0e31, 0x0e31},   {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff}, {0x20d0, 0x20ff},   {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f},
    {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};

template <size_t kSize>
bool is_in(const Range (&ranges)[kSize], uint32_t code) {
  const auto* const found =
      std::lower_bound(std::begin(ranges), std::end(ranges), code,
                       [](const Range& range, uint32_t value) { return range.last < value; });
  return found != std::end(ranges) && code >= found->first;
}

// The size in bytes of what stands first, and its columns.
struct Step {
  size_t size;
  size_t columns;
};

Step first_step(std::string_view text) {
  if (text.front() == '\x1b') {
    const size_t end = text.find('m');
    return {end == std::string_view::npos ? text.size() : end + 1, 0};
  }
  const Utf8Character character = first_character(text);
  if (character.size == 0) return {1, 1};
  return {character.size, columns_of(character.code)};
}

}  // namespace

uint32_t columns_of(uint32_t code) {
  if (code < kNoColumn[0].first) return 1;
  if (is_in(kNoColumn, code)) return 0;
  return is_in(kWideCharacters, code) ? 2 : 1;
}

size_t columns_of(std::string_view utf8) {
  size_t columns = 0;
  while (!utf8.empty()) {
    const Step step = first_step(utf8);
    columns += step.columns;
    utf8.remove_prefix(step.size);
  }
  return columns;
}

MiddleCut cut_middle(std::string_view utf8, size_t columns_max) {
  size_t left = columns_of(utf8);
  if (left <= columns_max) return {utf8.size(), utf8.size()};
  const size_t kept = std::max<size_t>(columns_max, 1) - 1;
  MiddleCut cut;
  size_t columns = 0;
  while (cut.head < utf8.size()) {
    const Step step = first_step(utf8.substr(cut.head));
    if (columns + step.columns > kept / 3) break;
    columns += step.columns;
    left -= step.columns;
    cut.head += step.size;
  }
  cut.tail = cut.head;
  // A mark goes with the character that it stands on.
  while (cut.tail < utf8.size()) {
    const Step step = first_step(utf8.substr(cut.tail));
    if (columns + left <= kept && step.columns != 0) break;
    left -= step.columns;
    cut.tail += step.size;
  }
  return cut;
}

}  // namespace tcp_sniffer
