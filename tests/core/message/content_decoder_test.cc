#include "core/message/content_decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "core/base/limits.h"
#include "support/content_coders.h"

namespace tcp_sniffer::content_decoder_test {
namespace {

using namespace content_coders;

int64_t g_now_ns = 0;
int64_t g_tick_ns = 0;

// Each look at the clock finds it g_tick_ns later.
int64_t fake_clock() {
  return g_now_ns += g_tick_ns;
}

struct Outcome {
  std::string body;
  std::string codings;
  ContentDecodeError error = ContentDecodeError::kNo;
  ContentDecoder::Limit limit = ContentDecoder::Limit::kNone;
  bool truncated = false;
  ContentProof proof = ContentProof::kNotNeeded;
};

class ContentDecoderTest : public testing::Test {
 protected:
  ContentDecoderTest() { g_now_ns = g_tick_ns = 0; }

  Outcome decode_message(const Message& message) {
    const ContentDecoder::Result result = decoder.decode(message);
    Outcome outcome{std::string(result.body),
                    std::string(result.codings),
                    result.error,
                    result.limit,
                    result.truncated,
                    result.proof};
    decoder.release_output();
    return outcome;
  }
  Outcome decode(std::string_view coding, std::string_view body) {
    const HeaderField headers[] = {{"Content-Type", "text/plain"}, {"Content-Encoding", coding}};
    Message message;
    message.headers = headers;
    message.body = body;
    message.body_size = body.size();
    return decode_message(message);
  }

  static constexpr uint64_t kOutputMax = 4u << 20;
  BufferPool pool{256u << 20};
  ContentDecoder decoder{pool, kOutputMax, fake_clock};
};

TEST_F(ContentDecoderTest, EveryCodingIsUndone) {
  for (const size_t size : {size_t{1}, size_t{100}, size_t{70000}, size_t{1000000}}) {
    const std::string text = some_text(size);
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"gzip", gzip(text)},           {"x-gzip", gzip(text)},
        {"GZip", gzip(text)},           {"deflate", deflate_zlib(text)},
        {"deflate", deflate_raw(text)}, {"br", brotli(text)},
        {"zstd", zstd(text)},           {" identity , gzip ", gzip(text)},
    };
    for (const auto& [coding, body] : cases) {
      const Outcome outcome = decode(coding, body);
      EXPECT_EQ(outcome.body, text) << coding << " " << size;
      EXPECT_EQ(outcome.error, ContentDecodeError::kNo) << coding << " " << size;
      EXPECT_FALSE(outcome.truncated);
    }
  }
}

TEST_F(ContentDecoderTest, NamesWhatItUndidInTheOrderOfTheHeader) {
  const std::string text = some_text(5000);
  EXPECT_EQ(decode("x-gzip", gzip(text)).codings, "gzip");
  EXPECT_EQ(decode("br", brotli(text)).codings, "br");
  const Outcome stacked = decode("deflate, gzip", gzip(deflate_raw(text)));
  EXPECT_EQ(stacked.body, text);
  EXPECT_EQ(stacked.codings, "deflate, gzip");
  EXPECT_EQ(decode("deflate, zstd", zstd(deflate_zlib(text))).codings, "deflate, zstd");
}

TEST_F(ContentDecoderTest, TwoHeaderFieldsAreOneList) {
  const std::string text = some_text(5000);
  const std::string body = zstd(brotli(text));
  const HeaderField headers[] = {{"content-encoding", "br"}, {"CONTENT-ENCODING", "zstd"}};
  Message message;
  message.headers = headers;
  message.body = body;
  const Outcome outcome = decode_message(message);
  EXPECT_EQ(outcome.body, text);
  EXPECT_EQ(outcome.codings, "br, zstd");
}

TEST_F(ContentDecoderTest, ThreeCodingsAreLeftAlone) {
  const std::string body = gzip(gzip(gzip("text")));
  const Outcome outcome = decode("gzip, gzip, gzip", body);
  EXPECT_EQ(outcome.body, body);
  EXPECT_EQ(outcome.codings, "");
  EXPECT_EQ(outcome.error, ContentDecodeError::kLimit);
  EXPECT_EQ(outcome.limit, ContentDecoder::Limit::kCodings);
}

