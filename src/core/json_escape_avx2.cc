#include "core/json_escape.h"

namespace tcp_sniffer {
const EscapeKernels* avx2_escape_kernels() {
  return nullptr;
}
}  // namespace tcp_sniffer
