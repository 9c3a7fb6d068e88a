#include "core/line/header_object.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/written_line.h"

namespace tcp_sniffer::header_object_test {
namespace {

using namespace written_line;

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

}  // namespace
}  // namespace tcp_sniffer::header_object_test