TEST_F(ContentDecoderTest, WhatLiesUnderAnUnknownCodingStaysAsItIs) {
  EXPECT_EQ(decode("gzip, secret", "bytes").body, "bytes");
  EXPECT_EQ(decode("gzip, secret", "bytes").codings, "");
  EXPECT_EQ(decode("gzip, secret", "bytes").error, ContentDecodeError::kNo);
  const Outcome outcome = decode("secret, gzip", gzip("bytes"));
  EXPECT_EQ(outcome.body, "bytes");
  EXPECT_EQ(outcome.codings, "gzip");
}

TEST_F(ContentDecoderTest, BodiesWithoutACodingAreLeftAlone) {
  EXPECT_EQ(decode("identity", "bytes").body, "bytes");
  EXPECT_EQ(decode("", "bytes").codings, "");
  EXPECT_EQ(decode("gzip", "").codings, "");
  EXPECT_EQ(decode("gzip", "").error, ContentDecodeError::kNo);
}

TEST_F(ContentDecoderTest, TruncatedStreamGivesWhatItHoldsAndSaysSo) {
  const std::string text = some_text(300000);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"gzip", gzip(text)},           {"deflate", deflate_zlib(text)},
      {"deflate", deflate_raw(text)}, {"br", brotli(text)},
      {"zstd", zstd(text)},           {"deflate, gzip", gzip(deflate_zlib(text))},
  };
  for (const auto& [coding, body] : cases) {
    const Outcome outcome = decode(coding, body.substr(0, body.size() * 3 / 4));
    EXPECT_EQ(outcome.error, ContentDecodeError::kTruncated) << coding;
    EXPECT_GT(outcome.body.size(), text.size() / 4) << coding;
    EXPECT_TRUE(text.starts_with(outcome.body)) << coding;
  }
}

TEST_F(ContentDecoderTest, EveryCutOfASmallStreamIsAPrefixOrTheBodyAsSent) {
  const std::string text = some_text(2000);
  const std::vector<std::pair<std::string, std::string>> cases = {{"gzip", gzip(text)},
                                                                  {"deflate", deflate_raw(text)},
                                                                  {"br", brotli(text)},
                                                                  {"zstd", zstd(text)}};
  for (const auto& [coding, body] : cases) {
    for (size_t size = 1; size < body.size(); size++) {
      const std::string part = body.substr(0, size);
      const Outcome outcome = decode(coding, part);
      EXPECT_NE(outcome.error, ContentDecodeError::kNo) << coding << " " << size;
      if (outcome.codings.empty()) {
        EXPECT_EQ(outcome.body, part) << coding << " " << size;
      } else {
        EXPECT_TRUE(text.starts_with(outcome.body)) << coding << " " << size;
      }
    }
  }
}

TEST_F(ContentDecoderTest, CorruptStreamGivesWhatCameBefore) {
  const std::string text = some_text(300000);
  const std::vector<std::pair<std::string, std::string>> cases = {{"gzip", gzip(text)},
                                                                  {"deflate", deflate_zlib(text)},
                                                                  {"br", brotli(text)},
                                                                  {"zstd", zstd(text)}};
  for (const auto& [coding, whole] : cases) {
    std::string body = whole;
    for (size_t i = body.size() / 2; i < body.size() / 2 + 64; i++) body[i] = '\xff';
    const Outcome outcome = decode(coding, body);
    EXPECT_EQ(outcome.error, ContentDecodeError::kCorrupt) << coding;
    EXPECT_EQ(outcome.codings, coding);
    EXPECT_GT(outcome.body.size(), text.size() / 8) << coding;
    EXPECT_EQ(outcome.body.substr(0, text.size() / 8), text.substr(0, text.size() / 8)) << coding;
  }
}

