#include "core/http/stream_sample.h"

#include <algorithm>

#include "core/base/characters.h"

namespace tcp_sniffer {

namespace {

// Numbers and lengths of a binary protocol happen to be printable; fewer bytes are no word.
constexpr size_t kWordMin = 3;

bool is_in_word(char c) {
  return is_token_char(c) || c == '/';
}

bool is_text(char c) {
  return (c >= ' ' && c < 0x7f) || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

uint8_t take_stream_sample(std::string_view first_bytes, std::array<uint8_t, kSampleMax>& sample) {
  const std::string_view bytes = first_bytes.substr(0, sample.size());
  size_t word = 0;  // bytes of the word that is being passed
  size_t end = 0;
  for (; end < bytes.size(); ++end) {
    if (is_in_word(bytes[end])) {
      word++;
      continue;
    }
    if (word >= kWordMin || (word > 0 && is_text(bytes[end]))) break;
    word = 0;
  }
  std::copy_n(bytes.begin(), end, sample.begin());
  return static_cast<uint8_t>(end);
}

}  // namespace tcp_sniffer
