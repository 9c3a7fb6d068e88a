#include "core/line/json_escape.h"

#include "core/line/json_escape_bytes.h"

namespace tcp_sniffer {

const EscapeKernels& escape_kernels() {
  if (const EscapeKernels* kernels = avx512_escape_kernels()) return *kernels;
  if (const EscapeKernels* kernels = avx2_escape_kernels()) return *kernels;
  return portable_escape_kernels();
}

char* escape_latin1(const char* in, const char* end, char* out) {
  for (; in != end; ++in) out = escape_byte(static_cast<uint8_t>(*in), out);
  return out;
}

}  // namespace tcp_sniffer
