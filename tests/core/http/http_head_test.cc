#include "core/http/head.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>

#include "core/base/byte_search.h"

namespace tcp_sniffer::http_head_test {
namespace {

using std::string_view_literals::operator""sv;

constexpr uint32_t kBytesMax = 4096;
constexpr uint32_t kFieldsMax = 16;

// A head as text: "name=value" of each field, joined by '|'; a folded value is marked by '~'.
std::string text_of(std::span<const HeaderField> fields) {
  std::string text;
  for (const HeaderField& field : fields) {
    if (!text.empty()) text += '|';
    text.append(field.name).append(field.folded ? "~" : "=").append(field.value);
  }
  return text;
}

class HeadReaderTest : public testing::Test {
 protected:
  HeadStatus read(std::string_view bytes) {
    HeadProgress progress;
    return reader_.read(bytes, progress, head_);
  }
  HeadStatus read_fields(std::string_view bytes) {
    HeadProgress progress;
    return reader_.read_fields(bytes, progress, head_);
  }
  HeadStatus read_candidate(std::string_view bytes) {
    HeadProgress progress;
    return reader_.read_candidate(bytes, progress, head_);
  }
  // The fields of a request with these header lines.
  std::string fields_of(std::string_view lines) {
    bytes_ = "GET / HTTP/1.1\r\n" + std::string(lines) + "\r\nrest";
    EXPECT_EQ(read(bytes_), HeadStatus::kComplete);
    EXPECT_EQ(head_.size, bytes_.size() - 4);
    return text_of(head_.fields);
  }

