#include "core/base/byte_search.h"

#include <bit>

namespace tcp_sniffer {

namespace {

constexpr std::string_view kVersion = "HTTP/1.";
// The two bytes that are compared first: neighbours that text, base64 and binary data rarely hold
// side by side.
constexpr size_t kProbe = 3;  // "P/"

bool is_version(const char* at) {
  return std::memcmp(at, kVersion.data(), kVersion.size()) == 0;
}

// The masks of the last, incomplete block.
template <typename MasksOfBlock>
LineMasks masks_of_tail(const char* bytes, size_t size, MasksOfBlock masks_of_block) {
  char block[kMaskBlockBytes] = {};
  std::memcpy(block, bytes, size);
  return masks_of_block(block);
}

#if defined(__SSE2__)
LineMasks masks_with_sse2(const char* block) {
  const __m128i line_feed = _mm_set1_epi8('\n');
  const __m128i colon = _mm_set1_epi8(':');
  LineMasks masks{};
  for (unsigned i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i));
    const auto feeds = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_feed)));
    const auto colons = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, colon)));
    masks.line_feed |= static_cast<uint64_t>(feeds) << (16 * i);
    masks.colon |= static_cast<uint64_t>(colons) << (16 * i);
  }
  return masks;
}

void line_masks_in_sse2(const char* bytes, size_t size, LineMasks* masks) {
  for (; size >= kMaskBlockBytes; size -= kMaskBlockBytes, bytes += kMaskBlockBytes) {
    *masks++ = masks_with_sse2(bytes);
  }
  if (size > 0) *masks = masks_of_tail(bytes, size, masks_with_sse2);
}
#endif

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t mask_with_avx2(__m256i low, __m256i high, char byte) {
  const __m256i wanted = _mm256_set1_epi8(byte);
  const auto low_bits = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)));
  const auto high_bits =
      static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)));
  return low_bits | (static_cast<uint64_t>(high_bits) << 32);
}

__attribute__((target("avx2"))) LineMasks masks_with_avx2(const char* block) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
  return {mask_with_avx2(low, high, '\n'), mask_with_avx2(low, high, ':')};
}

__attribute__((target("avx2"))) void line_masks_in_avx2(const char* bytes, size_t size,
                                                        LineMasks* masks) {
  for (; size >= kMaskBlockBytes; size -= kMaskBlockBytes, bytes += kMaskBlockBytes) {
    *masks++ = masks_with_avx2(bytes);
  }
  if (size > 0) *masks = masks_of_tail(bytes, size, masks_with_avx2);
}

__attribute__((target("avx512f,avx512bw,bmi2"))) void line_masks_in_avx512(const char* bytes,
                                                                           size_t size,
                                                                           LineMasks* masks) {
  const __m512i line_feed = _mm512_set1_epi8('\n');
  const __m512i colon = _mm512_set1_epi8(':');
  for (; size >= kMaskBlockBytes; size -= kMaskBlockBytes, bytes += kMaskBlockBytes) {
    const __m512i block = _mm512_loadu_si512(bytes);
    masks->line_feed = _cvtmask64_u64(_mm512_cmpeq_epi8_mask(block, line_feed));
    masks->colon = _cvtmask64_u64(_mm512_cmpeq_epi8_mask(block, colon));
    ++masks;
  }
  if (size == 0) return;
  const __mmask64 part = _cvtu64_mask64(_bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(size)));
  const __m512i block = _mm512_maskz_loadu_epi8(part, bytes);
  masks->line_feed = _cvtmask64_u64(_mm512_cmpeq_epi8_mask(block, line_feed));
  masks->colon = _cvtmask64_u64(_mm512_cmpeq_epi8_mask(block, colon));
}
#endif

#if defined(__SSE2__)
size_t find_with_sse2(std::string_view bytes, size_t from) {
  const __m128i first = _mm_set1_epi8(kVersion[kProbe]);
  const __m128i second = _mm_set1_epi8(kVersion[kProbe + 1]);
  const char* data = bytes.data();
  size_t at = from;
  // The last load of a round ends at at + kProbe + 1 + 16; a match ends at most at + 15 + 7.
  for (; at + 16 + kVersion.size() <= bytes.size(); at += 16) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at + kProbe));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at + kProbe + 1));
    auto hits = static_cast<uint32_t>(
        _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second))));
    for (; hits != 0; hits &= hits - 1) {
      const size_t hit = at + static_cast<size_t>(std::countr_zero(hits));
      if (is_version(data + hit)) return hit;
    }
  }
  return find_http_version_portable(bytes, at);
}

