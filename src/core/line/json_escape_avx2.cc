#include "core/line/json_escape.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "core/line/json_escape_bytes.h"

// 32 bytes at a time, 16 at the end. Where there is something to escape, each eight bytes become
// up to sixteen by one shuffle, taken from a table by the mask of what needs a backslash: as many
// quotes as there may be, no branch depends on where they stand.

namespace tcp_sniffer {
namespace {

using Shuffle = std::array<uint8_t, 16>;

struct alignas(16) ShuffleTable {
  std::array<Shuffle, 256> by_mask;
};

// Input of the shuffle: bytes 0-7 the text, bytes 8-15 backslashes.
constexpr ShuffleTable kShuffles = [] {
  ShuffleTable table{};
  for (size_t mask = 0; mask < 256; ++mask) {
    size_t at = 0;
    for (size_t i = 0; i < 8; ++i) {
      if ((mask >> i) & 1) table.by_mask[mask][at++] = 8;
      table.by_mask[mask][at++] = static_cast<uint8_t>(i);
    }
  }
  return table;
}();

// The letter after the backslash for bytes 00-0F, 0 where there is none.

alignas(16) constexpr uint8_t kControlLetters[16] = {0,   0,   0,   0, 0,   0,   0, 0,
                                                     'b', 't', 'n', 0, 'f', 'r', 0, 0};

struct Block16 {
  __m128i text;      // with the letters in place of what takes a backslash
  uint32_t escapes;  // which bytes take a backslash
  bool rare;         // there are bytes that become six
};

struct Block32 {
  __m256i text;
  uint32_t escapes;
  bool rare;
};

// Bytes from 0x80 count as plain here.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline Block16 classify(__m128i text) {
  const __m128i quotes = _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')),
                                      _mm_cmpeq_epi8(text, _mm_set1_epi8('\\')));
  const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
  const __m128i six = _mm_or_si128(controls, _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f)));
  const auto escapes = static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(quotes, controls)));
  if (_mm_testz_si128(six, six)) return {text, escapes, false};
  const __m128i letters_by_nibble =
      _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(kControlLetters)), text);
  const __m128i below_16 = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x0f)), text);
  const __m128i letters = _mm_and_si128(letters_by_nibble, below_16);
  const __m128i no_letter = _mm_cmpeq_epi8(letters, _mm_setzero_si128());
  return {_mm_blendv_epi8(text, letters, controls), escapes, !_mm_testz_si128(six, no_letter)};
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline Block32 classify(__m256i text) {
  const __m256i quotes = _mm256_or_si256(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('"')),
                                         _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\')));
  const __m256i controls = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1f)), text);
  const __m256i six = _mm256_or_si256(controls, _mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x7f)));
  const auto escapes =
      static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(quotes, controls)));
  if (_mm256_testz_si256(six, six)) return {text, escapes, false};
  const __m256i table = _mm256_broadcastsi128_si256(
      _mm_load_si128(reinterpret_cast<const __m128i*>(kControlLetters)));
  const __m256i below_16 = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x0f)), text);
  const __m256i letters = _mm256_and_si256(_mm256_shuffle_epi8(table, text), below_16);
  const __m256i no_letter = _mm256_cmpeq_epi8(letters, _mm256_setzero_si256());
  return {_mm256_blendv_epi8(text, letters, controls), escapes,
          !_mm256_testz_si256(six, no_letter)};
}

// Writes eight bytes, of which the lower half of `text` consists; stores sixteen.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline void expand_eight(__m128i text_and_backslashes,
                                                                 uint32_t escapes, char* out) {
  const Shuffle& shuffle = kShuffles.by_mask[escapes & 0xff];
  const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(shuffle.data()));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(text_and_backslashes, order));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline void expand_sixteen(__m128i text, uint32_t escapes,
                                                                   char* out) {
  const __m128i backslashes = _mm_set1_epi8('\\');
  expand_eight(_mm_unpacklo_epi64(text, backslashes), escapes, out);
  expand_eight(_mm_unpackhi_epi64(text, backslashes), escapes >> 8,
               out + 8 + _mm_popcnt_u32(escapes & 0xff));
}

