#include "core/base/check.h"

// The C library's function prints the condition and its place, and aborts.
#undef NDEBUG
#include <cassert>

namespace tcp_sniffer {

void check_failed(const char* what, const char* file, int line) {
  __assert_fail(what, file, static_cast<unsigned>(line), "check");
}

}  // namespace tcp_sniffer
