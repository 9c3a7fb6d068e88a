#pragma once

#include <cstddef>

#include "core/message/message.h"

namespace tcp_sniffer {

// Escaping of JSON string contents, the most expensive step of a line: a JSON body is full of
// quotes.
//
// Escaped are quote and backslash, U+0000-001F, U+007F-009F, U+2028 and U+2029 (RFC 8259 section
// 7; the others break terminals and JavaScript source). \b \t \n \f \r \" \\ take two bytes, the
// rest six (\u00XX). Everything else is copied. The functions write no quotes around the text.
//
// There is one set of functions per kind of processor, chosen once; all write the same bytes.
// Output room: escaped_size_max of the input's size, because the widest stores spill past the end.

constexpr size_t kEscapedByteMax = 6;
constexpr size_t kEscapeSpill = 128;

constexpr size_t escaped_size_max(size_t size) {
  return size * kEscapedByteMax + kEscapeSpill;
}

struct EscapeProgress {
  const char* in;  // first byte not consumed
  char* out;       // end of what was written
};

struct FieldProgress {
  const HeaderField* next;  // first field not written
  char* out;
};

struct EscapeKernels {
  const char* name;

  // Escapes ASCII text. Stops early at a byte from 0x80, having consumed and written some part of
  // the ASCII text before it.
  EscapeProgress (*escape_ascii)(const char* in, const char* end, char* out);

  // Escapes text that is valid UTF-8 and begins and ends on a character boundary.
  char* (*escape_utf8)(const char* in, const char* end, char* out);

  // Writes `"name":"value",` for each field, the name in lower case, until the first field that
  // needs more than that (folded, or not ASCII) or may not fit before `limit`: it assumes
  // plain_field_size_max for each field.
  FieldProgress (*write_plain_fields)(const HeaderField* field, const HeaderField* end, char* out,
                                      const char* limit);
};

constexpr size_t plain_field_size_max(const HeaderField& field) {
  return (field.name.size() + field.value.size()) * kEscapedByteMax + 6 + kEscapeSpill;
}

// May the field be written as a plain one, at most into `room` bytes?
constexpr bool may_be_plain(const HeaderField& field, ptrdiff_t room) {
  return !field.folded && static_cast<ptrdiff_t>(plain_field_size_max(field)) <= room;
}

// The fastest set that this processor runs.
const EscapeKernels& escape_kernels();

const EscapeKernels& portable_escape_kernels();
// Null where the processor, or the architecture, does not have it.
const EscapeKernels* avx2_escape_kernels();
const EscapeKernels* avx512_escape_kernels();

// Escapes text that is not UTF-8: each byte is written as the character U+00XX.
char* escape_latin1(const char* in, const char* end, char* out);

}  // namespace tcp_sniffer