  HeadReader reader_{kBytesMax, kFieldsMax};
  HttpHead head_;
  std::string bytes_;
};

TEST_F(HeadReaderTest, ReadsARequestHead) {
  const std::string_view bytes =
      "POST /a?b HTTP/1.1\r\nHost: a.example\r\nAccept:*/*\r\nX-Empty:\r\n\r\nbody";
  ASSERT_EQ(read(bytes), HeadStatus::kComplete);
  EXPECT_EQ(head_.start.method, "POST");
  EXPECT_EQ(head_.start.target, "/a?b");
  EXPECT_EQ(text_of(head_.fields), "Host=a.example|Accept=*/*|X-Empty=");
  EXPECT_EQ(bytes.substr(head_.size), "body");
  EXPECT_FALSE(head_.irregular);
  EXPECT_FALSE(head_.anomalies.any());
}

TEST_F(HeadReaderTest, ReadsAResponseHeadWithoutFields) {
  ASSERT_EQ(read("HTTP/1.0 204 No Content\r\n\r\n"), HeadStatus::kComplete);
  EXPECT_EQ(head_.start.status, 204);
  EXPECT_EQ(head_.start.reason, "No Content");
  EXPECT_TRUE(head_.fields.empty());
  EXPECT_EQ(head_.size, 27u);
}

TEST_F(HeadReaderTest, BareLineFeedsEndLinesAlsoMixedWithCrLf) {
  const std::string_view bytes = "GET / HTTP/1.1\nA: 1\r\nB: 2\n\nrest";
  ASSERT_EQ(read(bytes), HeadStatus::kComplete);
  EXPECT_EQ(text_of(head_.fields), "A=1|B=2");
  EXPECT_EQ(bytes.substr(head_.size), "rest");
  ASSERT_EQ(read("GET / HTTP/1.1\r\nA: 1\n\r\n"), HeadStatus::kComplete);
  EXPECT_EQ(head_.size, 23u);
}

TEST_F(HeadReaderTest, WhitespaceAroundNameAndValueIsLeftOut) {
  EXPECT_EQ(fields_of("A:  1 \t\r\nB\t : 2\r\n"), "A=1|B=2");
  EXPECT_TRUE(head_.irregular);
}

TEST_F(HeadReaderTest, FoldedValueKeepsItsLineBreak) {
  EXPECT_EQ(fields_of("A: 1\r\n  2\r\n\t3\r\nB: 4\r\n"), "A~1\r\n  2\r\n\t3|B=4");
  EXPECT_TRUE(head_.anomalies.has(Anomaly::kObsFold));
  EXPECT_FALSE(head_.irregular);
}

TEST_F(HeadReaderTest, ValueThatStandsOnTheContinuationAloneIsNotFolded) {
  EXPECT_EQ(fields_of("Transfer-Encoding:\r\n \r\n chunked\r\n"), "Transfer-Encoding=chunked");
  EXPECT_TRUE(head_.anomalies.has(Anomaly::kObsFold));
  EXPECT_EQ(fields_of("Content-Length: 88\n \n"), "Content-Length=88");
}

TEST_F(HeadReaderTest, ContinuationMayHoldAColon) {
  EXPECT_EQ(fields_of("A: 1\r\n b: 2\r\n"), "A~1\r\n b: 2");
}

TEST_F(HeadReaderTest, LineWithoutColonIsPassedOver) {
  EXPECT_EQ(fields_of("A: 1\r\nnonsense\r\n more\r\nB: 2\r\n\v\r\n"), "A=1|B=2");
  EXPECT_TRUE(head_.irregular);
}

TEST_F(HeadReaderTest, WhitespaceBeforeTheFirstFieldIsLeftOut) {
  EXPECT_EQ(fields_of(" A: 1\r\nB: 2\r\n"), "A=1|B=2");
  EXPECT_TRUE(head_.irregular);
  EXPECT_EQ(fields_of(" \r\nnonsense\r\n B: 2\r\n"), "B=2");
}

TEST_F(HeadReaderTest, OddAndEmptyNamesAreFields) {
  EXPECT_EQ(fields_of("<a b>: 1\r\n: 2\r\n\xc3\xa9: 3\r\n"), "<a b>=1|=2|\xc3\xa9=3");
  EXPECT_TRUE(head_.irregular);
}

TEST_F(HeadReaderTest, ControlBytesInAValueStayInIt) {
  EXPECT_EQ(fields_of("A: 1\0002\x01\rx\r\n"sv), "A=1\0002\x01\rx"sv);
}

TEST_F(HeadReaderTest, CarriageReturnAloneEndsNoHead) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\nA: 1\n\r\r\nB: 2\r\n"), HeadStatus::kIncomplete);
  EXPECT_EQ(fields_of("A: 1\n\r\r\nB: 2\r\n"), "A=1|B=2");
}

TEST_F(HeadReaderTest, FirstLineThatIsNoStartLineIsInvalidAtOnce) {
  EXPECT_EQ(read("220 ready\r\n"), HeadStatus::kInvalid);
  EXPECT_EQ(read("\r\nGET / HTTP/1.1\r\n\r\n"), HeadStatus::kInvalid);
  EXPECT_EQ(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HeadStatus::kInvalid);
  EXPECT_EQ(head_.start.kind, StartLineKind::kHttp2Preface);
}

TEST_F(HeadReaderTest, WhatFollowsAStartLineWithoutAVersionDecides) {
  EXPECT_EQ(read("GET /\r\n"), HeadStatus::kIncomplete);
  EXPECT_EQ(read("GET /\r\nHost"), HeadStatus::kIncomplete);
  ASSERT_EQ(read("GET /\r\n\r\nrest"), HeadStatus::kComplete);
  EXPECT_TRUE(head_.http09);
  EXPECT_EQ(head_.size, 9u);
  ASSERT_EQ(read("GET /\r\nHost: a\r\n\r\n"), HeadStatus::kComplete);
  EXPECT_FALSE(head_.http09);
  EXPECT_EQ(text_of(head_.fields), "Host=a");
  ASSERT_EQ(read("POST /\r\nHost: a\r\n\r\n"), HeadStatus::kComplete);
  EXPECT_EQ(read("POST /\r\n\r\n"), HeadStatus::kInvalid);
  EXPECT_EQ(read("GET /\r\nGET /\r\n"), HeadStatus::kInvalid);
  EXPECT_EQ(read("GET /\r\nno token: x\r\n"), HeadStatus::kInvalid);
  HeadProgress progress;
  progress.ended = true;
  ASSERT_EQ(reader_.read("GET /\r\n", progress, head_), HeadStatus::kComplete);
  EXPECT_TRUE(head_.http09);
  EXPECT_EQ(head_.size, 7u);
  EXPECT_EQ(reader_.read("POST /\r\n", progress, head_), HeadStatus::kIncomplete);
}

TEST_F(HeadReaderTest, CrAloneEndsLinesWhereItEndsTheStartLine) {
  const std::string_view bare = "HTTP/1.1 200 OK\rA: 1\rB: 2\r\rbody";
  ASSERT_EQ(read(bare), HeadStatus::kComplete);
  EXPECT_EQ(text_of(head_.fields), "A=1|B=2");
  EXPECT_EQ(bare.substr(head_.size), "body");
  EXPECT_TRUE(head_.anomalies.has(Anomaly::kBareCr));
  const std::string_view mixed = "HTTP/1.1 200 OK\rA: 1\r\nB: 2\nC: 3\r\n\r\n\nbody";
  ASSERT_EQ(read(mixed), HeadStatus::kComplete);
  EXPECT_EQ(text_of(head_.fields), "A=1|B=2|C=3");
  EXPECT_EQ(mixed.substr(head_.size), "\nbody");
}

TEST_F(HeadReaderTest, FirstLineThatIsNoStartLineIsInvalidWhenItComesInPieces) {
  const std::string_view bytes = "220 ready\r\nmore\r\n\r\n";
  HeadProgress progress;
  for (size_t size = 0; size < 11; ++size) {
    ASSERT_EQ(reader_.read(bytes.substr(0, size), progress, head_), HeadStatus::kIncomplete);
  }
  EXPECT_EQ(reader_.read(bytes.substr(0, 11), progress, head_), HeadStatus::kInvalid);
}

TEST_F(HeadReaderTest, EveryCutGivesTheSameHead) {
  const std::string_view heads[] = {
      "GET / HTTP/1.1\r\nHost: a.example\r\nCookie: a=b; c=d\r\nX: y\r\n\r\n",
      "HTTP/1.1 200 OK\nServer: a\n\n",
      "HTTP/1.1 200\r\n\r\n",
      "GET / HTTP/1.1\r\nA: 1\r\n 2\r\n\r\r\nB: 3\n\r\n",
  };
  for (const std::string_view bytes : heads) {
    ASSERT_EQ(read(bytes), HeadStatus::kComplete);
    const std::string whole = text_of(head_.fields);
    for (size_t first = 0; first < bytes.size(); ++first) {
      for (size_t second = first; second < bytes.size(); ++second) {
        HeadProgress progress;
        ASSERT_EQ(reader_.read(bytes.substr(0, first), progress, head_), HeadStatus::kIncomplete);
        ASSERT_EQ(reader_.read(bytes.substr(0, second), progress, head_), HeadStatus::kIncomplete);
        ASSERT_EQ(reader_.read(bytes, progress, head_), HeadStatus::kComplete);
        ASSERT_EQ(text_of(head_.fields), whole);
        ASSERT_EQ(head_.size, bytes.size());
      }
    }
  }
}

TEST_F(HeadReaderTest, HeadAtTheByteLimitIsReadAndOneByteMoreIsNot) {
  std::string bytes = "GET / HTTP/1.1\r\nA: ";
  bytes.append(kBytesMax - bytes.size() - 4, 'x').append("\r\n\r\n");
  EXPECT_EQ(read(bytes), HeadStatus::kComplete);
  bytes.insert(bytes.size() - 4, "x");
  EXPECT_EQ(read(bytes), HeadStatus::kTooLarge);
  EXPECT_EQ(head_.size, 0u);
  ASSERT_TRUE(reader_.read_partial(bytes, {}, head_));
  EXPECT_EQ(head_.start.method, "GET");
}

TEST_F(HeadReaderTest, EndlessHeadIsTooLargeHoweverItIsCut) {
  for (const size_t step : {size_t{1}, size_t{7}, size_t{1460}, size_t{8192}}) {
    const std::string bytes = "GET /" + std::string(2 * kBytesMax, 'x');
    HeadProgress progress;
    HeadStatus status = HeadStatus::kIncomplete;
    size_t size = 0;
    while (status == HeadStatus::kIncomplete && size < bytes.size()) {
      size = std::min(size + step, bytes.size());
      status = reader_.read(std::string_view(bytes).substr(0, size), progress, head_);
    }
    EXPECT_EQ(status, HeadStatus::kTooLarge);
    EXPECT_GE(size, kBytesMax);
    EXPECT_LT(size, kBytesMax + step);
  }
}

TEST_F(HeadReaderTest, TooManyFieldsKeepTheFirstAndTellTheSize) {
  std::string lines;
  for (uint32_t i = 0; i <= kFieldsMax; ++i) lines += "A: " + std::to_string(i) + "\r\n 0\r\n";
  const std::string bytes = "GET / HTTP/1.1\r\n" + lines + "\r\n";
  EXPECT_EQ(read(bytes), HeadStatus::kTooLarge);
  EXPECT_EQ(head_.fields.size(), kFieldsMax);
  EXPECT_EQ(head_.fields.back().value, "15\r\n 0");
  EXPECT_EQ(head_.size, bytes.size());
}

TEST_F(HeadReaderTest, PartialHeadHasItsWholeLines) {
  ASSERT_TRUE(reader_.read_partial("GET /x HTTP/1.1\r\nA: 1\r\nB: 2\r\nCook", {}, head_));
  EXPECT_EQ(head_.start.target, "/x");
  EXPECT_EQ(text_of(head_.fields), "A=1|B=2");
  EXPECT_EQ(head_.size, 0u);
  EXPECT_FALSE(reader_.read_partial("GET /x HTTP/1.1", {}, head_));
  EXPECT_FALSE(reader_.read_partial("", {}, head_));
  EXPECT_FALSE(reader_.read_partial("nonsense\r\nA: 1\r\n", {}, head_));
}

TEST_F(HeadReaderTest, ReadsTrailerSections) {
  ASSERT_EQ(read_fields("A: 1\r\nB: 2\r\n\r\nGET"), HeadStatus::kComplete);
  EXPECT_EQ(text_of(head_.fields), "A=1|B=2");
  EXPECT_EQ(head_.size, 14u);
  ASSERT_EQ(read_fields("\r\nGET"), HeadStatus::kComplete);
  EXPECT_EQ(head_.size, 2u);
  EXPECT_EQ(read_fields("A: 1\r\n"), HeadStatus::kIncomplete);
  reader_.read_partial_fields("A: 1\r\nB: 2", head_);
  EXPECT_EQ(text_of(head_.fields), "A=1");
}

TEST_F(HeadReaderTest, EveryCutGivesTheSameTrailerSection) {
  for (const std::string_view bytes : {"A: 1\r\nB: 2\n\r\n"sv, "\r\n"sv, "\n"sv, "A:\n\n"sv}) {
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      HeadProgress progress;
      ASSERT_EQ(reader_.read_fields(bytes.substr(0, cut), progress, head_),
                HeadStatus::kIncomplete);
      ASSERT_EQ(reader_.read_fields(bytes, progress, head_), HeadStatus::kComplete);
      ASSERT_EQ(head_.size, bytes.size());
    }
  }
}

