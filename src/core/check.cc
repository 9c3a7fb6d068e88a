#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace tcp_sniffer {

void check_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace tcp_sniffer
