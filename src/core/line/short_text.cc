#include "core/line/short_text.h"

#include "core/base/number_text.h"
#include "core/line/put_text.h"

namespace tcp_sniffer {

ShortText size_text(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
  size_t unit = 0;
  uint64_t divisor = 1;
  while (bytes / divisor >= 1000) {
    divisor *= 1000;
    ++unit;
  }
  ShortText result;
  char* out = write_unsigned(result.text, bytes / divisor);
  if (unit != 0) {
    *out++ = '.';
    *out++ = static_cast<char>('0' + bytes % divisor / (divisor / 10));
  }
  result.set_end(put(out, kUnits[unit]));
  return result;
}

ShortText latency_text(int64_t nanoseconds, bool is_short) {
  ShortText result;
  char* out = result.text;
  auto magnitude = static_cast<uint64_t>(nanoseconds);
  if (nanoseconds < 0) {
    *out++ = '-';
    magnitude = 0 - magnitude;
  }
  const bool seconds = magnitude >= 1000000000;
  const uint64_t thousandths = seconds ? magnitude / 1000000 : magnitude / 1000;
  out = write_unsigned(out, thousandths / 1000);
  *out++ = '.';
  *out++ = static_cast<char>('0' + thousandths / 100 % 10);
  if (!is_short) out = write_two_digits(out, static_cast<uint32_t>(thousandths % 100));
  result.set_end(put(out, seconds ? " s" : " ms"));
  return result;
}

ShortText status_text(uint16_t status) {
  ShortText result;
  result.set_end(write_unsigned(result.text, status));
  return result;
}

}  // namespace tcp_sniffer
