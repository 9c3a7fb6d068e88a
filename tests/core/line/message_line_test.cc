#include "core/line/message_line.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "support/written_line.h"

namespace tcp_sniffer::message_line_test {
namespace {

using namespace written_line;

TEST(MessageLine, AProxiedConnectionSaysBetweenWhomItReallyIs) {
  ProxiedEndpoints proxied{ip4(203, 0, 113, 7, 56324), ip4(10, 0, 0, 2, 443), false};
  Message message = request();
  message.proxied = &proxied;
  const Json expected = Json::parse(R"({"source":{"ip":"203.0.113.7","port":56324},
                                        "destination":{"ip":"10.0.0.2","port":443}})");
  EXPECT_EQ(json_of(message)["proxied"], expected);
  proxied.tls = true;
  EXPECT_EQ(json_of(message)["proxied"]["tls"], true);
  // The longest addresses there are.
  for (Endpoint* endpoint : {&proxied.source, &proxied.destination}) {
    endpoint->ip.fill(0xff);
    endpoint->port = 65535;
  }
  EXPECT_EQ(json_of(message)["proxied"]["source"]["ip"], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_FALSE(json_of(request()).contains("proxied"));
  LineOptions framed;
  framed.format = LineOptions::kFramed;
  const std::string frame = line_of(message, framed);
  EXPECT_NE(frame.find(R"(,"proxied":{"source":)"), std::string::npos);
}

TEST(MessageLine, RequestLineIsExactlyThis) {
  const HeaderField headers[] = {{"Host", "example.com"}, {"ACCEPT", "*/*"}};
  Message message = request();
  message.headers = headers;
  message.last_byte_ns = kNoon + 1500000;
  EXPECT_EQ(line_of(message),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","connectionId":"0123456789abcdef",)"
            R"("exchange":0,"direction":"request","receiver":{"ip":"192.0.2.10","port":80},)"
            R"("destination":{"ip":"198.51.100.7","port":51234},"method":"GET",)"
            R"("path":"/index.html?q=1","httpVersion":"1.1",)"
            R"("headers":{"host":"example.com","accept":"*/*"},"bodySize":0,"durationMs":1.5,)"
            R"("body":""})"
            "\n");
}

TEST(MessageLine, ResponseLineIsExactlyThis) {
  const HeaderField headers[] = {{"Set-Cookie", "a=1"}, {"Server", "x"}, {"set-cookie", "b=2"}};
  Message message = response();
  message.headers = headers;
  message.version_minor = 0;
  message.exchange = 12;
  message.body = "{\"a\":\"\u00e9\"}\n";
  message.body_size = message.body.size();
  message.has_latency = true;
  message.latency_ns = -1234567;
  EXPECT_EQ(line_of(message),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","connectionId":"0123456789abcdef",)"
            R"("exchange":12,"direction":"response","receiver":{"ip":"192.0.2.10","port":80},)"
            R"("destination":{"ip":"198.51.100.7","port":51234},"statusCode":200,)"
            R"("statusText":"OK","httpVersion":"1.0",)"
            R"("headers":{"set-cookie":["a=1","b=2"],"server":"x"},"bodySize":11,)"
            R"("durationMs":0,"latencyMs":-1.234567,"body":"{\"a\":\")"
            "\u00e9"
            R"(\"}\n"})"
            "\n");
}

TEST(MessageLine, EveryKernelWritesTheSameLine) {
  const std::string body = "{\"quotes\":\"\\\"\",\n\"e\":\"\u00e9\u2028\"}" + std::string(300, '"');
  const HeaderField headers[] = {{"X-Quote\"", "a\"b"}, {"Accept", "*/*"}, {"n\u00e4me", "v\xff"}};
  Message message = response();
  message.headers = headers;
  message.body = body;
  const std::string expected = line_of(message, {}, portable_escape_kernels());
  for (const EscapeKernels* kernels : all_kernels()) {
    EXPECT_EQ(line_of(message, {}, *kernels), expected) << kernels->name;
  }
}

TEST(MessageLine, EveryEscapedCharacterIsEscapedInEveryString) {
  std::string odd;
  for (int c = 0; c < 0x20; ++c) odd += static_cast<char>(c);
  odd += "\"\\/\x7f\u0080\u0085\u009f\u00a0\u2027\u2028\u2029\u202a\U0001f600";
  const std::string written =
      R"(\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f)"
      R"(\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d)"
      R"(\u001e\u001f\"\\/\u007f\u0080\u0085\u009f)"
      "\u00a0\u2027"
      R"(\u2028\u2029)"
      "\u202a\U0001f600";
  const HeaderField fields[] = {{"x", odd}};
  Message message = request();
  message.method = odd;
  message.target = odd;
  message.headers = fields;
  message.trailers = fields;
  message.body = odd;
  LineOptions options;
  options.raw_headers = true;
  const std::string line = line_of(message, options);
  for (const std::string& part :
       {"\"method\":\"" + written + "\"", "\"path\":\"" + written + "\"",
        "\"headers\":{\"x\":\"" + written + "\"}", "\"rawHeaders\":[[\"x\",\"" + written + "\"]]",
        "\"trailers\":{\"x\":\"" + written + "\"}", "\"body\":\"" + written + "\""}) {
    EXPECT_NE(line.find(part), std::string::npos) << part << "\n" << line;
  }
  EXPECT_EQ(parse(line)["body"], odd);
}

TEST(MessageLine, BodyThatIsNotUtf8IsLeftOutOrBase64) {
  Message message = response();
  message.body = std::string_view("\x1f\x8b\x08\x00", 4);
  message.body_size = 4;
  Json json = json_of(message);
  EXPECT_EQ(json["bodyEncoding"], "binary");
  EXPECT_FALSE(json.contains("body"));
  EXPECT_EQ(json["bodySize"], 4);
  LineOptions options;
  options.binary_base64 = true;
  json = json_of(message, options);
  EXPECT_EQ(json["bodyEncoding"], "base64");
  EXPECT_EQ(json["body"], "H4sIAA==");
}

TEST(MessageLine, TextBodyHasNoEncodingAlsoWithBase64) {
  Message message = response();
  message.body = "text";
  LineOptions options;
  options.binary_base64 = true;
  const Json json = json_of(message, options);
  EXPECT_EQ(json["body"], "text");
  EXPECT_FALSE(json.contains("bodyEncoding"));
}

TEST(MessageLine, BodyIsEmptyStringWhenEmptyAndAbsentWhenNotKept) {
  Message message = response();
  EXPECT_EQ(json_of(message)["body"], "");
  message.body_kept = false;
  message.body_size = 700;
  const Json json = json_of(message);
  EXPECT_FALSE(json.contains("body"));
  EXPECT_FALSE(json.contains("bodyEncoding"));
  EXPECT_EQ(json["bodySize"], 700);
}

TEST(MessageLine, TruncatedBodyLosesTheCharacterThatTheCutBroke) {
  Message message = response();
  message.body = "ab\xe2\x82";
  message.body_size = 100;
  EXPECT_EQ(json_of(message)["bodyEncoding"], "binary");
  message.body_truncated = true;
  const Json json = json_of(message);
  EXPECT_EQ(json["body"], "ab");
  EXPECT_EQ(json["bodyTruncated"], true);
  EXPECT_EQ(json["bodySize"], 100);
  EXPECT_FALSE(json.contains("bodyEncoding"));
}

TEST(MessageLine, ABodyWhoseCutCharacterIsNoneIsBinary) {
  Message message = response();
  message.body = "caf\xe9";
  message.body_truncated = message.body_cut_is_none = true;
  EXPECT_EQ(json_of(message)["bodyEncoding"], "binary");
  LineOptions options;
  options.binary_base64 = true;
  EXPECT_EQ(json_of(message, options)["body"], "Y2Fm6Q==");
}

TEST(MessageLine, AnomaliesAreWordsInTheirOrder) {
  Message message = response();
  EXPECT_FALSE(json_of(message).contains("anomalies"));
  for (size_t i = kAnomalies; i-- > 0;) message.anomalies.add(static_cast<Anomaly>(i));
  const Json all = json_of(message)["anomalies"];
  ASSERT_EQ(all.size(), kAnomalies);
  for (size_t i = 0; i < kAnomalies; ++i) {
    EXPECT_EQ(all[i], anomaly_word(static_cast<Anomaly>(i)));
  }
}

TEST(MessageLine, AResponseMayHaveNoStatusAndTheVersionZeroNine) {
  Message message = response();
  message.status = 0;
  message.reason = "2XX OK";
  message.http09 = true;
  const Json json = json_of(message);
  EXPECT_FALSE(json.contains("statusCode"));
  EXPECT_EQ(json["statusText"], "2XX OK");
  EXPECT_EQ(json["httpVersion"], "0.9");
}

TEST(MessageLine, Base64OfATruncatedBodyKeepsEveryByte) {
  Message message = response();
  message.body = "\xff\xe2\x82";
  message.body_truncated = true;
  LineOptions options;
  options.binary_base64 = true;
  EXPECT_EQ(json_of(message, options)["body"], "/+KC");
}

TEST(MessageLine, IncompleteSaysWhyAndHowMuchAndWhere) {
  const BodyGap gaps[] = {{100, 1448}, {5000, 1}};
  Message message = response();
  message.incomplete = Incomplete::kGap;
  message.missing_bytes = 1449;
  message.body_gaps = gaps;
  message.headers_incomplete = true;
  message.after_gap = true;
  message.body = "ab\xe2";
  message.body_size = 9000;
  const Json json = json_of(message);
  EXPECT_EQ(json["incomplete"], "gap");
  EXPECT_EQ(json["missingBytes"], 1449);
  EXPECT_EQ(json["bodyGaps"], Json::parse("[[100,1448],[5000,1]]"));
  EXPECT_EQ(json["headersIncomplete"], true);
  EXPECT_EQ(json["afterGap"], true);
  EXPECT_EQ(json["body"], "ab");
}

TEST(MessageLine, IncompleteWordsAreTheContracts) {
  const std::pair<Incomplete, const char*> words[] = {
      {Incomplete::kGap, "gap"},           {Incomplete::kClosed, "closed"},
      {Incomplete::kEvicted, "evicted"},   {Incomplete::kIdle, "idle"},
      {Incomplete::kShutdown, "shutdown"}, {Incomplete::kSnaplen, "snaplen"},
      {Incomplete::kLimit, "limit"},       {Incomplete::kParseError, "parseError"}};
  for (const auto& [incomplete, word] : words) {
    Message message = request();
    message.incomplete = incomplete;
    EXPECT_EQ(json_of(message)["incomplete"], word);
  }
  EXPECT_FALSE(json_of(request()).contains("incomplete"));
}

TEST(MessageLine, OnlyTheFirstPartHasTheHead) {
  Message message = response();
  message.body = "abc";
  message.body_size = 3;
  message.part = 1;
  const Json first = json_of(message);
  EXPECT_EQ(first["part"], 1);
  EXPECT_EQ(first["statusCode"], 200);
  EXPECT_TRUE(first.contains("headers"));
  EXPECT_FALSE(first.contains("lastPart"));
  const HeaderField trailer{"X-Sum", "3", false};
  message.trailers = {&trailer, 1};
  message.part = 2;
  message.last_part = true;
  EXPECT_EQ(line_of(message),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","connectionId":"0123456789abcdef",)"
            R"("exchange":0,"direction":"response","receiver":{"ip":"192.0.2.10","port":80},)"
            R"("destination":{"ip":"198.51.100.7","port":51234},"part":2,"lastPart":true,)"
            R"("trailers":{"x-sum":"3"},"bodySize":3,"durationMs":0,"body":"abc"})"
            "\n");
}

TEST(MessageLine, ExchangeAndLatencyAreAbsentWhenNotKnown) {
  Message message = response();
  message.exchange = kNoExchange;
  const Json json = json_of(message);
  EXPECT_FALSE(json.contains("exchange"));
  EXPECT_FALSE(json.contains("latencyMs"));
}

TEST(MessageLine, ExtendedFieldsAppearWhenAskedAndKnown) {
  Message message = request();
  message.first_frame = 4;
  message.last_frame = 7;
  message.headers_size = 321;
  message.vlan = 42;
  message.link_id = 1;
  message.connect_ns = 1250000;
  EXPECT_FALSE(json_of(message).contains("headersSize"));
  LineOptions options;
  options.extended = true;
  auto names = std::make_shared<LinkNames>();
  EXPECT_EQ(names->add("eth1\xff"), 1);
  options.link_names = std::move(names);
  Json json = json_of(message, options);
  EXPECT_EQ(json["interface"], "eth1\u00ff");
  EXPECT_EQ(json["latin1"], Json::parse(R"(["interface"])"));
  EXPECT_EQ(json["firstFrame"], 4);
  EXPECT_EQ(json["lastFrame"], 7);
  EXPECT_EQ(json["headersSize"], 321);
  EXPECT_EQ(json["vlan"], 42);
  EXPECT_EQ(json["connectMs"], 1.25);

  message = request();
  message.link_id = 9;
  json = json_of(message, options);
  for (const char* absent : {"interface", "firstFrame", "lastFrame", "vlan", "connectMs"}) {
    EXPECT_FALSE(json.contains(absent)) << absent;
  }
}

}  // namespace
}  // namespace tcp_sniffer::message_line_test
