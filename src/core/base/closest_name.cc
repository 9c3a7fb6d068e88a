#include "core/base/closest_name.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/ascii_case.h"

namespace tcp_sniffer {
namespace {

std::string simplified(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '-' && c != '_') out += ascii_lower(c);
  }
  return out;
}

// Levenshtein's distance, one row at a time.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view closest_name(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > kMeantNameMax) return {};
  const std::string wanted = simplified(name);
  std::string_view best;
  size_t best_distance = wanted.size() <= 4 ? 2 : 3;  // not included
  for (const std::string_view candidate : candidates) {
    const size_t distance = edit_distance(wanted, simplified(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (!best.empty() || wanted.size() < 4) return best;
  for (const std::string_view candidate : candidates) {
    if (simplified(candidate).find(wanted) != std::string::npos) return candidate;
  }
  return {};
}

}  // namespace tcp_sniffer