// Writes `size` <= 16 bytes; stores up to 32.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline char* write_block(const Block16& block, size_t size,
                                                                 char* out) {
  if (block.escapes == 0) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block.text);
  } else {
    expand_sixteen(block.text, block.escapes, out);
  }
  return out + size + static_cast<size_t>(_mm_popcnt_u32(block.escapes));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline char* write_block(const Block32& block, char* out) {
  if (block.escapes == 0) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), block.text);
    return out + 32;
  }
  expand_sixteen(_mm256_castsi256_si128(block.text), block.escapes & 0xffff, out);
  char* middle = out + 16 + _mm_popcnt_u32(block.escapes & 0xffff);
  expand_sixteen(_mm256_extracti128_si256(block.text, 1), block.escapes >> 16, middle);
  return out + 32 + _mm_popcnt_u32(block.escapes);
}

inline uint64_t load_bytes(const char* in, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, in, size);
  return word;
}

// Up to eight bytes in the lower end of a word, zeros above; never reads further.
inline uint64_t load_word(const char* in, size_t size) {
  if (size >= 8) return load_bytes(in, 8);
  if (size >= 4) {
    const uint64_t last = load_bytes(in + size - 4, 4);
    return load_bytes(in, 4) | (last << (8 * (size - 4)));
  }
  if (size == 0) return 0;
  const auto byte = [in](size_t i) { return uint64_t{static_cast<uint8_t>(in[i])} << (8 * i); };
  return byte(0) | byte(size / 2) | byte(size - 1);
}

// The first `size` <= 16 bytes, and letters after them; never reads further.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m128i load_part(const char* in, size_t size) {
  constexpr uint64_t kLetters = 0x6161616161616161;
  if (size == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
  uint64_t low = load_word(in, size);
  uint64_t high = kLetters;
  if (size < 8) {
    low |= kLetters << (8 * size);
  } else if (size > 8) {
    const size_t high_size = size - 8;
    high = (load_bytes(in + size - 8, 8) >> (8 * (16 - size))) | (kLetters << (8 * high_size));
  }
  return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m256i load32(const char* in) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in));
}

inline char* escape_bytes(const char* in, size_t size, char* out) {
  for (size_t i = 0; i < size; ++i) out = escape_byte(static_cast<uint8_t>(in[i]), out);
  return out;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline EscapeProgress escape_ascii_text(const char* in,
                                                                                const char* end,
                                                                                char* out) {
  for (; end - in >= 32; in += 32) {
    const __m256i text = load32(in);
    if (_mm256_movemask_epi8(text) != 0) return {in, out};
    const Block32 block = classify(text);
    out = block.rare ? escape_bytes(in, 32, out) : write_block(block, out);
  }
  while (in < end) {
    const size_t size = std::min(static_cast<size_t>(end - in), size_t{16});
    const __m128i text = load_part(in, size);
    if (_mm_movemask_epi8(text) != 0) return {in, out};
    const Block16 block = classify(text);
    out = block.rare ? escape_bytes(in, size, out) : write_block(block, size, out);
    in += size;
  }
  return {in, out};
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] EscapeProgress escape_ascii(const char* in, const char* end,
                                                                    char* out) {
  return escape_ascii_text(in, end, out);
}

// Of valid UTF-8: does a character U+0080-009F (C2 80-9F), U+2028 or U+2029 (E2 80 A8-A9) begin
// here? `next` and `third` hold the bytes one and two places further.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline bool has_escaped_character(__m256i text,
                                                                          __m256i next,
                                                                          __m256i third) {
  const auto byte = [](int value) { return static_cast<char>(value); };
  const __m256i c2 = _mm256_cmpeq_epi8(text, _mm256_set1_epi8(byte(0xc2)));
  const __m256i below_a0 =
      _mm256_cmpeq_epi8(_mm256_min_epu8(next, _mm256_set1_epi8(byte(0x9f))), next);
  const __m256i e2 = _mm256_cmpeq_epi8(text, _mm256_set1_epi8(byte(0xe2)));
  const __m256i second_80 = _mm256_cmpeq_epi8(next, _mm256_set1_epi8(byte(0x80)));
  const __m256i third_a8_a9 =
      _mm256_cmpeq_epi8(_mm256_or_si256(third, _mm256_set1_epi8(1)), _mm256_set1_epi8(byte(0xa9)));
  const __m256i separator = _mm256_and_si256(_mm256_and_si256(e2, second_80), third_a8_a9);
  const __m256i found = _mm256_or_si256(_mm256_and_si256(c2, below_a0), separator);
  return !_mm256_testz_si256(found, found);
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] char* escape_utf8(const char* in, const char* end,
                                                          char* out) {
  while (end - in >= 34) {
    const __m256i text = load32(in);
    const Block32 block = classify(text);
    if (block.rare || (_mm256_movemask_epi8(text) != 0 &&
                       has_escaped_character(text, load32(in + 1), load32(in + 2)))) {
      const EscapeProgress progress = escape_utf8_bytes(in, in + 32, end, out);
      in = progress.in;
      out = progress.out;
      continue;
    }
    out = write_block(block, out);
    in += 32;
  }
  const EscapeProgress ascii = escape_ascii_text(in, end, out);
  return escape_utf8_bytes(ascii.in, end, end, ascii.out).out;
}

