#include "core/line/selected_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
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

// From the text as it stands in JSON, step by step.
std::string obvious_cell(std::string_view json, bool csv) {
  std::string_view escaped = json.substr(1, json.size() - 2);
  bool formula = false;
  for (const char* beginning :
       {"=", "+", "-", "@", "\\t", "\\r", "\\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"}) {
    formula |= escaped.starts_with(beginning);
  }
  std::string text = formula ? "'" : "";
  if (!csv && !formula && escaped.starts_with("\\\"")) {
    text += "\\\"";
    escaped.remove_prefix(2);
  }
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\' && escaped[i + 1] != '"') text += escaped[i];
    if (escaped[i] == '\\') ++i;
    text += escaped[i];
  }
  const bool quotes = csv && (text.find_first_of("\",") != std::string::npos ||
                              text.starts_with(' ') || text.ends_with(' '));
  if (!quotes) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? "\"\"" : std::string(1, c);
  return cell + "\"";
}

TEST(SelectedLine, CellsAreThoseOfAnObviousMaker) {
  constexpr std::string_view kPieces[] = {
      "a",  "=", "+", "-",      "@",      "\t",     "\r",       "\n",   ",",    " ",        "\"",
      "\\", "'", "0", "\uff1d", "\uff20", "\uff01", "\xc3\xa9", "\x1b", "\xe9", "abcdefgh", ""};
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t pieces = random() % 6; pieces > 0; --pieces) {
      text += kPieces[random() % std::size(kPieces)];
    }
    if (round % 100 == 0) text += std::string(5000, ',');
    Message message = request();
    message.target = text;
    const HeaderField headers[] = {{"X", text, text.find("\r\n") != std::string::npos}};
    message.headers = headers;
    for (const char* name : {"path", "headers.x"}) {
      const std::string line = line_of(message, options_for({name}));
      const std::string json = line.substr(std::string_view(name).size() + 4);
      for (const auto format : {LineOptions::kTsv, LineOptions::kCsv}) {
        const bool csv = format == LineOptions::kCsv;
        const std::string cell = obvious_cell(json.substr(0, json.size() - 2), csv);
        const std::string row = csv ? (cell.empty() ? "\"\"" : cell) + "\r\n" : cell + "\n";
        ASSERT_EQ(line_of(message, options_for({name}, format)), row) << json;
      }
    }
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

// The line of an exchange whose request waited as text.
std::string exchange_line(const Message* request, const Message* response, LineOptions options,
                          Orphan orphan = {}) {
  options.by_exchange = true;
  MessageLineWriter writer(options);
  ScratchLine held;
  ExchangeParts parts;
  parts.orphan = orphan;
  parts.about = response != nullptr ? response : request;
  parts.response = response;
  if (request != nullptr) {
    parts.request_body = writer.write_part(*request, held);
    parts.request_text = held.view();
    parts.request_first_ns = request->first_byte_ns;
  }
  ScratchLine line;
  writer.write_exchange(parts, line);
  // The same when the request has not waited.
  if (request != nullptr) {
    parts.request = request;
    parts.request_text = parts.request_body = {};
    ScratchLine again;
    writer.write_exchange(parts, again);
    EXPECT_EQ(again.view(), line.view());
  }
  return std::string(line.view());
}

TEST(SelectedLine, AnExchangeHasTheFieldsOfBothMessages) {
  const LineOptions options =
      options_for({"timestamp", "status", "method", "host", "bodySize", "request.bodySize",
                   "latencyMs", "totalMs", "orphan", "orphanCause", "headers.accept",
                   "request.headers.accept", "receiver.port"});
  Message asked = request();
  asked.body_size = 7;
  Message answer = response();
  answer.request_method = answer.request_target = answer.request_host = {};
  answer.body_size = 9;
  answer.first_byte_ns += 2'000'000;
  answer.last_byte_ns = answer.first_byte_ns + 1'500'000;
  EXPECT_EQ(exchange_line(&asked, &answer, options),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","status":503,"method":"GET",)"
            R"("host":"example.com","bodySize":9,"request.bodySize":7,"latencyMs":-1.5,)"
            R"("totalMs":3.5,"request.headers.accept":["a","b"],"receiver.port":80})"
            "\n");
  EXPECT_EQ(exchange_line(&asked, nullptr, options,
                          {Orphan::Kind::kResponseNotCaptured, Incomplete::kGap}),
            R"({"timestamp":"2025-02-21T12:00:00.000000Z","method":"GET","host":"example.com",)"
            R"("request.bodySize":7,"orphan":"responseNotCaptured","orphanCause":"gap",)"
            R"("request.headers.accept":["a","b"],"receiver.port":80})"
            "\n");
  EXPECT_EQ(exchange_line(nullptr, &answer, options, {Orphan::Kind::kRequestNotCaptured}),
            R"({"timestamp":"2025-02-21T12:00:00.002000Z","status":503,"bodySize":9,)"
            R"("latencyMs":-1.5,"orphan":"requestNotCaptured","receiver.port":80})"
            "\n");
}

