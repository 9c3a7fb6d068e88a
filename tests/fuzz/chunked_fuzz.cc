// The chunked coding: the same body, trailer and end for every way to cut it; a coded body comes
// out as it went in.

#include <gtest/gtest.h>

#include <string>

#include "core/http/chunked_decoder.h"
#include "fuzz_input.h"

namespace tcp_sniffer::fuzz {
namespace {

struct Decoded {
  std::string body;
  std::string trailer;
  ChunkedDecoder::Event end = ChunkedDecoder::Event::kMore;
  size_t used = 0;  // unless the end is kError
  friend bool operator==(const Decoded&, const Decoded&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Decoded& decoded) {
    return out << testing::PrintToString(decoded.body) << ", trailer "
               << testing::PrintToString(decoded.trailer) << ", end "
               << static_cast<int>(decoded.end) << ", used " << decoded.used;
  }
};

Decoded decode(std::string_view text, FuzzInput cuts) {
  ChunkedDecoder decoder;
  decoder.start();
  Decoded decoded;
  while (!text.empty()) {
    const size_t size = cuts.empty() ? text.size() : std::min<size_t>(text.size(), cuts.u8() % 33);
    // In memory of its own, so that no view of an earlier part is used.
    const std::string part(text.substr(0, size));
    text.remove_prefix(size);
    std::string_view input = part;
    for (bool more = true; more;) {
      std::string_view piece;
      const std::string_view before = input;
      switch (decoder.next(input, piece)) {
        case ChunkedDecoder::Event::kBody:
          decoded.body += piece;
          break;
        case ChunkedDecoder::Event::kTrailer:
          decoded.trailer += piece;
          break;
        case ChunkedDecoder::Event::kMore:
          EXPECT_TRUE(input.empty());
          more = false;
          break;
        case ChunkedDecoder::Event::kDone:
          decoded.end = ChunkedDecoder::Event::kDone;
          decoded.used += before.size() - input.size();
          return decoded;
        case ChunkedDecoder::Event::kError:
          decoded.end = ChunkedDecoder::Event::kError;
          decoded.used = 0;
          return decoded;
      }
      decoded.used += before.size() - input.size();
    }
    EXPECT_LE(decoder.remaining_in_chunk(), uint64_t{1} << 63);
  }
  return decoded;
}

std::string coded(std::string_view body, FuzzInput& choices) {
  std::string text;
  while (!body.empty()) {
    const size_t size = std::min<size_t>(body.size(), 1 + choices.u8());
    char digits[40];
    static constexpr const char* kSizes[] = {"%zx\r\n",         "%zX\r\n", "%06zx \r\n",
                                             "%zx;a=\"b\"\r\n", "%zx\n",   "%zx\t\r\n"};
    std::snprintf(digits, sizeof(digits), kSizes[choices.below(std::size(kSizes))], size);
    text += digits;
    text += body.substr(0, size);
    text += choices.below(8) == 0 ? "\n" : "\r\n";
    body.remove_prefix(size);
  }
  return text + "0\r\n\r\n";
}

void check(FuzzInput input) {
  const auto cut_bytes = input.bytes(16);
  const FuzzInput cuts(cut_bytes.data(), cut_bytes.size());
  const bool make = (input.u8() & 1) != 0;
  if (!make) {
    const std::string_view text = input.rest();
    const Decoded whole = decode(text, FuzzInput(nullptr, 0));
    EXPECT_EQ(whole, decode(text, cuts));
    return;
  }
  const auto choice_bytes = input.bytes(16);
  FuzzInput choices(choice_bytes.data(), choice_bytes.size());
  const std::string_view body = input.rest();
  const std::string text = coded(body, choices);
  for (const FuzzInput& way : {FuzzInput(nullptr, 0), cuts}) {
    const Decoded decoded = decode(text + "GET", way);
    EXPECT_EQ(decoded.body, body);
    EXPECT_EQ(decoded.end, ChunkedDecoder::Event::kDone);
    EXPECT_EQ(decoded.used, text.size());
  }
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(FuzzInput(data, size));
  return 0;
}
