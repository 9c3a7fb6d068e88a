// Content codings: what was coded comes out as it went in, what was not ends within the limits, and
// memory is given back.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/message/content_decoder.h"
#include "fuzz_input.h"
#include "support/content_coders.h"

namespace tcp_sniffer::fuzz {
namespace {

constexpr const char* kCodings[] = {"gzip",   "deflate",    "br",         "zstd",
                                    "x-gzip", "gzip, gzip", "br,deflate", "identity"};

// A clock that every look moves on by a microsecond: no input depends on the machine's speed.
int64_t ticking_clock() {
  static int64_t now_ns = 0;
  return now_ns += 1000;
}

std::string coded(std::string_view text, size_t coding) {
  using namespace content_coders;
  switch (coding) {
    case 0:
    case 4:
      return gzip(text);
    case 1:
      return deflate_zlib(text);
    case 2:
      return brotli(text);
    case 3:
      return zstd(text);
    case 5:
      return gzip(gzip(text));
    case 6:
      return deflate_raw(brotli(text));
    default:
      return std::string(text);
  }
}

class Decoding {
 public:
  explicit Decoding(uint64_t output_max)
      : output_max_(output_max), decoder_(pool_, output_max, ticking_clock) {}
  ~Decoding() {
    decoder_.release();
    EXPECT_EQ(pool_.used_bytes(), 0u);
  }

  ContentDecoder::Result decode(std::string_view coding, std::string_view body,
                                std::span<const BodyGap> gaps = {}) {
    // Memory of its own size, so that nothing is read beyond it unseen.
    exact_.assign(body.begin(), body.end());
    const HeaderField fields[] = {{"Content-Encoding", coding}};
    Message message;
    message.direction = MessageDirection::kResponse;
    message.status = 200;
    message.headers = fields;
    message.body = {exact_.data(), exact_.size()};
    message.body_size = exact_.size();
    message.body_gaps = gaps;
    const ContentDecoder::Result result = decoder_.decode(message);
    EXPECT_LE(result.body.size(), std::max<uint64_t>(output_max_, exact_.size()));
    if (result.codings.empty()) {
      EXPECT_EQ(result.body.size(), result.body.empty() ? 0 : exact_.size());
    }
    EXPECT_EQ(result.limit != ContentDecoder::Limit::kNone,
              result.error == ContentDecodeError::kLimit);
    return result;
  }
  void release_output() { decoder_.release_output(); }

 private:
  const uint64_t output_max_;
  BufferPool pool_{size_t{8} << 20};
  ContentDecoder decoder_;
  std::vector<char> exact_;
};

void check(FuzzInput input) {
  const uint8_t flags = input.u8();
  const size_t coding = input.below(std::size(kCodings));
  const uint64_t output_max = (flags & 1) != 0 ? 1000 : 1 << 20;
  Decoding decoding(output_max);
  if ((flags & 2) == 0) {  // the bytes are what was sent
    const uint16_t gap_at = input.u16();
    const std::string_view body = input.rest();
    const BodyGap gap{gap_at % (body.size() + 1), 5};
    for (int twice = 0; twice < 2; twice++) {
      decoding.decode(kCodings[coding], body,
                      (flags & 4) != 0 ? std::span(&gap, 1) : std::span<const BodyGap>());
      decoding.release_output();
    }
    return;
  }
  const size_t copies = size_t{1} + input.u8();
  const std::string_view part = input.rest();
  std::string text;
  for (size_t i = 0; i < copies && text.size() < 60'000; i++) text += part;
  const std::string body = coded(text, coding);
  const ContentDecoder::Result result = decoding.decode(kCodings[coding], body);
  if (coding != 7 && !body.empty() && result.error == ContentDecodeError::kNo) {
    EXPECT_EQ(result.truncated, text.size() > output_max);
    EXPECT_EQ(result.body, std::string_view(text).substr(0, output_max));
  }
  // Below a mebibyte no ratio counts.
  if (text.size() <= kDecodeRatioFreeBytes) {
    EXPECT_NE(result.error, ContentDecodeError::kCorrupt);
  }
  decoding.release_output();
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(FuzzInput(data, size));
  return 0;
}
