#include "core/line/selected_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "core/line/message_line.h"

namespace tcp_sniffer::selected_line_test {
namespace {

using Json = nlohmann::json;

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z

const HeaderField kHeaders[] = {
    {"Host", "example.com"}, {"User-Agent", "curl/8"}, {"Accept", "a"}, {"accept", "b"}};

Message request() {
  Message message;
  message.method = "GET";
  message.target = "/a?b=1";
  message.headers = kHeaders;
  message.receiver = {kV4MappedPrefix, 80};
  message.destination = {kV4MappedPrefix, 51234};
  message.connection_id = 0x0123456789abcdef;
  message.exchange = 0;
  message.first_byte_ns = message.last_byte_ns = kNoon;
  return message;
}

Message response() {
  Message message = request();
  message.direction = MessageDirection::kResponse;
  message.method = message.target = {};
  message.status = 503;
  message.reason = "Busy";
  message.headers = {};
  message.has_latency = true;
  message.latency_ns = -1500000;
  message.request_method = "GET";
  message.request_target = "/a?b=1";
  message.request_host = "example.com";
  message.request_body_size = 7;
  return message;
}

LineOptions options_for(const std::vector<std::string>& names,
                        LineOptions::Format format = LineOptions::kNdjson) {
  LineOptions options;
  options.format = format;
  for (const std::string& name : names) {
    auto field = parse_field(name);
    EXPECT_TRUE(std::holds_alternative<FieldRef>(field)) << name;
    options.select.push_back(std::get<FieldRef>(std::move(field)));
  }
  return options;
}

std::string line_of(const Message& message, const LineOptions& options) {
  MessageLineWriter writer(options);
  ScratchLine line;
  writer.write(message, line);
  return std::string(line.view());
}

TEST(SelectedLine, HasTheSelectedFieldsInTheirOrder) {
  const LineOptions options =
      options_for({"timestamp", "status", "method", "host", "path", "latencyMs",
                   "request.headers.user-agent", "headers.accept", "request.bodySize"});
  EXPECT_EQ(line_of(request(), options),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","method":"GET","host":"example.com",)"
            R"("path":"/a?b=1","request.headers.user-agent":"curl/8","headers.accept":["a","b"],)"
            R"("request.bodySize":0})"
            "\n");
  EXPECT_EQ(line_of(response(), options),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","status":503,"method":"GET",)"
            R"("host":"example.com","path":"/a?b=1","latencyMs":-1.5,"request.bodySize":7})"
            "\n");
}

TEST(SelectedLine, AMessageWithoutAnyOfThemIsAnEmptyObjectOrRow) {
  EXPECT_EQ(line_of(request(), options_for({"status"})), "{}\n");
  EXPECT_EQ(line_of(request(), options_for({"status"}, LineOptions::kTsv)), "\n");
  EXPECT_EQ(line_of(request(), options_for({"status"}, LineOptions::kCsv)), "\"\"\r\n");
  EXPECT_EQ(line_of(request(), options_for({"status", "vlan"}, LineOptions::kCsv)), ",\r\n");
}

TEST(SelectedLine, TheHeadOfATableNamesItsColumns) {
  const LineOptions options = options_for({"method", "request.headers.User-Agent"});
  EXPECT_EQ(SelectedLineWriter::head(options.select, LineOptions::kTsv),
            "method\trequest.headers.user-agent\n");
  EXPECT_EQ(SelectedLineWriter::head(options.select, LineOptions::kCsv),
            "method,request.headers.user-agent\r\n");
}

// The cell of a path in tsv and in csv.
struct Cells {
  std::string path;
  std::string tsv;
  std::string csv;
};

TEST(SelectedLine, CellsAreEscapedQuotedAndNoFormulas) {
  const Cells cases[] = {
      {"/plain", "/plain", "/plain"},
      {"/a,b", "/a,b", "\"/a,b\""},
      {"/a\"b", "/a\"b", "\"/a\"\"b\""},
      {"\"a\"", "\\\"a\"", "\"\"\"a\"\"\""},
      {" a", " a", "\" a\""},
      {"/a\tb\r\nc\x1b", "/a\\tb\\r\\nc\\u001b", "/a\\tb\\r\\nc\\u001b"},
      {"/a\\b", "/a\\\\b", "/a\\\\b"},
      {"/a\\\"b", "/a\\\\\"b", "\"/a\\\\\"\"b\""},
      {"=1+1", "'=1+1", "'=1+1"},
      {"+1", "'+1", "'+1"},
      {"-1", "'-1", "'-1"},
      {"@x", "'@x", "'@x"},
      {"\t=1", "'\\t=1", "'\\t=1"},
      {"\r=1", "'\\r=1", "'\\r=1"},
      {"=\"a\",b", "'=\"a\",b", "\"'=\"\"a\"\",b\""},
      {"\uff1d1", "'\uff1d1", "'\uff1d1"},
      {"", "", "\"\""},
      {"caf\xe9", "caf\u00e9", "caf\u00e9"},
  };
  for (const Cells& each : cases) {
    Message message = request();
    message.target = each.path;
    EXPECT_EQ(line_of(message, options_for({"path"}, LineOptions::kTsv)), each.tsv + "\n");
    EXPECT_EQ(line_of(message, options_for({"path"}, LineOptions::kCsv)), each.csv + "\r\n");
  }
}

TEST(SelectedLine, NumbersAreNoFormulasAndListsAreJson) {
  const LineOptions options =
      options_for({"latencyMs", "request.bodySize", "receiver", "bodyGaps"}, LineOptions::kCsv);
  const BodyGap gaps[] = {{1, 2}, {3, 4}};
  Message message = response();
  message.body_gaps = gaps;
  EXPECT_EQ(line_of(message, options),
            "-1.5,7,\"{\"\"ip\"\":\"\"0.0.0.0\"\",\"\"port\"\":80}\",\"[[1,2],[3,4]]\"\r\n");
}

TEST(SelectedLine, NamesTheSelectedFieldsThatAreNotUtf8) {
  const HeaderField headers[] = {{"X", "\xe9"}, {"Y", "y"}, {"Z", "\xff"}};
  Message message = request();
  message.target = "/\xe9";
  message.headers = headers;
  EXPECT_EQ(line_of(message, options_for({"latin1", "headers.x", "path", "method"})),
            "{\"latin1\":[\"headers.x\",\"path\"],\"headers.x\":\"\u00e9\",\"path\":\"/\u00e9\","
            "\"method\":\"GET\"}\n");
  EXPECT_EQ(line_of(message, options_for({"method", "latin1", "headers"})),
            "{\"method\":\"GET\",\"latin1\":[\"headers.x\",\"headers.z\"],"
            "\"headers\":{\"x\":\"\u00e9\",\"y\":\"y\",\"z\":\"\u00ff\"}}\n");
  EXPECT_EQ(line_of(message, options_for({"latin1", "method"})), "{\"method\":\"GET\"}\n");
  EXPECT_EQ(line_of(message, options_for({"path", "latin1", "method"}, LineOptions::kCsv)),
            "/\u00e9,\"[\"\"path\"\"]\",GET\r\n");
}

TEST(SelectedLine, IsNeverLongerThanItsBound) {
  std::mt19937 random(7);
  std::vector<std::string> names;
  for (const FieldSpec& spec : field_table()) {
    names.emplace_back(spec.name);
    if (spec.of == FieldOf::kEither) names.push_back("request." + std::string(spec.name));
  }
  names.emplace_back("headers.x-a");
  names.emplace_back("request.headers.x-a");
  for (int round = 0; round < 300; ++round) {
    const char filler = "\x01\"a\xff,\\"[random() % 6];
    const std::string text(random() % 3000, filler);
    const std::vector<HeaderField> headers(random() % 30, HeaderField{"X-A", text});
    Message message = round % 2 == 0 ? request() : response();
    message.target = message.request_target = message.reason = message.body = text;
    message.headers = message.trailers = headers;
    for (const auto format :
         {LineOptions::kNdjson, LineOptions::kCsv, LineOptions::kTsv, LineOptions::kFramed}) {
      const LineOptions options = options_for(names, format);
      MessageLineWriter writer(options);
      ScratchLine line;
      writer.write(message, line);
      EXPECT_LE(line.size(), writer.size_max(message));
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::selected_line_test