// ASCII, and nothing to escape?
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline bool is_plain(__m128i text) {
  // As signed numbers the bytes from 0x80 are below the space, as control characters are.
  const __m128i low = _mm_cmpgt_epi8(_mm_set1_epi8(0x20), text);
  const __m128i quote = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
  const __m128i del = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f));
  const __m128i odd = _mm_or_si128(_mm_or_si128(low, quote), _mm_or_si128(backslash, del));
  return _mm_testz_si128(odd, odd) != 0;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline bool is_plain(__m256i text) {
  const __m256i low = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), text);
  const __m256i quote = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('"'));
  const __m256i backslash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'));
  const __m256i del = _mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x7f));
  const __m256i odd = _mm256_or_si256(_mm256_or_si256(low, quote), _mm256_or_si256(backslash, del));
  return _mm256_testz_si256(odd, odd) != 0;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m128i load16(const char* in) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
}
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline void store16(char* out, __m128i text) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), text);
}

// Copies text of which every byte is plain; null when one is not. Pieces overlap at the end of the
// text. Stores up to 16 bytes more than `size`.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline char* copy_plain(const char* in, size_t size,
                                                                char* out) {
  if (size > 32) {
    size_t at = 0;
    for (;; at = std::min(at + 32, size - 32)) {
      const __m256i text = load32(in + at);
      if (!is_plain(text)) return nullptr;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + at), text);
      if (at == size - 32) return out + size;
    }
  }
  if (size >= 16) {
    const __m128i first = load16(in);
    const __m128i last = load16(in + size - 16);
    if (!is_plain(first) || !is_plain(last)) return nullptr;
    store16(out, first);
    store16(out + size - 16, last);
    return out + size;
  }
  const __m128i text = load_part(in, size);
  if (!is_plain(text)) return nullptr;
  store16(out, text);
  return out + size;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m128i lower_case(__m128i text) {
  const __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(text, _mm_set1_epi8('A' - 1)),
                                      _mm_cmpgt_epi8(_mm_set1_epi8('Z' + 1), text));
  return _mm_add_epi8(text, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
}

// A header name in lower case; null where it holds what must be escaped or is not ASCII.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline char* write_name(const char* in, size_t size,
                                                                char* out) {
  char* const end = out + size;
  for (; size > 16; in += 16, out += 16, size -= 16) {
    const __m128i text = load16(in);
    if (!is_plain(text)) return nullptr;
    store16(out, lower_case(text));
  }
  const __m128i text = load_part(in, size);
  if (!is_plain(text)) return nullptr;
  store16(out, lower_case(text));
  return end;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] FieldProgress write_plain_fields(const HeaderField* field,
                                                                         const HeaderField* end,
                                                                         char* out,
                                                                         const char* limit) {
  for (; field != end && may_be_plain(*field, limit - out); ++field) {
    *out = '"';
    char* next = write_name(field->name.data(), field->name.size(), out + 1);
    if (next == nullptr) break;
    std::memcpy(next, "\":\"", 4);
    const std::string_view value = field->value;
    char* value_out = copy_plain(value.data(), value.size(), next + 3);
    if (value_out == nullptr) {
      const char* value_end = value.data() + value.size();
      const EscapeProgress escaped = escape_ascii_text(value.data(), value_end, next + 3);
      if (escaped.in != value_end) break;
      value_out = escaped.out;
    }
    std::memcpy(value_out, "\",", 2);
    out = value_out + 2;
  }
  return {field, out};
}

bool is_supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

}  // namespace

const EscapeKernels* avx2_escape_kernels() {
  static constexpr EscapeKernels kKernels = {"avx2", escape_ascii, escape_utf8, write_plain_fields};
  static const bool kSupported = is_supported();
  return kSupported ? &kKernels : nullptr;
}

}  // namespace tcp_sniffer

#else

namespace tcp_sniffer {
const EscapeKernels* avx2_escape_kernels() {
  return nullptr;
}
}  // namespace tcp_sniffer

#endif
