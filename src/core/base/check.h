#pragma once

// Checks of what the code itself guarantees. No input can trip one, in any build.
//
// DEBUG_CHECK is for cheap checks inside the code and exists only with TCP_SNIFFER_CHECKS, in debug
// and sanitizer builds. `require` is for the check_invariants() of a class, which looks at the
// whole object; tests and fuzz targets call that after each change.
namespace tcp_sniffer {

// Prints what is broken, and aborts.
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