TEST_F(ContentDecoderTest, WrongChecksumIsCorruptThoughAllBytesAreThere) {
  const std::string text = some_text(5000);
  std::string body = gzip(text);
  body[body.size() - 6] = static_cast<char>(body[body.size() - 6] ^ 1);
  const Outcome outcome = decode("gzip", body);
  EXPECT_EQ(outcome.body, text);
  EXPECT_EQ(outcome.error, ContentDecodeError::kCorrupt);
}

TEST_F(ContentDecoderTest, BodyThatOnlyClaimsACodingIsLeftAsSent) {
  for (const char* coding : {"gzip", "br", "zstd", "deflate"}) {
    const std::string body = "<html>not coded at all</html>";
    const Outcome outcome = decode(coding, body);
    EXPECT_EQ(outcome.error, ContentDecodeError::kCorrupt) << coding;
    EXPECT_EQ(outcome.codings, "") << coding;
    EXPECT_EQ(outcome.body, body) << coding;
  }
}

TEST_F(ContentDecoderTest, InnerStreamThatIsBrokenLeavesTheOuterOneUndone) {
  const Outcome outcome = decode("br, gzip", gzip("this is not brotli, whatever it says"));
  EXPECT_EQ(outcome.body, "this is not brotli, whatever it says");
  EXPECT_EQ(outcome.codings, "gzip");
  EXPECT_EQ(outcome.error, ContentDecodeError::kCorrupt);
}

TEST_F(ContentDecoderTest, BareDeflateThatLooksLikeZlibIsStillUndone) {
  // A stored block whose spare bits are set (RFC 1951 section 3.2.4): 78 01, then a final one.
  const std::string text = "a";
  const std::string body =
      std::string("\x78\x01\x00\xfe\xff", 5) + text + std::string("\x01\x00\x00\xff\xff", 5);
  const Outcome outcome = decode("deflate", body);
  EXPECT_EQ(outcome.body, text);
  EXPECT_EQ(outcome.error, ContentDecodeError::kNo);
}

TEST_F(ContentDecoderTest, SeveralMembersAreOneBody) {
  const std::string text = some_text(40000);
  // Members of every length, so that they begin anywhere in the pieces the decoder reads.
  std::string body;
  std::string expected;
  for (size_t i = 0; i < 300; i++) {
    body += gzip(text.substr(i, 100 + i));
    expected += text.substr(i, 100 + i);
  }
  EXPECT_EQ(decode("gzip", body).body, expected);
  EXPECT_EQ(decode("gzip", body).error, ContentDecodeError::kNo);
  EXPECT_EQ(decode("zstd", zstd("one ") + zstd("two")).body, "one two");
}

TEST_F(ContentDecoderTest, GarbageBehindTheStreamIsIgnored) {
  EXPECT_EQ(decode("gzip", gzip("text") + std::string(20, '\0')).body, "text");
  EXPECT_EQ(decode("gzip", gzip("text") + "\r\n").error, ContentDecodeError::kNo);
}

