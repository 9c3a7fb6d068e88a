#include "core/http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>

#include "llhttp.h"

namespace tcp_sniffer::chunked_decoder_test {
namespace {

using Event = ChunkedDecoder::Event;
using std::string_view_literals::operator""sv;

struct Decoded {
  std::string body, trailer, rest, unexplained;
  Event end = Event::kMore;
  Anomalies anomalies;
};

// Decodes `coded`, cut into pieces of `step` bytes.
Decoded decode(std::string_view coded, size_t step = std::string_view::npos) {
  Decoded decoded;
  ChunkedDecoder decoder;
  decoder.start();
  while (!coded.empty() && decoded.end == Event::kMore) {
    std::string_view input = coded.substr(0, step);
    coded.remove_prefix(input.size());
    std::string_view piece;
    for (;;) {
      decoded.end = decoder.next(input, piece);
      if (decoded.end == Event::kBody) {
        decoded.body += piece;
      } else if (decoded.end == Event::kTrailer) {
        decoded.trailer += piece;
      } else {
        break;
      }
    }
    decoded.rest = input;
  }
  decoded.rest += coded;
  decoded.unexplained = decoder.unexplained();
  decoded.anomalies = decoder.anomalies();
  return decoded;
}

struct GoodCase {
  std::string_view coded, body, trailer;
};

TEST(ChunkedDecoder, DecodesWhatServersSendAtEveryPieceSize) {
  const GoodCase cases[] = {
      {"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""},
      {"0\r\n\r\n", "", ""},
      {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
      {"005\r\nhello\r\n000\r\n\r\n", "hello", ""},
      {"0000000000000000000000000005\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5   \r\nhello\r\n0  \r\n\r\n", "hello", ""},
      {"5\t\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5\nhello\n0\n\n", "hello", ""},
      {"5\r\nhello\n0\n\r\n", "hello", ""},
      {"5;a=b\r\nhello\r\n0;last\r\n\r\n", "hello", ""},
      {"5 ; a = \"x;\\\" \xc3\xa9\"\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5;\r\nhello\r\n0\r\n\r\n", "hello", ""},
      {"5;a\rb\nhello\r\n0\r\n\r\n", "hello", ""},
      {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""},
      {" 5\r\nhello\r\n\r\n\n\t0\r\n\r\n", "hello", ""},
      {"\r\n5\r\nhello\r\n \r\n0\r\n\r\n", "hello", ""},
      {"5\r\nhello\r\n0\r\nA: 1\r\nB: 2\r\n\r\n", "hello", "A: 1\r\nB: 2\r\n\r\n"},
      {"0\nA: 1\n\n", "", "A: 1\n\n"},
      {"0\r\n\rA: 1\r\n\r\r\n\r\n", "", "\rA: 1\r\n\r\r\n\r\n"},
      {"0\r\nnonsense\r\n\r\n", "", "nonsense\r\n\r\n"},
  };
  for (const GoodCase& c : cases) {
    for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{1000}}) {
      SCOPED_TRACE(std::string(c.coded) + " in pieces of " + std::to_string(step));
      const Decoded decoded = decode(std::string(c.coded) + "HTTP/1.1 200 OK", step);
      EXPECT_EQ(decoded.end, Event::kDone);
      EXPECT_EQ(decoded.body, c.body);
      EXPECT_EQ(decoded.trailer, c.trailer);
      EXPECT_EQ(decoded.rest, "HTTP/1.1 200 OK");
    }
  }
}

struct BadCase {
  std::string_view coded, body, unexplained, rest;
};

TEST(ChunkedDecoder, RefusesWhatIsNotTheCodingAndGivesItBack) {
  const BadCase cases[] = {
      {";a\r\n", "", "", ";a\r\n"},
      {"x\r\n", "", "", "x\r\n"},
      {"-5\r\n", "", "", "-5\r\n"},
      {"0x5\r\n", "", "", "0x5\r\n"},
      {"f,\r\nabc", "", "", "f,\r\nabc"},
      {"f\0\r\nabc"sv, "", "", "f\0\r\nabc"sv},
      {"5 x\r\n", "", "5 ", "x\r\n"},
      {"5\rx", "", "5\r", "x"},
      {"\r\n \rx", "", "\r\n \r", "x"},
      {"5\r\nhelloXX0\r\n", "hello", "", "XX0\r\n"},
      {"5\r\nhello\rX", "hello", "\r", "X"},
      {"5\r\nhello\r\n\r\ntext", "hello", "\r\n", "text"},
      {"5\r\nhello0\r\n", "hello", "", "0\r\n"},
  };
  for (const BadCase& c : cases) {
    const Decoded decoded = decode(c.coded);
    EXPECT_EQ(decoded.end, Event::kError) << c.coded;
    EXPECT_EQ(decoded.body, c.body) << c.coded;
    EXPECT_EQ(decoded.rest, c.rest) << c.coded;
    EXPECT_EQ(decoded.unexplained, c.unexplained) << c.coded;
    for (const size_t step : {size_t{1}, size_t{2}, size_t{3}}) {
      const Decoded cut = decode(c.coded, step);
      EXPECT_EQ(cut.end, Event::kError) << c.coded;
      EXPECT_EQ(cut.body, c.body) << c.coded;
      // Nothing is lost, wherever the cut shows the error.
      EXPECT_EQ(cut.unexplained + cut.rest, std::string(c.unexplained).append(c.rest)) << c.coded;
    }
  }
}

TEST(ChunkedDecoder, TheLongestSizeLineDoesNotDependOnTheCuts) {
  for (size_t zeros = 30; zeros < 45; ++zeros) {
    const std::string coded = std::string(zeros, '0') + "1\r\nx\r\n0\r\n\r\n";
    const Event whole = decode(coded).end;
    EXPECT_EQ(whole, zeros + 1 < ChunkedDecoder::kSizeLineMax ? Event::kDone : Event::kError);
    for (const size_t step : {size_t{1}, size_t{2}, zeros + 1, zeros + 2}) {
      EXPECT_EQ(decode(coded, step).end, whole) << zeros << " zeros in steps of " << step;
    }
  }
}

TEST(ChunkedDecoder, NamesWhatTheCodingDoesNotAllow) {
  const auto found = [](std::string_view coded, size_t step) {
    return decode(coded, step).anomalies;
  };
  for (const size_t step : {size_t{1}, size_t{3}, size_t{1000}}) {
    EXPECT_FALSE(found("5;a = b\r\nhello\r\n0\r\nA: 1\r\n\r\n", step).any());
    EXPECT_TRUE(found("1 \r\nx\r\n0\r\n\r\n", step).has(Anomaly::kChunkLine));
    EXPECT_TRUE(found("1\r\nx\r\n\r\n0\r\n\r\n", step).has(Anomaly::kChunkLine));
    EXPECT_TRUE(found("1\nx\r\n0\r\n\r\n", step).has(Anomaly::kBareLf));
    EXPECT_TRUE(found("1\r\nx\n0\r\n\r\n", step).has(Anomaly::kBareLf));
    EXPECT_TRUE(found("1\r\nx\r\n0\r\n\n", step).has(Anomaly::kBareLf));
  }
}

TEST(ChunkedDecoder, SizesThatOverflowAreErrors) {
  for (const std::string_view size :
       {"10000000000000000", "ffffffffffffffff", "8000000000000000", "fffffffffffffffffffff"}) {
    EXPECT_EQ(decode(std::string(size) + "\r\nabc").end, Event::kError) << size;
  }
  const Decoded largest = decode("7fffffffffffffff\r\nabc");
  EXPECT_EQ(largest.end, Event::kMore);
  EXPECT_EQ(largest.body, "abc");
}

TEST(ChunkedDecoder, BodyPiecesAreViewsOfTheInput) {
  const std::string_view coded = "5\r\nhello\r\n0\r\n\r\n";
  ChunkedDecoder decoder;
  decoder.start();
  std::string_view input = coded, piece;
  ASSERT_EQ(decoder.next(input, piece), Event::kBody);
  EXPECT_EQ(piece.data(), coded.data() + 3);
  EXPECT_EQ(piece.size(), 5u);
}

TEST(ChunkedDecoder, LostBytesInsideAChunkAreSkipped) {
  ChunkedDecoder decoder;
  decoder.start();
  std::string_view input = "100000\r\nab", piece;
  EXPECT_EQ(decoder.remaining_in_chunk(), 0u);
  ASSERT_EQ(decoder.next(input, piece), Event::kBody);
  ASSERT_EQ(decoder.next(input, piece), Event::kMore);
  ASSERT_EQ(decoder.remaining_in_chunk(), 0xffffeu);
  decoder.skip_in_chunk(0xffffe - 2);
  EXPECT_EQ(decoder.remaining_in_chunk(), 2u);
  input = "yz\r\n3\r\nabc";
  ASSERT_EQ(decoder.next(input, piece), Event::kBody);
  EXPECT_EQ(piece, "yz");
  ASSERT_EQ(decoder.next(input, piece), Event::kBody);
  EXPECT_EQ(piece, "abc");
  EXPECT_EQ(decoder.remaining_in_chunk(), 0u);
}

TEST(ChunkedDecoder, LossUpToTheEndOfAChunkLeavesTheCodingInStep) {
  ChunkedDecoder decoder;
  decoder.start();
  std::string_view input = "7fffffffffffffff\r\n", piece;
  ASSERT_EQ(decoder.next(input, piece), Event::kMore);
  ASSERT_EQ(decoder.remaining_in_chunk(), 0x7fffffffffffffffu);
  decoder.skip_in_chunk(0x7fffffffffffffff);
  EXPECT_EQ(decoder.remaining_in_chunk(), 0u);
  input = "\r\n0\r\n\r\nrest";
  ASSERT_EQ(decoder.next(input, piece), Event::kDone);
  EXPECT_EQ(input, "rest");
}

TEST(ChunkedDecoder, StartsAgainAfterABodyAndAfterAnError) {
  ChunkedDecoder decoder;
  for (const std::string_view first : {"0\r\n\r\n", "bad!"}) {
    decoder.start();
    std::string_view input = first, piece;
    decoder.next(input, piece);
    decoder.start();
    input = "1\r\nx\r\n0\r\n\r\n";
    ASSERT_EQ(decoder.next(input, piece), Event::kBody);
    EXPECT_EQ(piece, "x");
    EXPECT_EQ(decoder.next(input, piece), Event::kDone);
  }
}

// What copying a primed parser rests on: two parsers that read the same head at different addresses
// are equal byte for byte, so none points into itself.
TEST(ChunkedDecoder, PrimedParsersAreEqualByteForByte) {
  static_assert(std::is_trivially_copyable_v<ChunkedDecoder>);
  static_assert(sizeof(ChunkedDecoder) <= 160);
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  std::array<llhttp_t, 2> parsers;
  std::memset(parsers.data(), 0, sizeof(parsers));
  for (llhttp_t& parser : parsers) {
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    const std::string head(kHead);
    ASSERT_EQ(llhttp_execute(&parser, head.data(), head.size()), HPE_OK);
    EXPECT_EQ(parser._span_pos0, nullptr);
  }
  EXPECT_EQ(std::memcmp(&parsers[0], &parsers[1], sizeof(llhttp_t)), 0);
}

// llhttp alone, as the oracle: what it makes of a chunked request body.
struct Oracle {
  std::string body;
  bool done = false;
};

Oracle oracle_of(std::string_view coded) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* parser, const char* at, size_t size) {
    static_cast<Oracle*>(parser->data)->body.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* parser) {
    static_cast<Oracle*>(parser->data)->done = true;
    return static_cast<int>(HPE_PAUSED);
  };
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  Oracle oracle;
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &oracle;
  llhttp_execute(&parser, kHead.data(), kHead.size());
  llhttp_execute(&parser, coded.data(), coded.size());
  return oracle;
}

