// MessageLineWriter: how large a line can get, known before it is written. Asked only when memory
// is short.

#include <algorithm>
#include <array>

#include "core/base/base64.h"
#include "core/line/json_escape.h"
#include "core/line/message_line.h"

namespace tcp_sniffer {
namespace {

// The most bytes that JSON needs for each byte. Outside of ASCII only the characters that begin
// with C2 (U+0080 to 009F) and with E2 80 (U+2028 and 2029) are escaped: six bytes instead of two
// and of three.
constexpr std::array<uint8_t, 256> kEscapedSize = [] {
  std::array<uint8_t, 256> sizes{};
  for (size_t byte = 0; byte < sizes.size(); byte++) sizes[byte] = byte < 0x20 ? 6 : 1;
  sizes['"'] = sizes['\\'] = 2;
  sizes['\n'] = sizes['\r'] = sizes['\t'] = sizes['\b'] = sizes['\f'] = 2;
  sizes[0x7f] = 6;
  sizes[0xc2] = 5;
  sizes[0xe2] = 4;
  return sizes;
}();

constexpr size_t kGapSize = 48;

size_t escaped(std::string_view text) {
  return text.size() * kEscapedByteMax;
}

size_t fields_size(std::span<const HeaderField> fields) {
  size_t size = 0;
  // The name again in `latin1`.
  for (const HeaderField& field : fields) {
    size += MessageLineWriter::kFieldSize + 2 * escaped(field.name) + escaped(field.value);
  }
  return size;
}

// A long string asks for an eighth more than it has.
size_t with_spare(size_t size) {
  return size + size / 8;
}

}  // namespace

size_t MessageLineWriter::body_size_max(std::string_view body) const {
  if (options_.format == LineOptions::kPretty) {
    return options_.pretty.detail > 1 ? body.size() * kEscapedByteMax : 0;
  }
  if (options_.format == LineOptions::kFramed || form_ == Form::kPacked) return body.size();
  size_t size = 0;
  for (const char byte : body) size += kEscapedSize[static_cast<uint8_t>(byte)];
  if (options_.binary_base64) size = std::max(size, base64_size(body.size()));
  return std::max(size, with_spare(body.size()));
}

size_t MessageLineWriter::size_max(const Message& message) const {
  size_t size = escaped(message.method) + escaped(message.target) + escaped(message.reason) +
                escaped(message.request_target) + escaped(message.request_host);
  const size_t headers = fields_size(message.headers);
  size += with_spare(options_.raw_headers ? 2 * headers : headers);
  size += with_spare(fields_size(message.trailers));
  if (form_ == Form::kSelected) size *= bounds_.head_copies;
  size += bounds_.fixed_size + message.body_gaps.size() * kGapSize;
  if (message.body_kept && !message.body_binary) {
    size += bounds_.body_copies * body_size_max(message.body);
  }
  return size;
}

size_t MessageLineWriter::body_that_fits(const Message& message, size_t size) const {
  Message empty = message;
  empty.body = {};
  const size_t fixed = size_max(empty);
  if (fixed >= size) return 0;
  // The largest of the halves that fit, and of theirs: within a thousandth of what would fit.
  std::string_view body = message.body;
  size_t fits = 0;
  for (size_t step = body.size(); step > body.size() / 1024; step /= 2) {
    const size_t longer = std::min(body.size(), fits + step);
    if (fixed + body_size_max(body.substr(0, longer)) <= size) fits = longer;
  }
  return fits;
}

}  // namespace tcp_sniffer