__attribute__((target("avx2"))) size_t find_with_avx2(std::string_view bytes, size_t from) {
  const __m256i first = _mm256_set1_epi8(kVersion[kProbe]);
  const __m256i second = _mm256_set1_epi8(kVersion[kProbe + 1]);
  const char* data = bytes.data();
  size_t at = from;
  for (; at + 64 + kVersion.size() <= bytes.size(); at += 64) {
    const __m256i a0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + at + kProbe));
    const __m256i b0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + at + kProbe + 1));
    const __m256i a1 =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + at + kProbe + 32));
    const __m256i b1 =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + at + kProbe + 33));
    const __m256i low =
        _mm256_and_si256(_mm256_cmpeq_epi8(a0, first), _mm256_cmpeq_epi8(b0, second));
    const __m256i high =
        _mm256_and_si256(_mm256_cmpeq_epi8(a1, first), _mm256_cmpeq_epi8(b1, second));
    if (_mm256_testz_si256(low, low) != 0 && _mm256_testz_si256(high, high) != 0) continue;
    uint64_t hits = static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(low))) |
                    static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
    for (; hits != 0; hits &= hits - 1) {
      const size_t hit = at + static_cast<size_t>(std::countr_zero(hits));
      if (is_version(data + hit)) return hit;
    }
  }
  return find_with_sse2(bytes, at);
}
#endif

}  // namespace

void line_masks_in_words(const char* bytes, size_t size, LineMasks* masks) {
  for (; size >= kMaskBlockBytes; size -= kMaskBlockBytes, bytes += kMaskBlockBytes) {
    *masks++ = line_masks_portable(bytes);
  }
  if (size > 0) *masks = masks_of_tail(bytes, size, line_masks_portable);
}

std::array<LineMaskKernel, 4> line_mask_kernels() {
  std::array<LineMaskKernel, 4> kernels{};
  size_t count = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("bmi2")) {
    kernels[count++] = line_masks_in_avx512;
  }
  if (__builtin_cpu_supports("avx2")) kernels[count++] = line_masks_in_avx2;
#endif
#if defined(__SSE2__)
  kernels[count++] = line_masks_in_sse2;
#endif
  kernels[count] = line_masks_in_words;
  return kernels;
}

LineMaskKernel line_mask_kernel() {
  return line_mask_kernels().front();
}

size_t find_http_version_portable(std::string_view bytes, size_t from) {
  // memchr for the slash, which is rarer than any of the letters.
  constexpr size_t kSlash = 4;
  size_t at = from;
  while (at + kVersion.size() <= bytes.size()) {
    const size_t room = bytes.size() - kVersion.size() - at + 1;
    const void* slash = std::memchr(bytes.data() + at + kSlash, '/', room);
    if (slash == nullptr) break;
    at = static_cast<size_t>(static_cast<const char*>(slash) - bytes.data()) - kSlash;
    if (is_version(bytes.data() + at)) return at;
    ++at;
  }
  return std::string_view::npos;
}

size_t find_http_version(std::string_view bytes, size_t from) {
  if (from >= bytes.size()) return std::string_view::npos;
#if defined(__SSE2__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? find_with_avx2(bytes, from) : find_with_sse2(bytes, from);
#else
  return find_http_version_portable(bytes, from);
#endif
}

size_t find_last_line_feed(std::string_view bytes, size_t begin, size_t end) {
  size_t at = end;
#if defined(__SSE2__)
  const __m128i line_feed = _mm_set1_epi8('\n');
  for (; at >= begin + 16; at -= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at - 16));
    const auto hits = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, line_feed)));
    if (hits != 0) return at - 16 + 31 - static_cast<size_t>(std::countl_zero(hits));
  }
#endif
  while (at > begin) {
    --at;
    if (bytes[at] == '\n') return at;
  }
  return std::string_view::npos;
}

}  // namespace tcp_sniffer
