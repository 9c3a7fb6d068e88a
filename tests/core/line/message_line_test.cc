#include "core/line/message_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/number_text.h"
#include "core/net/ip_text.h"
#include "support/endpoints.h"

namespace tcp_sniffer::message_line_test {
namespace {

using Json = nlohmann::json;
using std::string_literals::operator""s;

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z

Message request() {
  Message message;
  message.method = "GET";
  message.target = "/index.html?q=1";
  message.receiver = ip4(192, 0, 2, 10, 80);
  message.destination = ip4(198, 51, 100, 7, 51234);
  message.connection_id = 0x0123456789abcdef;
  message.exchange = 0;
  message.first_byte_ns = kNoon;
  message.last_byte_ns = kNoon;
  return message;
}

Message response() {
  Message message = request();
  message.direction = MessageDirection::kResponse;
  message.method = {};
  message.target = {};
  message.status = 200;
  message.reason = "OK";
  return message;
}

std::string line_of(const Message& message, const LineOptions& options = {},
                    const EscapeKernels& kernels = escape_kernels()) {
  MessageLineWriter writer(options, kernels);
  ScratchLine line;
  writer.write(message, line);
  return std::string(line.view());
}

// Parses the line and checks what holds for every line: one line end, at its end.
Json parse(const std::string& line) {
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  return Json::parse(line);
}

Json json_of(const Message& message, const LineOptions& options = {}) {
  return parse(line_of(message, options));
}

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

std::vector<const EscapeKernels*> all_kernels() {
  std::vector<const EscapeKernels*> kernels = {&portable_escape_kernels()};
  if (avx2_escape_kernels() != nullptr) kernels.push_back(avx2_escape_kernels());
  if (avx512_escape_kernels() != nullptr) kernels.push_back(avx512_escape_kernels());
  return kernels;
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

TEST(MessageLine, HeaderNamesAreLowerCaseAndProtoIsAHeaderLikeAnyOther) {
  const HeaderField headers[] = {{"__proto__", "1"}, {"CoNSTRUCTOR", "2"}, {"", "empty"}};
  Message message = request();
  message.headers = headers;
  EXPECT_NE(line_of(message).find(R"("headers":{"__proto__":"1","constructor":"2","":"empty"})"),
            std::string::npos);
}

TEST(MessageLine, RepeatedNamesBecomeOneArrayAtTheFirstPlace) {
  const HeaderField headers[] = {{"A", "1"}, {"Via", "x"}, {"b", "2"},  {"VIA", "y"},
                                 {"a", "3"}, {"c", ""},    {"via", "z"}};
  Message message = request();
  message.headers = headers;
  EXPECT_NE(
      line_of(message).find(R"("headers":{"a":["1","3"],"via":["x","y","z"],"b":"2","c":""})"),
      std::string::npos);
}

TEST(MessageLine, RepeatsAreFoundAmongAnyNumberOfRandomHeaders) {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const size_t count = seed % 10 == 0 ? random() % 600 : random() % 40;
    const size_t names = 1 + random() % (2 * count + 1);
    const std::string stem(random() % 20, 'n');
    std::vector<std::string> texts;
    for (size_t i = 0; i < count; ++i) {
      std::string name = stem;
      name.append(std::to_string(random() % names)).append(random() % 2 == 0 ? "K" : "k");
      texts.push_back(name);
    }
    std::vector<HeaderField> headers;
    Json expected = Json::object();
    for (size_t i = 0; i < count; ++i) {
      headers.push_back({texts[i], texts[i]});
      std::string lower = texts[i];
      lower.back() = 'k';
      if (!expected.contains(lower)) {
        expected[lower] = texts[i];
      } else if (expected[lower].is_string()) {
        expected[lower] = Json::array({expected[lower], texts[i]});
      } else {
        expected[lower].push_back(texts[i]);
      }
    }
    Message message = request();
    message.headers = headers;
    ASSERT_EQ(json_of(message)["headers"], expected);
  }
}

TEST(MessageLine, HeadersLargerThanOnePieceAreWrittenWhole) {
  const std::string value(200000, '"');
  const HeaderField headers[] = {{"X-Big", value}, {"Y", "small"}};
  Message message = request();
  message.headers = headers;
  const Json headers_json = json_of(message)["headers"];
  EXPECT_EQ(headers_json["x-big"], value);
  EXPECT_EQ(headers_json["y"], "small");
}

TEST(MessageLine, FoldedValueGetsOneSpaceAndRawHeadersKeepItAsSent) {
  const HeaderField headers[] = {{"X-Folded", "one \t\r\n  two\n\tthree  four\r\n \r\n five", true},
                                 {"Host", "h"}};
  Message message = request();
  message.headers = headers;
  LineOptions options;
  options.raw_headers = true;
  const Json json = json_of(message, options);
  EXPECT_EQ(json["headers"]["x-folded"], "one two three  four five");
  EXPECT_EQ(json["headers"]["host"], "h");
  EXPECT_EQ(json["rawHeaders"],
            Json::parse(R"([["X-Folded","one \t\r\n  two\n\tthree  four\r\n \r\n five"],)"
                        R"(["Host","h"]])"));
}

TEST(MessageLine, StringsThatAreNotUtf8AreLatin1AndListed) {
  const HeaderField headers[] = {{"Good", "\u00e9"}, {"X-Name", "caf\xe9"}, {"N\xe4me", "v"}};
  const HeaderField trailers[] = {{"X-Name", "\x85"}};
  Message message = request();
  message.method = "G\xff";
  message.target = "/caf\xe9";
  message.headers = headers;
  message.trailers = trailers;
  LineOptions options;
  options.raw_headers = true;
  const std::string line = line_of(message, options);
  const Json json = parse(line);
  EXPECT_EQ(json["method"], "G\u00ff");
  EXPECT_EQ(json["path"], "/caf\u00e9");
  EXPECT_EQ(json["headers"],
            Json::parse("{\"good\":\"\u00e9\",\"x-name\":\"caf\u00e9\",\"n\u00e4me\":\"v\"}"));
  EXPECT_EQ(json["rawHeaders"][2], Json::parse("[\"N\u00e4me\",\"v\"]"));
  EXPECT_EQ(json["rawHeaders"][1][1], "caf\u00e9");
  EXPECT_NE(line.find(R"("trailers":{"x-name":"\u0085"})"), std::string::npos);
  EXPECT_EQ(json["latin1"], Json::parse("[\"method\",\"path\",\"headers.x-name\","
                                        "\"headers.n\u00e4me\",\"trailers.x-name\"]"));
}

TEST(MessageLine, StatusTextThatIsNotUtf8IsLatin1) {
  Message message = response();
  message.reason = "\xdcnbekannt";
  const Json json = json_of(message);
  EXPECT_EQ(json["statusText"], "\u00dcnbekannt");
  EXPECT_EQ(json["latin1"], Json::parse(R"(["statusText"])"));
}

TEST(MessageLine, OneValueThatIsNotUtf8MakesAllValuesOfItsNameLatin1) {
  const HeaderField headers[] = {{"A", "\u00e9"}, {"B", "\u00e9"}, {"a", "\xe9"}};
  Message message = request();
  message.headers = headers;
  const Json json = json_of(message);
  EXPECT_EQ(json["headers"]["a"], Json::parse("[\"\u00c3\u00a9\",\"\u00e9\"]"));
  EXPECT_EQ(json["headers"]["b"], "\u00e9");
  EXPECT_EQ(json["latin1"], Json::parse(R"(["headers.a"])"));
}

TEST(MessageLine, Latin1IsAbsentWhenEverythingIsUtf8AndDoesNotLeakIntoTheNextLine) {
  MessageLineWriter writer({});
  ScratchLine line;
  Message message = request();
  message.target = "/\xff";
  writer.write(message, line);
  line.clear();
  writer.write(request(), line);
  EXPECT_FALSE(parse(std::string(line.view())).contains("latin1"));
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

TEST(MessageLine, NamesThatDifferNeverBecomeOneKey) {
  const HeaderField cases[][3] = {
      {{"\xe9", "1"}, {"\xc3\xa9", "2"}, {"A", "3"}},
      {{"\xc3\xa9", "1"}, {"A", "3"}, {"\xe9", "2"}},
      {{"\xc3\xa9", "\xff"}, {"\xc3\x83\xc2\xa9", "2"}, {"A", "\xff"}},
  };
  for (const auto& fields : cases) {
    Message message = request();
    message.headers = fields;
    message.trailers = fields;
    for (const EscapeKernels* kernels : all_kernels()) {
      const std::string line = line_of(message, {}, *kernels);
      const Json json = parse(line);
      EXPECT_EQ(json["headers"].size(), 3u) << line;
      EXPECT_EQ(json["trailers"].size(), 3u) << line;
      EXPECT_EQ(json["latin1"].size(), fields[2].value == "\xff" ? 6u : 4u) << line;
    }
  }
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

TEST(MessageLine, MillisecondsAreExactAndShort) {
  const std::pair<int64_t, const char*> times[] = {{0, "0"},
                                                   {1, "0.000001"},
                                                   {1000, "0.001"},
                                                   {1500000, "1.5"},
                                                   {-1, "-0.000001"},
                                                   {-2000000, "-2"},
                                                   {123456789012345, "123456789.012345"},
                                                   {1230000, "1.23"}};
  for (const auto& [nanoseconds, text] : times) {
    Message message = response();
    message.has_latency = true;
    message.latency_ns = nanoseconds;
    const std::string wanted = std::string("\"latencyMs\":").append(text).append(",");
    EXPECT_NE(line_of(message).find(wanted), std::string::npos) << wanted;
  }
}

TEST(MessageLine, NumbersOfEveryLengthAreExact) {
  std::mt19937_64 random(7);
  for (int bits = 0; bits <= 64; ++bits) {
    for (int i = 0; i < 50; ++i) {
      Message message = request();
      message.body_size = bits == 0 ? 0 : random() >> (64 - bits);
      EXPECT_EQ(json_of(message)["bodySize"].get<uint64_t>(), message.body_size);
    }
  }
  for (uint64_t power = 1; power <= 1000000000000000000; power *= 10) {
    for (const uint64_t value : {power - 1, power, 9 * power, 10 * power - 1}) {
      char text[kUnsignedTextMax];
      EXPECT_EQ(std::string(text, write_unsigned(text, value)), std::to_string(value));
    }
  }
}

TEST(MessageLine, TimestampsAreIsoWithMicroseconds) {
  const std::pair<int64_t, const char*> times[] = {
      {0, "1970-01-01T00:00:00.000000Z"},
      {-1, "1969-12-31T23:59:59.999999Z"},
      {1709210096789012345, "2024-02-29T12:34:56.789012Z"},
      {1709210096000000999, "2024-02-29T12:34:56.000000Z"},
      {4102444799999999999, "2099-12-31T23:59:59.999999Z"},
      {INT64_MAX, "2262-04-11T23:47:16.854775Z"},
      {INT64_MIN, "1677-09-21T00:12:43.145224Z"}};
  MessageLineWriter writer({});
  for (const auto& [nanoseconds, text] : times) {
    Message message = request();
    message.first_byte_ns = nanoseconds;
    message.last_byte_ns = nanoseconds;
    ScratchLine line;
    writer.write(message, line);
    EXPECT_EQ(parse(std::string(line.view()))["timestamp"], text);
  }
}

TEST(MessageLine, TimesThatLieFarApartDoNotOverflow) {
  Message message = request();
  message.first_byte_ns = INT64_MIN;
  message.last_byte_ns = INT64_MAX;
  EXPECT_NEAR(json_of(message)["durationMs"].get<double>(), 9223372036854.775807, 0.01);
}

TEST(MessageLine, AddressesAreTextAsRfc5952Says) {
  struct Case {
    std::array<uint16_t, 8> groups;
    const char* text;
  };
  const Case cases[] = {
      {{0, 0, 0, 0, 0, 0, 0, 0}, "::"},
      {{0, 0, 0, 0, 0, 0, 0, 1}, "::1"},
      {{0x2001, 0xdb8, 0, 0, 0, 0, 2, 1}, "2001:db8::2:1"},
      {{0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}, "2001:db8:0:1:1:1:1:1"},
      {{0x2001, 0, 0, 1, 0, 0, 0, 1}, "2001:0:0:1::1"},
      {{0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}, "2001:db8::1:0:0:1"},
      {{0xfe80, 0, 0, 0, 0xabcd, 0x00ef, 0x0fff, 0xffff}, "fe80::abcd:ef:fff:ffff"},
      {{1, 2, 3, 4, 5, 6, 0, 0}, "1:2:3:4:5:6::"},
      {{1, 2, 3, 4, 5, 6, 7, 8}, "1:2:3:4:5:6:7:8"},
      {{0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201}, "192.0.2.1"},
      {{0, 0, 0, 0, 0, 0xffff, 0xffff, 0x0009}, "255.255.0.9"},
      {{0, 0, 0, 0, 0, 0xfffe, 0xc000, 0x0201}, "::fffe:c000:201"}};
  for (const Case& c : cases) {
    IpAddress ip{};
    for (size_t i = 0; i < 8; ++i) {
      ip[2 * i] = static_cast<uint8_t>(c.groups[i] >> 8);
      ip[2 * i + 1] = static_cast<uint8_t>(c.groups[i] & 0xff);
    }
    char text[kIpTextMax];
    EXPECT_EQ(std::string(text, write_ip(text, ip)), c.text);
  }
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

// A line that has only the room that was asked for and lies elsewhere after each time it grew: a
// sanitizer sees what is written beyond it, or to where the line was.
class TightLine final : public LineSink {
 public:
  TightLine() = default;
  std::string_view view() const { return {begin_, size()}; }

 private:
  void grow(size_t size) override {
    const size_t used = this->size();
    std::vector<char> larger(used + size);
    std::copy(begin_, end_, larger.begin());
    memory_.swap(larger);
    begin_ = memory_.data();
    end_ = begin_ + used;
    limit_ = begin_ + memory_.size();
  }

  std::vector<char> memory_;
};

TEST(MessageLine, NothingIsWrittenBeyondTheRoomThatWasReserved) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto text = [&random](size_t most) {
      std::string bytes;
      const bool ascii = random() % 2 == 0;
      for (size_t i = random() % (most + 1); i > 0; --i) {
        bytes += static_cast<char>(ascii ? random() % 128 : random());
      }
      return bytes;
    };
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) texts.push_back(text(i % 2 == 0 ? 9 : 3000));
    std::vector<HeaderField> headers;
    for (size_t i = 0; i < 40; i += 2) headers.push_back({texts[i], texts[i + 1]});
    const std::string body = text(20000);
    Message message = response();
    message.request_target = texts[1];
    message.reason = texts[3];
    message.headers = headers;
    message.body = body;
    for (const auto format :
         {LineOptions::kNdjson, LineOptions::kFramed, LineOptions::kPacked, LineOptions::kPretty}) {
      for (const EscapeKernels* kernels : all_kernels()) {
        LineOptions options;
        options.format = format;
        options.extended = true;
        options.raw_headers = true;
        options.binary_base64 = true;
        MessageLineWriter writer(options, *kernels);
        ScratchLine roomy;
        TightLine tight;
        writer.write(message, roomy);
        writer.write(message, tight);
        ASSERT_EQ(roomy.view(), tight.view()) << kernels->name << " seed " << seed;
      }
    }
  }
}

TEST(MessageLine, RandomBytesInEveryFieldStillMakeOneValidLine) {
  LineOptions options;
  options.raw_headers = true;
  options.extended = true;
  options.binary_base64 = true;
  MessageLineWriter writer(options);
  for (unsigned seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto text = [&random](size_t most) {
      std::string bytes;
      for (size_t i = random() % (most + 1); i > 0; --i) bytes += static_cast<char>(random());
      return bytes;
    };
    const std::string method = text(8);
    const std::string target = text(100);
    const std::string body = text(500);
    std::vector<std::string> texts;
    for (int i = 0; i < 20; ++i) texts.push_back(text(i % 2 == 0 ? 3 : 90));
    std::vector<HeaderField> headers;
    for (size_t i = 0; i < 20; i += 2)
      headers.push_back({texts[i], texts[i + 1], random() % 4 == 0});
    Message message = request();
    message.method = method;
    message.target = target;
    message.headers = headers;
    message.trailers = headers;
    message.body = body;
    ScratchLine line;
    writer.write(message, line);
    const Json json = parse(std::string(line.view()));
    ASSERT_EQ(json["rawHeaders"].size(), headers.size());
    ASSERT_EQ(json["headers"], json["trailers"]);
  }
}

}  // namespace
}  // namespace tcp_sniffer::message_line_test