TEST_F(HeadReaderTest, CandidateMustBeStrictlyValid) {
  const std::string_view good[] = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "FROB /x HTTP/1.1\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
      "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET http://a/ HTTP/1.0\nA: 1\n 2\n\n",
      "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n",
      "HTTP/1.1 200\r\n\r\n",
  };
  for (const std::string_view bytes : good) {
    EXPECT_EQ(read_candidate(bytes), HeadStatus::kComplete) << bytes;
    EXPECT_TRUE(HeadReader::is_strictly_valid(head_)) << bytes;
  }
  const std::string_view bad[] = {
      "GET word HTTP/1.1\r\n",
      "GET /a b HTTP/1.1\r\n",
      "HTTP/1.1 200OK\r\n",
      "nonsense\r\n",
      "GET / HTTP/1.1\r\nGET / HTTP/1.1\r\n",
      "GET / HTTP/1.1\r\nHost : a\r\n",
      "GET / HTTP/1.1\r\n<p>: a\r\n",
      "GET / HTTP/1.1\r\n: a\r\n",
      "GET / HTTP/1.1\r\n A: b\r\n\r\n",
  };
  for (const std::string_view bytes : bad) {
    EXPECT_EQ(read_candidate(bytes), HeadStatus::kInvalid) << bytes;
  }
}

