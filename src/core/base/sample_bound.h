#pragma once

#include <cmath>
#include <cstdint>

namespace tcp_sniffer {

// A fraction (0 … 1) as a bound for 64-bit hashes: those below it are in the sample.
// kWholeSample: every one is.
constexpr uint64_t kWholeSample = UINT64_MAX;

inline uint64_t sample_bound(double fraction) {
  if (fraction >= 1.0) return kWholeSample;
  return static_cast<uint64_t>(std::ldexp(fraction, 64));
}

}  // namespace tcp_sniffer
