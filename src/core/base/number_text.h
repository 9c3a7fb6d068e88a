#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tcp_sniffer {

// Numbers as JSON text. Every function writes from `out`, takes no more room than its
// constant says, writes no terminator and returns the end of what it wrote.

constexpr size_t kUnsignedTextMax = 20;
constexpr size_t kMillisecondsTextMax = 22;

inline constexpr char kHexDigits[] = "0123456789abcdef";

inline constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// Exactly two digits; value < 100.
inline char* write_two_digits(char* out, uint32_t value) {
  std::memcpy(out, &kDigitPairs[size_t{2} * value], 2);
  return out + 2;
}

// Exactly six digits; value < 1,000,000.
inline char* write_six_digits(char* out, uint32_t value) {
  out = write_two_digits(out, value / 10000);
  out = write_two_digits(out, value / 100 % 100);
  return write_two_digits(out, value % 100);
}

inline constexpr std::array<uint64_t, 20> kPowersOfTen = [] {
  std::array<uint64_t, 20> powers{1};
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

// How many decimal digits; 1 for 0.
inline size_t decimal_digits(uint64_t value) {
  // bits * log10(2), cut: the number of digits, or one less.
  const auto bits = static_cast<size_t>(std::bit_width(value | 1));
  const size_t digits = bits * 1233 >> 12;
  return digits + (value >= kPowersOfTen[digits] ? 1 : 0);
}

inline char* write_unsigned(char* out, uint64_t value) {
  if (value < 10) {
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  char* const end = out + decimal_digits(value);
  char* begin = end;
  while (value >= 100) {
    begin -= 2;
    write_two_digits(begin, static_cast<uint32_t>(value % 100));
    value /= 100;
  }
  if (value >= 10) {
    write_two_digits(begin - 2, static_cast<uint32_t>(value));
  } else {
    begin[-1] = static_cast<char>('0' + value);
  }
  return end;
}

// Nanoseconds as milliseconds: exact, with as few decimals as that needs, at most six, no exponent.
inline char* write_milliseconds(char* out, int64_t nanoseconds) {
  auto magnitude = static_cast<uint64_t>(nanoseconds);
  if (nanoseconds < 0) {
    *out++ = '-';
    magnitude = 0 - magnitude;
  }
  if (magnitude < 1000000) {  // below a millisecond, as most are: no division
    *out++ = '0';
  } else {
    out = write_unsigned(out, magnitude / 1000000);
    magnitude %= 1000000;
  }
  const auto fraction = static_cast<uint32_t>(magnitude);
  if (fraction == 0) return out;
  *out = '.';
  char* end = write_six_digits(out + 1, fraction);
  while (end[-1] == '0') --end;
  return end;
}

// The difference of two packet times. Times of a damaged capture may be anything: an overflow
// saturates.
inline int64_t elapsed_ns(int64_t from_ns, int64_t to_ns) {
  int64_t difference = 0;
  if (!__builtin_sub_overflow(to_ns, from_ns, &difference)) return difference;
  return to_ns > from_ns ? INT64_MAX : INT64_MIN;
}

// Exactly 8 lower-case hexadecimal digits: one nibble into each byte, then all eight digits at
// once.
inline char* write_hex8(char* out, uint32_t value) {
  uint64_t nibbles = value;
  nibbles = ((nibbles << 16) | nibbles) & 0x0000ffff0000ffff;
  nibbles = ((nibbles << 8) | nibbles) & 0x00ff00ff00ff00ff;
  nibbles = ((nibbles << 4) | nibbles) & 0x0f0f0f0f0f0f0f0f;
  // Each byte above 9 has bit 4 set after adding 6; 'a' is 39 after the character that follows '9'.
  const uint64_t letters = ((nibbles + 0x0606060606060606) >> 4) & 0x0101010101010101;
  const uint64_t text = nibbles + 0x3030303030303030 + letters * ('a' - '9' - 1);
  const uint64_t in_order =
      std::endian::native == std::endian::little ? __builtin_bswap64(text) : text;
  std::memcpy(out, &in_order, 8);
  return out + 8;
}

// Exactly 16 lower-case hexadecimal digits.
inline char* write_hex16(char* out, uint64_t value) {
  out = write_hex8(out, static_cast<uint32_t>(value >> 32));
  return write_hex8(out, static_cast<uint32_t>(value));
}

// Exactly `digits` lower-case hexadecimal digits, the last ones of the value.
inline char* write_hex(char* out, uint64_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    *out++ = kHexDigits[value >> shift & 0xf];
  }
  return out;
}

}  // namespace tcp_sniffer
