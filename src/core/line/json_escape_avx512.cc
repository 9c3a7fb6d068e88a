#include "core/line/json_escape.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "core/line/json_escape_bytes.h"

// 64 bytes at a time. A table of 128 entries (vpermi2b) decides for each byte whether it is copied,
// takes a backslash and a letter, or is rare (left to the byte-wise code). vpexpandb then inserts
// the backslashes, 32 bytes of input at a time. No branch depends on the number of quotes or on
// their places.

namespace tcp_sniffer {
namespace {

constexpr uint8_t kRare = 0x80;

struct alignas(64) ClassTable {
  std::array<uint8_t, 128> classes;
};

// 0 = copied; kRare = six bytes; else the letter after the backslash.
constexpr ClassTable kClassTable = [] {
  ClassTable table{};
  for (size_t byte = 0; byte < 128; ++byte) {
    const EscapedByte& escaped = kEscapedBytes[byte];
    if (escaped.size == 2) table.classes[byte] = static_cast<uint8_t>(escaped.text[1]);
    if (escaped.size == 6) table.classes[byte] = kRare;
  }
  return table;
}();

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline __m512i
classes_of(__m512i text) {
  const __m512i low = _mm512_load_si512(kClassTable.classes.data());
  const __m512i high = _mm512_load_si512(kClassTable.classes.data() + 64);
  return _mm512_permutex2var_epi8(low, text, high);  // looks at the lower seven bits
}

// The first `size` < 64 bytes, and letters after them. Never reads further.
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline __m512i
load_part(const char* in, size_t size) {
  const __mmask64 part = _cvtu64_mask64(_bzhi_u64(~uint64_t{0}, static_cast<uint32_t>(size)));
  return _mm512_mask_loadu_epi8(_mm512_set1_epi8('a'), part, in);
}

// Writes the lower 32 bytes of `text` with a backslash before each one that `escapes` names.
// Stores 64 bytes.
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline void
expand_half(__m512i text, uint32_t escapes, char* out) {
  constexpr uint64_t kCharacters = 0xaaaaaaaaaaaaaaaa;  // two bits a byte: backslash, character
  const uint64_t present = _pdep_u64(escapes, ~kCharacters) | kCharacters;
  const uint64_t characters = _pext_u64(kCharacters, present);
  const __m512i expanded =
      _mm512_mask_expand_epi8(_mm512_set1_epi8('\\'), _cvtu64_mask64(characters), text);
  _mm512_storeu_si512(out, expanded);
}

// Writes `size` <= 64 bytes of `text`, whose classes hold no kRare.
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline char*
write_block(__m512i text, __m512i classes, size_t size, char* out) {
  const __mmask64 escaped = _mm512_test_epi8_mask(classes, classes);
  const uint64_t escapes = _cvtmask64_u64(escaped);
  if (escapes == 0) {
    _mm512_storeu_si512(out, text);
    return out + size;
  }
  const __m512i letters = _mm512_mask_mov_epi8(text, escaped, classes);
  const auto low = static_cast<uint32_t>(escapes);
  const auto high = static_cast<uint32_t>(escapes >> 32);
  expand_half(letters, low, out);
  if (size > 32) {
    char* middle = out + 32 + _mm_popcnt_u32(low);
    expand_half(_mm512_maskz_shuffle_i64x2(0xff, letters, letters, 0x4e), high, middle);
  }
  return out + size + static_cast<size_t>(_mm_popcnt_u64(escapes));
}

// One block of ASCII. False when there is other text in it.
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline bool
escape_ascii_block(const char* in, __m512i text, size_t size, char*& out) {
  const __m512i classes = classes_of(text);
  if (_cvtmask64_u64(_mm512_movepi8_mask(_mm512_or_si512(text, classes))) == 0) [[likely]] {
    out = write_block(text, classes, size, out);
    return true;
  }
  if (_cvtmask64_u64(_mm512_movepi8_mask(text)) != 0) return false;
  for (size_t i = 0; i < size; ++i) out = escape_byte(static_cast<uint8_t>(in[i]), out);
  return true;
}

[[gnu::target(
    "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline EscapeProgress
escape_ascii_text(const char* in, const char* end, char* out) {
  for (; end - in >= 64; in += 64) {
    if (!escape_ascii_block(in, _mm512_loadu_si512(in), 64, out)) return {in, out};
  }
  const auto size = static_cast<size_t>(end - in);
  if (size == 0 || !escape_ascii_block(in, load_part(in, size), size, out)) return {in, out};
  return {end, out};
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] EscapeProgress
escape_ascii(const char* in, const char* end, char* out) {
  return escape_ascii_text(in, end, out);
}

// Of valid UTF-8: where do U+0080-009F (C2 80-9F), U+2028 and U+2029 (E2 80 A8-A9) begin? `next`
// and `third` hold the bytes one and two places further.
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline bool
has_escaped_character(__m512i text, __m512i next, __m512i third) {
  const __mmask64 c2 = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8(static_cast<char>(0xc2)));
  const __mmask64 c1_control =
      _mm512_mask_cmplt_epu8_mask(c2, next, _mm512_set1_epi8(static_cast<char>(0xa0)));
  const __mmask64 e2 = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8(static_cast<char>(0xe2)));
  const __mmask64 e2_80 =
      _mm512_mask_cmpeq_epi8_mask(e2, next, _mm512_set1_epi8(static_cast<char>(0x80)));
  const __m512i even_third = _mm512_or_si512(third, _mm512_set1_epi8(1));
  const __mmask64 separator =
      _mm512_mask_cmpeq_epi8_mask(e2_80, even_third, _mm512_set1_epi8(static_cast<char>(0xa9)));
  return (_cvtmask64_u64(c1_control) | _cvtmask64_u64(separator)) != 0;
}

// One block of valid UTF-8 of `size` <= 64 bytes. Returns the first byte not consumed: its end,
// or up to two bytes further.
[[gnu::target(
    "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline const char*
escape_utf8_block(const char* in, const char* end, size_t size, char*& out) {
  const __m512i text = size == 64 ? _mm512_loadu_si512(in) : load_part(in, size);
  const __mmask64 other = _mm512_movepi8_mask(text);
  const __m512i classes = _mm512_maskz_mov_epi8(_knot_mask64(other), classes_of(text));
  bool rare = _cvtmask64_u64(_mm512_movepi8_mask(classes)) != 0;
  if (_cvtmask64_u64(other) != 0) {
    const auto left = static_cast<size_t>(end - in);
    const bool far = left >= 66;
    const __m512i next = far ? _mm512_loadu_si512(in + 1) : load_part(in + 1, left - 1);
    const __m512i third =
        far ? _mm512_loadu_si512(in + 2) : load_part(in + 2, left < 2 ? 0 : left - 2);
    rare |= has_escaped_character(text, next, third);
  }
  if (rare) [[unlikely]] {
    const EscapeProgress progress = escape_utf8_bytes(in, in + size, end, out);
    out = progress.out;
    return progress.in;
  }
  out = write_block(text, classes, size, out);
  return in + size;
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] char*
escape_utf8(const char* in, const char* end, char* out) {
  while (end - in >= 64) in = escape_utf8_block(in, end, 64, out);
  while (in < end) in = escape_utf8_block(in, end, static_cast<size_t>(end - in), out);
  return out;
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] FieldProgress
write_plain_fields(const HeaderField* field, const HeaderField* end, char* out, const char* limit) {
  for (; field != end && may_be_plain(*field, limit - out); ++field) {
    const size_t name_size = field->name.size();
    if (name_size >= 64) break;
    const __m512i name = load_part(field->name.data(), name_size);
    const __m512i classes = classes_of(name);
    const __m512i high_bit = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i other = _mm512_or_si512(classes, _mm512_and_si512(name, high_bit));
    if (_cvtmask64_u64(_mm512_test_epi8_mask(other, other)) != 0) break;
    const __mmask64 upper =
        _mm512_cmplt_epu8_mask(_mm512_sub_epi8(name, _mm512_set1_epi8('A')), _mm512_set1_epi8(26));
    char* next = out;
    *next++ = '"';
    _mm512_storeu_si512(next, _mm512_mask_add_epi8(name, upper, name, _mm512_set1_epi8(0x20)));
    next += name_size;
    std::memcpy(next, "\":\"", 4);
    next += 3;
    const char* value_end = field->value.data() + field->value.size();
    const EscapeProgress value = escape_ascii_text(field->value.data(), value_end, next);
    if (value.in != value_end) break;
    std::memcpy(value.out, "\",", 2);
    out = value.out + 2;
  }
  return {field, out};
}

bool is_supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

}  // namespace

const EscapeKernels* avx512_escape_kernels() {
  static constexpr EscapeKernels kKernels = {"avx512", escape_ascii, escape_utf8,
                                             write_plain_fields};
  static const bool kSupported = is_supported();
  return kSupported ? &kKernels : nullptr;
}

}  // namespace tcp_sniffer

#else

namespace tcp_sniffer {
const EscapeKernels* avx512_escape_kernels() {
  return nullptr;
}
}  // namespace tcp_sniffer

#endif
