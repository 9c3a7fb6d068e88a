#pragma once

// Checks of what the code itself guarantees. No input can trip one, in any build.
//
// DEBUG_CHECK stands inside the code, where it costs next to nothing, and exists only with
// TCP_SNIFFER_CHECKS: in debug and sanitizer builds. `require` is for the check_invariants() of a
// class, which walk over all of it; tests and fuzz targets call those after each change.
namespace tcp_sniffer {

// Says what is broken, and aborts.
[[noreturn]] void check_failed(const char* what, const char* file, int line);

inline void require(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    check_failed(what, "invariant", 0);
}

}  // namespace tcp_sniffer

#ifdef TCP_SNIFFER_CHECKS
#define DEBUG_CHECK(condition) \
  ((condition) ? void() : ::tcp_sniffer::check_failed(#condition, __FILE__, __LINE__))
#else
#define DEBUG_CHECK(condition) void(sizeof((condition) ? 1 : 0))
#endif
