#pragma once

#include <cstdint>
#include <cstdlib>

namespace tcp_sniffer {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// How many random seeds a test tries: under a sanitizer, which makes each ten times slower, a part.
constexpr uint64_t seeds(uint64_t usual) {
  return kSanitized ? (usual + 7) / 8 : usual;
}

// How often a test repeats: fewer times under a sanitizer, as often as the environment says.
inline uint64_t repetitions(const char* variable, uint64_t usual, uint64_t sanitized) {
  if (const char* said = std::getenv(variable)) return std::strtoull(said, nullptr, 10);
  return kSanitized ? sanitized : usual;
}

}  // namespace tcp_sniffer
