#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace tcp_sniffer {

// Vectorised searches that the head reader and the message finder share. No state, any thread.
// Nothing here reads a byte outside the view it is given.

constexpr size_t kMaskBlockBytes = 64;

// Bit i is set when byte i of a 64-byte block is a line feed, or a colon.
struct LineMasks {
  uint64_t line_feed;
  uint64_t colon;
};

inline LineMasks line_masks_portable(const char* block) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  constexpr uint64_t kLow7 = 0x7f7f7f7f7f7f7f7fu;
  // The top bit of every byte of `word` that equals `byte`, gathered into eight bits. Exact: no
  // carry crosses a byte, because the top bits are masked off before the addition.
  const auto gather = [](uint64_t word, unsigned char byte) {
    const uint64_t x = word ^ (kOnes * byte);
    const uint64_t zero = ~(((x & kLow7) + kLow7) | x | kLow7);
    return (zero >> 7) * 0x0102040810204080u >> 56;
  };
  LineMasks masks{};
  for (unsigned i = 0; i < 8; ++i) {
    uint64_t word = 0;
    for (unsigned j = 0; j < 8; ++j) {
      word |= static_cast<uint64_t>(static_cast<unsigned char>(block[8 * i + j])) << (8 * j);
    }
    masks.line_feed |= gather(word, '\n') << (8 * i);
    masks.colon |= gather(word, ':') << (8 * i);
  }
  return masks;
}

// Fills one LineMasks for each 64 bytes of the text, the last one padded with zero bits. One kernel
// per set of instructions; all give the same masks.
using LineMaskKernel = void (*)(const char* bytes, size_t size, LineMasks* masks);

void line_masks_in_words(const char* bytes, size_t size, LineMasks* masks);
// The fastest kernel that this processor runs.
LineMaskKernel line_mask_kernel();
// Every kernel that it runs, for the tests; unused places are null.
std::array<LineMaskKernel, 4> line_mask_kernels();

// Offset of the first "HTTP/1." at or after `from`, or npos. Picks the widest version this
// machine can run (AVX2, SSE2, portable) once, at the first call.
size_t find_http_version(std::string_view bytes, size_t from);

// The same answer without vector instructions: what other machines run and the tests compare to.
size_t find_http_version_portable(std::string_view bytes, size_t from);

// Offset of the last line feed in [begin, end), or npos.
size_t find_last_line_feed(std::string_view bytes, size_t begin, size_t end);

// Offset of the first line feed at or after `from`, or npos.
inline size_t find_line_feed(std::string_view bytes, size_t from) {
  if (from >= bytes.size()) return std::string_view::npos;
  const void* at = std::memchr(bytes.data() + from, '\n', bytes.size() - from);
  if (at == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(at) - bytes.data());
}

}  // namespace tcp_sniffer
