#include <cstdint>
#include <cstring>

#include "core/line/json_escape.h"
#include "core/line/json_escape_bytes.h"

namespace tcp_sniffer {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

uint64_t load8(const char* in) {
  uint64_t word;
  std::memcpy(&word, in, 8);
  return word;
}

// Non-zero when a byte of an all-ASCII word equals `byte` (exact as a yes or no).
constexpr uint64_t has_byte(uint64_t word, uint64_t byte) {
  const uint64_t zero_there = word ^ (kOnes * byte);
  return (zero_there - kOnes) & ~zero_there & kHighBits;
}

// Of eight ASCII bytes: must any be escaped? (Below 0x20, quote, backslash, DEL.)
constexpr bool needs_escape(uint64_t word) {
  const uint64_t control = (word - kOnes * 0x20) & ~word & kHighBits;
  const uint64_t del = (word + kOnes) & kHighBits;
  return (control | del | has_byte(word, '"') | has_byte(word, '\\')) != 0;
}

EscapeProgress escape_ascii(const char* in, const char* end, char* out) {
  for (; end - in >= 8; in += 8) {
    const uint64_t word = load8(in);
    if (word & kHighBits) return {in, out};
    if (!needs_escape(word)) {
      std::memcpy(out, &word, 8);
      out += 8;
      continue;
    }
    for (size_t i = 0; i < 8; ++i) out = escape_byte(static_cast<uint8_t>(in[i]), out);
  }
  for (; in < end; ++in) {
    const auto byte = static_cast<uint8_t>(*in);
    if (byte >= 0x80) break;
    out = escape_byte(byte, out);
  }
  return {in, out};
}

char* escape_utf8(const char* in, const char* end, char* out) {
  while (end - in >= 8) {
    const uint64_t word = load8(in);
    if ((word & kHighBits) == 0 && !needs_escape(word)) {
      std::memcpy(out, &word, 8);
      out += 8;
      in += 8;
      continue;
    }
    const EscapeProgress progress = escape_utf8_bytes(in, in + 8, end, out);
    in = progress.in;
    out = progress.out;
  }
  return escape_utf8_bytes(in, end, end, out).out;
}

// A byte of a header name in lower case; 0 where it must be escaped or is not ASCII.
constexpr std::array<char, 256> kPlainNameBytes = [] {
  std::array<char, 256> table{};
  for (unsigned byte = 0x20; byte < 0x7f; ++byte) {
    const bool upper = byte >= 'A' && byte <= 'Z';
    if (byte != '"' && byte != '\\') table[byte] = static_cast<char>(upper ? byte | 0x20 : byte);
  }
  return table;
}();

FieldProgress write_plain_fields(const HeaderField* field, const HeaderField* end, char* out,
                                 const char* limit) {
  for (; field != end && may_be_plain(*field, limit - out); ++field) {
    char* next = out;
    *next++ = '"';
    for (const char name_byte : field->name) {
      const char plain = kPlainNameBytes[static_cast<uint8_t>(name_byte)];
      if (plain == 0) return {field, out};
      *next++ = plain;
    }
    std::memcpy(next, "\":\"", 4);
    next += 3;
    const char* value_end = field->value.data() + field->value.size();
    const EscapeProgress value = escape_ascii(field->value.data(), value_end, next);
    if (value.in != value_end) return {field, out};
    std::memcpy(value.out, "\",", 2);
    out = value.out + 2;
  }
  return {field, out};
}

}  // namespace

const EscapeKernels& portable_escape_kernels() {
  static constexpr EscapeKernels kKernels = {"portable", escape_ascii, escape_utf8,
                                             write_plain_fields};
  return kKernels;
}

}  // namespace tcp_sniffer