TEST(ChunkedDecoder, AgreesWithLlhttpOnRandomBodies) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string coded;
    const size_t chunks = random() % 6;
    for (size_t i = 0; i < chunks; ++i) {
      char size[32];
      const size_t bytes = 1 + random() % 300;
      std::snprintf(size, sizeof(size), random() % 2 == 0 ? "%zx" : "%05zX", bytes);
      coded.append(size).append(random() % 4 == 0 ? ";name=value\r\n" : "\r\n");
      for (size_t j = 0; j < bytes; ++j) coded += static_cast<char>(random());
      coded += "\r\n";
    }
    coded += random() % 2 == 0 ? "0\r\n\r\n" : "0\r\nTrailer: x\r\n\r\n";
    const Oracle oracle = oracle_of(coded);
    ASSERT_TRUE(oracle.done);
    const Decoded decoded = decode(coded, 1 + random() % 400);
    ASSERT_EQ(decoded.end, Event::kDone);
    ASSERT_EQ(decoded.body, oracle.body);
  }
}

// The size that llhttp reads from a size line, or -1 when it refuses the line.
int64_t oracle_size(std::string_view line) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_chunk_header = [](llhttp_t* parser) {
    *static_cast<int64_t*>(parser->data) = static_cast<int64_t>(parser->content_length);
    return static_cast<int>(HPE_PAUSED);
  };
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  int64_t size = -1;
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &size;
  llhttp_execute(&parser, kHead.data(), kHead.size());
  llhttp_execute(&parser, line.data(), line.size());
  return size;
}

TEST(ChunkedDecoder, EverySizeLineThatLlhttpAcceptsIsReadAlike) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view alphabet = "00123aFf;;=g \tx\"";
  size_t accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string line;
    for (size_t i = random() % 8; i > 0; --i) line += alphabet[random() % alphabet.size()];
    line += "\r\n";
    const int64_t expected = oracle_size(line);
    if (expected < 0) continue;
    ++accepted;
    ChunkedDecoder decoder;
    decoder.start();
    std::string_view input = line, piece;
    ASSERT_EQ(decoder.next(input, piece), Event::kMore) << line;
    ASSERT_EQ(decoder.remaining_in_chunk(), static_cast<uint64_t>(expected)) << line;
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace tcp_sniffer::chunked_decoder_test