TEST_F(ContentDecoderTest, TellsWhatShowsThatTheBodyIsWhatWasCoded) {
  const std::string text = some_text(5000);
  const std::string long_text = some_text(kOutputMax + 1);
  const auto half = [](const std::string& coded) { return coded.substr(0, coded.size() / 2); };
  const std::tuple<std::string, std::string, ContentProof> cases[] = {
      {"identity", text, ContentProof::kNotNeeded},
      {"gzip", gzip(text), ContentProof::kChecksum},
      {"deflate", deflate_zlib(text), ContentProof::kChecksum},
      {"deflate", deflate_raw(text), ContentProof::kNone},
      {"br", brotli(text), ContentProof::kNone},
      {"zstd", zstd(text), ContentProof::kChecksum},
      {"zstd", zstd(text, 0, false), ContentProof::kNone},
      {"deflate, gzip", gzip(deflate_raw(text)), ContentProof::kChecksum},
      {"gzip, deflate", deflate_raw(gzip(text)), ContentProof::kChecksum},
      {"gzip", gzip(long_text), ContentProof::kNone},
      {"gzip", gzip(text) + "garbage", ContentProof::kChecksum},
      {"br", brotli(text) + "garbage", ContentProof::kContradicted},
      {"deflate", deflate_raw(text) + "garbage", ContentProof::kContradicted},
      {"zstd", zstd(text) + "garbage", ContentProof::kChecksum},
      {"zstd", zstd(text, 0, false) + "garbage", ContentProof::kContradicted},
      {"br", half(brotli(text)), ContentProof::kContradicted},
      {"gzip", half(gzip(text)), ContentProof::kContradicted},
      {"deflate, gzip", gzip(half(deflate_raw(text))), ContentProof::kContradicted},
  };
  for (const auto& [coding, body, proof] : cases) {
    EXPECT_EQ(decode(coding, body).proof, proof) << coding << " " << body.size();
  }
  // Of a body that was cut the stream has no end.
  const HeaderField headers[] = {{"Content-Encoding", "gzip"}};
  const std::string cut = half(gzip(text));
  Message message;
  message.headers = headers;
  message.body = cut;
  message.incomplete = Incomplete::kClosed;
  EXPECT_EQ(decode_message(message).proof, ContentProof::kNone);
  message.incomplete = Incomplete::kNo;
  message.body_truncated = true;
  EXPECT_EQ(decode_message(message).proof, ContentProof::kNone);
}

TEST_F(ContentDecoderTest, OutputEndsAtItsMaximumAndSaysSo) {
  const std::string text = some_text(kOutputMax + 1);
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", gzip(text)}, {"br", brotli(text)}, {"zstd", zstd(text)}}) {
    const Outcome outcome = decode(coding, body);
    EXPECT_EQ(outcome.body, text.substr(0, kOutputMax)) << coding;
    EXPECT_TRUE(outcome.truncated) << coding;
    EXPECT_EQ(outcome.error, ContentDecodeError::kNo) << coding;
  }
}

TEST_F(ContentDecoderTest, OutputOfExactlyTheMaximumIsWhole) {
  const std::string text = some_text(kOutputMax);
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", gzip(text)}, {"br", brotli(text)}, {"zstd", zstd(text)}}) {
    const Outcome outcome = decode(coding, body);
    EXPECT_EQ(outcome.body, text) << coding;
    EXPECT_FALSE(outcome.truncated) << coding;
  }
}

TEST_F(ContentDecoderTest, BombIsStoppedByItsRatio) {
  ContentDecoder large(pool, 128u << 20, fake_clock);
  const std::string zeros(size_t{64} << 20, '\0');
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", gzip(zeros)}, {"br", brotli(zeros)}, {"zstd", zstd(zeros)}}) {
    const HeaderField headers[] = {{"Content-Encoding", coding}};
    Message message;
    message.headers = headers;
    message.body = body;
    const ContentDecoder::Result result = large.decode(message);
    EXPECT_EQ(result.error, ContentDecodeError::kLimit) << coding;
    EXPECT_EQ(result.limit, ContentDecoder::Limit::kRatio) << coding;
    EXPECT_LE(result.body.size(),
              std::max(kDecodeRatioFreeBytes, body.size() * kDecodeRatioMax) + 65536)
        << coding;
    large.release_output();
  }
}

TEST_F(ContentDecoderTest, BombInABombIsStoppedByTheRatioToWhatWasSent) {
  ContentDecoder large(pool, 256u << 20, fake_clock);
  const std::string body = gzip(gzip(std::string(size_t{200} << 20, '\0')));
  const HeaderField headers[] = {{"Content-Encoding", "gzip, gzip"}};
  Message message;
  message.headers = headers;
  message.body = body;
  const ContentDecoder::Result result = large.decode(message);
  EXPECT_EQ(result.limit, ContentDecoder::Limit::kRatio);
  EXPECT_LE(result.body.size(),
            std::max(kDecodeRatioFreeBytes, body.size() * kDecodeRatioMax) + 65536);
}

