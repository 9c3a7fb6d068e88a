#include "core/json_escape.h"

namespace tcp_sniffer {
const EscapeKernels* avx512_escape_kernels() {
  return nullptr;
}
}  // namespace tcp_sniffer