TEST(SelectedLine, AnExchangeIsARowOfATable) {
  const std::vector<std::string> names = {"status", "path", "method", "headers.x", "totalMs"};
  const HeaderField headers[] = {{"X", "=1,\"2\""}};
  Message asked = request();
  asked.target = "/a,\tb";
  Message answer = response();
  answer.headers = headers;
  EXPECT_EQ(exchange_line(&asked, &answer, options_for(names, LineOptions::kCsv)),
            "503,\"/a,\\tb\",GET,\"'=1,\"\"2\"\"\",0\r\n");
  EXPECT_EQ(exchange_line(&asked, &answer, options_for(names, LineOptions::kTsv)),
            "503\t/a,\\tb\tGET\t'=1,\"2\"\t0\n");
  EXPECT_EQ(exchange_line(&asked, nullptr, options_for(names, LineOptions::kTsv)),
            "\t/a,\\tb\tGET\t\t\n");
  EXPECT_EQ(exchange_line(nullptr, &answer, options_for({"path"}, LineOptions::kCsv)), "\"\"\r\n");
}

TEST(SelectedLine, AnExchangeNamesItsInterimResponses) {
  const Message asked = request();
  Message hints = response();
  hints.status = 103;
  Message answer = response();
  for (const auto& [format, one, two] :
       {std::tuple{LineOptions::kNdjson,
                   R"({"interim":[103],"status":503})"
                   "\n",
                   R"({"interim":[103,103],"status":503})"
                   "\n"},
        std::tuple{LineOptions::kTsv, "[103]\t503\n", "[103,103]\t503\n"},
        std::tuple{LineOptions::kCsv, "\"[103]\",503\r\n", "\"[103,103]\",503\r\n"}}) {
    LineOptions options = options_for({"interim", "status"}, format);
    options.by_exchange = true;
    MessageLineWriter writer(options);
    ScratchLine part;
    writer.write_part(hints, part);
    ExchangeParts parts;
    parts.about = parts.response = &answer;
    parts.request = &asked;
    parts.interim_texts = part.view();
    ScratchLine line;
    writer.write_exchange(parts, line);
    EXPECT_EQ(line.view(), one);
    std::string several(part.view());
    several.append(writer.part_separator()).append(part.view());
    parts.interim_texts = several;
    line.clear();
    writer.write_exchange(parts, line);
    EXPECT_EQ(line.view(), two);
  }
  // One that is alone.
  LineOptions options = options_for({"interim", "status", "orphan"});
  options.by_exchange = true;
  MessageLineWriter writer(options);
  ExchangeParts parts;
  parts.about = parts.interim = &hints;
  parts.orphan = {Orphan::Kind::kRequestNotCaptured, Incomplete::kNo};
  ScratchLine line;
  writer.write_exchange(parts, line);
  EXPECT_EQ(line.view(), "{\"interim\":[103],\"orphan\":\"requestNotCaptured\"}\n");
}

TEST(SelectedLine, AnExchangeNamesTheFieldsThatAreNotUtf8) {
  const HeaderField headers[] = {{"X", "\xe9"}};
  Message asked = request();
  asked.target = "/\xe9";
  Message answer = response();
  answer.headers = headers;
  EXPECT_EQ(exchange_line(
                &asked, &answer,
                options_for({"response.latin1", "headers.x", "latin1", "path", "request.latin1"})),
            "{\"response.latin1\":[\"headers.x\"],\"headers.x\":\"\u00e9\","
            "\"latin1\":[\"path\",\"headers.x\"],\"path\":\"/\u00e9\","
            "\"request.latin1\":[\"path\"]}\n");
  EXPECT_EQ(exchange_line(&asked, nullptr, options_for({"response.latin1", "path", "latin1"})),
            "{\"path\":\"/\u00e9\",\"latin1\":[\"path\"]}\n");
}

TEST(SelectedLine, TheFrameOfAnExchangeHasBothBodies) {
  const LineOptions options =
      options_for({"request.body", "status", "body", "bodyEncoding"}, LineOptions::kFramed);
  Message asked = request();
  asked.body = "asked";
  Message answer = response();
  answer.body = "\xff\xfe";
  const std::string json =
      R"({"request.bodyBytes":5,"status":503,"bodyBytes":2,"bodyEncoding":"binary"})";
  const std::string frame = exchange_line(&asked, &answer, options);
  EXPECT_EQ(frame.substr(8), json + "asked\xff\xfe");
  EXPECT_EQ(static_cast<size_t>(frame[0]), json.size());
  EXPECT_EQ(frame[4], 7);
  const std::string of_response =
      exchange_line(&asked, &answer, options_for({"response.body"}, LineOptions::kFramed));
  EXPECT_EQ(of_response.substr(8), "{\"response.bodyBytes\":2}\xff\xfe");
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