TEST_F(ContentDecoderTest, StreamThatTakesTooLongIsStopped) {
  const std::string text = some_text(2000000);
  const std::string body = gzip(text);
  g_tick_ns = 1'000'000;
  EXPECT_EQ(decode("gzip", body).error, ContentDecodeError::kNo);
  g_tick_ns = kDecodeTimeNs;
  const Outcome outcome = decode("gzip", body);
  EXPECT_EQ(outcome.error, ContentDecodeError::kLimit);
  EXPECT_EQ(outcome.limit, ContentDecoder::Limit::kTime);
  EXPECT_TRUE(text.starts_with(outcome.body));
  EXPECT_FALSE(outcome.body.empty());
}

TEST_F(ContentDecoderTest, ZstdWindowBeyondTheRfcIsRefused) {
  const Outcome outcome = decode("zstd", zstd(some_text(100000), 27));
  EXPECT_EQ(outcome.error, ContentDecodeError::kLimit);
  EXPECT_EQ(outcome.limit, ContentDecoder::Limit::kMemory);
  EXPECT_EQ(outcome.codings, "");
}

TEST_F(ContentDecoderTest, MemoryLimitStopsDecodingAndIsRespected) {
  BufferPool small(400000);
  ContentDecoder limited(small, 64u << 20, fake_clock);
  const std::string text = some_text(3000000);
  for (const auto& [coding, body] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", gzip(text)}, {"br", brotli(text)}, {"zstd", zstd(text)}}) {
    const HeaderField headers[] = {{"Content-Encoding", coding}};
    Message message;
    message.headers = headers;
    message.body = body;
    const ContentDecoder::Result result = limited.decode(message);
    EXPECT_EQ(result.error, ContentDecodeError::kLimit) << coding;
    EXPECT_EQ(result.limit, ContentDecoder::Limit::kMemory) << coding;
    EXPECT_LE(small.used_bytes(), small.limit_bytes());
    limited.release();
  }
  EXPECT_EQ(small.used_bytes(), 0u);
}

TEST_F(ContentDecoderTest, OnlyWhatComesBeforeAGapIsDecoded) {
  const std::string text = some_text(300000);
  const std::string body = gzip(text);
  const size_t gap_at = body.size() / 2;
  const std::string kept = body.substr(0, gap_at) + body.substr(gap_at + 1000);
  const BodyGap gaps[] = {{gap_at, 1000}};
  const HeaderField headers[] = {{"Content-Encoding", "gzip"}};
  Message message;
  message.headers = headers;
  message.body = kept;
  message.body_gaps = gaps;
  const Outcome outcome = decode_message(message);
  EXPECT_EQ(outcome.error, ContentDecodeError::kTruncated);
  EXPECT_GT(outcome.body.size(), text.size() / 4);
  EXPECT_TRUE(text.starts_with(outcome.body));
}

TEST_F(ContentDecoderTest, GivesAllMemoryBack) {
  decode("gzip", gzip(some_text(100000)));
  decode("br", brotli(some_text(100000)));
  decode("zstd", zstd(some_text(100000)));
  EXPECT_GT(pool.used_bytes(), 0u);
  decoder.release();
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_EQ(decode("gzip", gzip("again")).body, "again");
}

TEST_F(ContentDecoderTest, NoBytesWhateverTheyAreDoHarm) {
  uint64_t state = 88172645463325252ull;
  const auto next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  };
  const std::string text = some_text(3000);
  const std::string wholes[] = {gzip(text), deflate_zlib(text), brotli(text), zstd(text)};
  const char* const codings[] = {"gzip", "deflate", "br", "zstd"};
  for (int round = 0; round < 2000; round++) {
    std::string body = wholes[next() % 4];
    for (uint64_t flips = next() % 8; flips > 0; flips--) {
      body[next() % body.size()] = static_cast<char>(next());
    }
    const Outcome outcome = decode(codings[next() % 4], body);
    EXPECT_TRUE(!outcome.codings.empty() || outcome.body == body) << "seed 88172645463325252";
  }
}

}  // namespace
}  // namespace tcp_sniffer::content_decoder_test
