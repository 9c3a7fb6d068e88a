#include "io/capture/begin_time.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/limits.h"

namespace tcp_sniffer {

int64_t begin_time(std::span<const int64_t> times) {
  for (const int64_t candidate : times) {
    const auto agreeing = std::ranges::count_if(
        times, [&](int64_t time) { return std::abs(time - candidate) <= kClockJumpNs; });
    if (static_cast<size_t>(agreeing) * 2 > times.size()) return candidate;
  }
  return times[0];
}

}  // namespace tcp_sniffer