TEST_F(HeadReaderTest, CandidateIsRefusedAtTheFirstBadLineHoweverItIsCut) {
  const std::string_view bytes = "GET / HTTP/1.1\r\nHost: a\r\nno field\r\nX: y\r\n\r\n";
  const size_t bad_line_end = bytes.find("X: y");
  HeadProgress progress;
  for (size_t size = 0; size < bad_line_end; ++size) {
    ASSERT_EQ(reader_.read_candidate(bytes.substr(0, size), progress, head_),
              HeadStatus::kIncomplete);
  }
  EXPECT_EQ(reader_.read_candidate(bytes.substr(0, bad_line_end), progress, head_),
            HeadStatus::kInvalid);
}

TEST(ByteSearch, EveryKernelFindsEveryLineFeedAndColonAndReadsNothingBehindTheText) {
  std::mt19937 random(7);
  for (size_t round = 0; round < 2000; ++round) {
    const size_t size = round % (4 * kMaskBlockBytes) + 1;
    const auto text = std::make_unique<char[]>(size);  // its end is where reading must stop
    std::array<LineMasks, 4> expected{};
    for (size_t i = 0; i < size; ++i) {
      text[i] = "\n:\x0b\x3b\x8a\xba z"[random() % 8];
      if (random() % 3 == 0) text[i] = static_cast<char>(random());
      LineMasks& block = expected[i / kMaskBlockBytes];
      block.line_feed |= static_cast<uint64_t>(text[i] == '\n') << (i % kMaskBlockBytes);
      block.colon |= static_cast<uint64_t>(text[i] == ':') << (i % kMaskBlockBytes);
    }
    for (const LineMaskKernel kernel : line_mask_kernels()) {
      if (kernel == nullptr) continue;
      std::array<LineMasks, 4> masks{};
      kernel(text.get(), size, masks.data());
      for (size_t i = 0; i < masks.size(); ++i) {
        ASSERT_EQ(masks[i].line_feed, expected[i].line_feed) << size;
        ASSERT_EQ(masks[i].colon, expected[i].colon) << size;
      }
    }
  }
}

TEST(ByteSearch, SearchesAgreeWithStringSearchAtEveryPositionAndLength) {
  for (size_t size = 0; size < 200; ++size) {
    for (size_t at = 0; at + 7 <= size; ++at) {
      std::string bytes(size, 'P');
      for (size_t i = 0; i + 1 < size; i += 5) bytes[i] = '/';
      bytes.replace(at, 7, "HTTP/1.");
      for (const size_t from : {size_t{0}, at, at + 1}) {
        const size_t expected = bytes.find("HTTP/1.", from);
        ASSERT_EQ(find_http_version(bytes, from), expected) << size << ' ' << at;
        ASSERT_EQ(find_http_version_portable(bytes, from), expected) << size << ' ' << at;
      }
      bytes[at] = '\n';
      ASSERT_EQ(find_last_line_feed(bytes, 0, size), at);
      ASSERT_EQ(find_last_line_feed(bytes, at + 1, size), std::string::npos);
      ASSERT_EQ(find_last_line_feed(bytes, 0, at), std::string::npos);
      ASSERT_EQ(find_line_feed(bytes, 0), at);
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::http_head_test
