#include "core/http/framing.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer::http_framing_test {
namespace {

class FramingTest : public testing::Test {
 protected:
  // Framing of a message with these header lines (each ended by LF).
  Framing request(std::string_view lines, std::string_view start = "POST / HTTP/1.1") {
    return request_framing(read(start, lines));
  }
  Framing response(std::string_view lines, std::string_view start = "HTTP/1.1 200 OK",
                   RequestMethodKind method = RequestMethodKind::kOther) {
    return response_framing(read(start, lines), method);
  }
  const HttpHead& read(std::string_view start, std::string_view lines) {
    bytes_.assign(start).append("\n").append(lines).append("\n");
    HeadProgress progress;
    EXPECT_EQ(reader_.read(bytes_, progress, head_), HeadStatus::kComplete);
    return head_;
  }

  HeadReader reader_{4096, 32};
  HttpHead head_;
  std::string bytes_;
};

TEST_F(FramingTest, MessageWithoutFramingFields) {
  EXPECT_EQ(request("").kind, BodyKind::kNone);
  EXPECT_EQ(response("").kind, BodyKind::kUntilClose);
  EXPECT_FALSE(request("").anomalies.any());
}

TEST_F(FramingTest, ContentLengthIsReadInAnyCaseAndWithZeros) {
  const Framing framing = request("content-LENGTH: 0042\n");
  EXPECT_EQ(framing.kind, BodyKind::kLength);
  EXPECT_EQ(framing.length, 42u);
  EXPECT_FALSE(framing.anomalies.any());
  EXPECT_EQ(request("Content-Length: 0\n").kind, BodyKind::kNone);
  EXPECT_EQ(response("Content-Length: 0\n").kind, BodyKind::kNone);
  EXPECT_EQ(response("Content-Length:\n 7\n").length, 7u);
}

TEST_F(FramingTest, RepeatedEqualContentLengthIsOneValue) {
  for (const std::string_view lines :
       {"Content-Length: 5\nContent-Length: 5\n", "Content-Length: 5, 5\n",
        "Content-Length: 5,\nContent-Length: 05\n"}) {
    const Framing framing = request(lines);
    EXPECT_EQ(framing.kind, BodyKind::kLength) << lines;
    EXPECT_EQ(framing.length, 5u) << lines;
    EXPECT_TRUE(framing.anomalies.has(Anomaly::kRepeatedLength)) << lines;
  }
}

TEST_F(FramingTest, FirstOfDifferingContentLengthsCounts) {
  for (const std::string_view lines :
       {"Content-Length: 5\nContent-Length: 71\n", "Content-Length: 5, 71\n",
        "Content-Length: 5\nContent-Length: x\n"}) {
    const Framing framing = response(lines);
    EXPECT_EQ(framing.kind, BodyKind::kLength) << lines;
    EXPECT_EQ(framing.length, 5u) << lines;
    EXPECT_TRUE(framing.anomalies.has(Anomaly::kDifferentLengths)) << lines;
  }
}

TEST_F(FramingTest, ContentLengthThatIsNoNumberFramesNothing) {
  for (const std::string_view value : {"-1", "+5", "5x", "0x5", "", ",", "5 5", "1e3",
                                       "9223372036854775808", "18446744073709551621"}) {
    const std::string lines = "Content-Length: " + std::string(value) + "\n";
    EXPECT_EQ(request(lines).kind, BodyKind::kNone) << value;
    EXPECT_TRUE(request(lines).anomalies.has(Anomaly::kInvalidLength)) << value;
    EXPECT_EQ(response(lines).kind, BodyKind::kUntilClose) << value;
    EXPECT_TRUE(response(lines).anomalies.has(Anomaly::kInvalidLength)) << value;
  }
  EXPECT_EQ(request("Content-Length: 9223372036854775807\n").length, 9223372036854775807u);
}

TEST_F(FramingTest, ChunkedAsTheLastCodingIsChunked) {
  for (const std::string_view value :
       {"chunked", "Chunked", " gzip, chunked", "chunked;a=b", "gzip\nTransfer-Encoding: chunked",
        "\n chunked", ", chunked ,"}) {
    const std::string lines = "Transfer-Encoding: " + std::string(value) + "\n";
    EXPECT_EQ(request(lines).kind, BodyKind::kChunked) << value;
    EXPECT_EQ(response(lines).kind, BodyKind::kChunked) << value;
    EXPECT_FALSE(request(lines).anomalies.any()) << value;
  }
}

TEST_F(FramingTest, OtherLastCodingLeavesARequestWithoutBodyAndAResponseUntilClose) {
  for (const std::string_view value :
       {"gzip", "chunked, identity", "chunked, gzip", "xchunked", "chunked\v", "lalala"}) {
    const std::string lines = "Transfer-Encoding: " + std::string(value) + "\n";
    EXPECT_EQ(request(lines).kind, BodyKind::kNone) << value;
    EXPECT_TRUE(request(lines).anomalies.has(Anomaly::kTransferCoding)) << value;
    EXPECT_EQ(response(lines).kind, BodyKind::kUntilClose) << value;
    EXPECT_FALSE(response(lines).anomalies.any()) << value;
  }
  EXPECT_EQ(request("Transfer-Encoding: gzip\nContent-Length: 3\n").length, 3u);
  EXPECT_EQ(response("Transfer-Encoding: lalala\nContent-Length: 3\n").kind, BodyKind::kUntilClose);
}

TEST_F(FramingTest, IdentityIsNoCoding) {
  EXPECT_EQ(request("Transfer-Encoding: identity\nContent-Length: 3\n").length, 3u);
  EXPECT_FALSE(request("Transfer-Encoding: identity\nContent-Length: 3\n").anomalies.any());
  EXPECT_EQ(response("Transfer-Encoding: identity\n").kind, BodyKind::kUntilClose);
  EXPECT_EQ(response("Transfer-Encoding: identity, chunked\n").kind, BodyKind::kChunked);
}

TEST_F(FramingTest, TransferEncodingBeatsContentLengthExceptInHttp10) {
  const std::string_view both = "Content-Length: 68\nTransfer-Encoding: chunked\n";
  EXPECT_EQ(request(both).kind, BodyKind::kChunked);
  EXPECT_TRUE(request(both).anomalies.has(Anomaly::kLengthAndCoding));
  const Framing old = response(both, "HTTP/1.0 200 OK");
  EXPECT_EQ(old.kind, BodyKind::kLength);
  EXPECT_EQ(old.length, 68u);
  EXPECT_TRUE(old.anomalies.has(Anomaly::kTransferCoding));
  const Framing chunked10 = response("Transfer-Encoding: chunked\n", "HTTP/1.0 200 OK");
  EXPECT_EQ(chunked10.kind, BodyKind::kChunked);
  EXPECT_TRUE(chunked10.anomalies.has(Anomaly::kTransferCoding));
}

TEST_F(FramingTest, StatusesWithoutBodyHaveNoneWhateverTheirFieldsSay) {
  for (const std::string_view start :
       {"HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints", "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"}) {
    for (const std::string_view lines :
         {"", "Content-Length: 68\n", "Transfer-Encoding: chunked\n"}) {
      EXPECT_EQ(response(lines, start).kind, BodyKind::kNone) << start << lines;
      EXPECT_EQ(response(lines, start, RequestMethodKind::kUnknown).kind, BodyKind::kNone);
    }
  }
  EXPECT_TRUE(response("", "HTTP/1.1 100 Continue").interim);
  EXPECT_TRUE(response("", "HTTP/1.1 199 x").interim);
  EXPECT_FALSE(response("", "HTTP/1.1 101 Switching Protocols").interim);
  EXPECT_TRUE(response("", "HTTP/1.1 101 Switching Protocols").tunnel);
  EXPECT_FALSE(response("", "HTTP/1.1 204 No Content").tunnel);
}

TEST_F(FramingTest, ResponseToHeadHasNoBody) {
  const Framing framing =
      response("Content-Length: 219\n", "HTTP/1.1 301 Moved", RequestMethodKind::kHead);
  EXPECT_EQ(framing.kind, BodyKind::kNone);
  EXPECT_EQ(framing.length, 0u);
  EXPECT_FALSE(framing.body_may_be_absent);
}

TEST_F(FramingTest, OnlyASuccessfulAnswerToConnectIsATunnel) {
  const Framing good = response("Content-Length: 5\n", "HTTP/1.1 200 Connection established",
                                RequestMethodKind::kConnect);
  EXPECT_TRUE(good.tunnel);
  EXPECT_EQ(good.kind, BodyKind::kNone);
  const Framing refused =
      response("Content-Length: 5\n", "HTTP/1.1 407 x", RequestMethodKind::kConnect);
  EXPECT_FALSE(refused.tunnel);
  EXPECT_EQ(refused.length, 5u);
  EXPECT_FALSE(response("", "HTTP/1.1 200 OK").tunnel);
}

TEST_F(FramingTest, WithoutItsRequestTheAnswerToConnectIsKnownByItsWords) {
  const auto unknown = RequestMethodKind::kUnknown;
  EXPECT_TRUE(response("", "HTTP/1.1 200 Connection Established", unknown).tunnel);
  EXPECT_FALSE(response("", "HTTP/1.1 200 OK", unknown).tunnel);
  EXPECT_FALSE(response("", "HTTP/1.1 502 Connection established", unknown).tunnel);
  EXPECT_FALSE(
      response("Content-Length: 5\n", "HTTP/1.1 200 Connection established", unknown).tunnel);
  EXPECT_FALSE(response("", "HTTP/1.1 200 Connection established").tunnel);
}

TEST_F(FramingTest, ResponseToAnUnknownRequestMayLackItsBody) {
  const auto unknown = RequestMethodKind::kUnknown;
  EXPECT_TRUE(response("Content-Length: 5\n", "HTTP/1.1 200 OK", unknown).body_may_be_absent);
  EXPECT_TRUE(
      response("Transfer-Encoding: chunked\n", "HTTP/1.1 200 OK", unknown).body_may_be_absent);
  EXPECT_FALSE(response("Content-Length: 0\n", "HTTP/1.1 200 OK", unknown).body_may_be_absent);
  EXPECT_FALSE(response("Content-Length: 5\n").body_may_be_absent);
}

TEST_F(FramingTest, ExpectationIsAListInAnyCase) {
  EXPECT_TRUE(request("Expect: 100-Continue\n").expect_continue);
  EXPECT_TRUE(request("Expect: other, 100-continue;q=1\n").expect_continue);
  EXPECT_FALSE(request("Expect: nothing\n").expect_continue);
  EXPECT_FALSE(request("X-Expect: 100-continue\n").expect_continue);
  EXPECT_FALSE(request("").expect_continue);
}

RequestMethodKind kind_of(std::string_view method) {
  HttpHead head;
  head.start.method = method;
  return method_kind(head);
}

TEST(MethodKind, TellsTheMethodsThatChangeAResponse) {
  EXPECT_EQ(kind_of("HEAD"), RequestMethodKind::kHead);
  EXPECT_EQ(kind_of("CONNECT"), RequestMethodKind::kConnect);
  EXPECT_EQ(kind_of("GET"), RequestMethodKind::kOther);
  EXPECT_EQ(kind_of("head"), RequestMethodKind::kOther);
  EXPECT_EQ(kind_of(""), RequestMethodKind::kUnknown);
  HttpHead old;
  old.start.method = "GET";
  old.versionless = true;
  EXPECT_EQ(method_kind(old), RequestMethodKind::kVersionless);
  old.start.method = "HEAD";
  EXPECT_EQ(method_kind(old), RequestMethodKind::kHead);
}

}  // namespace
}  // namespace tcp_sniffer::http_framing_test
