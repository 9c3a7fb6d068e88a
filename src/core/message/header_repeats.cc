#include "core/message/header_repeats.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/ascii_case.h"

namespace tcp_sniffer {
namespace {

// Up to this many fields each suspect is compared with all before it: 32 * 31 / 2 compares of
// hashes at worst. Beyond, the names are sorted.
constexpr size_t kFewFields = 32;

uint32_t load4(const char* in) {
  uint32_t word;
  std::memcpy(&word, in, 4);
  return word;
}

// Equal for names that are equal without regard to case: made of the size and of the first and
// last bytes. A filter only; equal hashes are always followed by a comparison of the names.
uint64_t name_hash(std::string_view name) {
  constexpr uint64_t kLowerCase = 0x2020202020202020;
  uint64_t ends = 0;
  if (name.size() >= 4) [[likely]] {
    ends = load4(name.data()) | (uint64_t{load4(name.data() + name.size() - 4)} << 32);
  } else {
    for (const char c : name) ends = (ends << 8) | static_cast<uint8_t>(c);
  }
  return ((ends | kLowerCase) + name.size()) * 0x9e3779b97f4a7c15;
}

// An order in which equal names are neighbours, earlier fields first.
struct ByName {
  std::span<const HeaderField> fields;
  const std::vector<uint64_t>& hashes;

  bool operator()(uint32_t a, uint32_t b) const {
    if (hashes[a] != hashes[b]) return hashes[a] < hashes[b];
    const std::string_view name_a = fields[a].name;
    const std::string_view name_b = fields[b].name;
    if (name_a.size() != name_b.size()) return name_a.size() < name_b.size();
    for (size_t i = 0; i < name_a.size(); ++i) {
      const char char_a = ascii_lower(name_a[i]);
      const char char_b = ascii_lower(name_b[i]);
      if (char_a != char_b) return char_a < char_b;
    }
    return a < b;
  }
};

}  // namespace

bool HeaderRepeats::find(std::span<const HeaderField> fields) {
  return fields.size() <= kFewFields ? find_among_few(fields) : find_by_sorting(fields);
}

bool HeaderRepeats::find_among_few(std::span<const HeaderField> fields) {
  std::array<uint64_t, 8> seen{};
  bool any = false;
  for (uint32_t i = 0; i < fields.size(); ++i) {
    const uint64_t hash = name_hash(fields[i].name);
    uint64_t& word = seen[hash >> 61];
    const uint64_t bit = uint64_t{1} << ((hash >> 55) & 63);
    const bool suspect = (word & bit) != 0;
    word |= bit;
    if (!suspect) continue;
    for (uint32_t earlier = i; earlier-- > 0;) {
      if (name_hash(fields[earlier].name) != hash) continue;
      if (!equal_ignoring_case(fields[earlier].name, fields[i].name)) continue;
      if (!any) start_links(fields.size());
      any = true;
      link(earlier, i);
      break;
    }
  }
  return any;
}

bool HeaderRepeats::find_by_sorting(std::span<const HeaderField> fields) {
  const auto count = static_cast<uint32_t>(fields.size());
  hashes_.resize(count);
  order_.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    hashes_[i] = name_hash(fields[i].name);
    order_[i] = i;
  }
  std::sort(order_.begin(), order_.end(), ByName{fields, hashes_});
  start_links(count);
  bool any = false;
  for (uint32_t i = 1; i < count; ++i) {
    const uint32_t earlier = order_[i - 1];
    const uint32_t later = order_[i];
    if (hashes_[earlier] != hashes_[later]) continue;
    if (!equal_ignoring_case(fields[earlier].name, fields[later].name)) continue;
    any = true;
    link(earlier, later);
  }
  return any;
}

void HeaderRepeats::start_links(size_t fields) {
  next_.assign(fields, kNone);
  repeat_.assign(fields, 0);
}

void HeaderRepeats::link(uint32_t earlier, uint32_t later) {
  next_[earlier] = later;
  repeat_[later] = 1;
}

}  // namespace tcp_sniffer
