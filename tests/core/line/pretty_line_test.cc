#include "core/line/pretty_line.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "core/line/message_line.h"
#include "core/line/text_columns.h"

namespace tcp_sniffer::pretty_line_test {
namespace {

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z

Message response() {
  Message message;
  message.direction = MessageDirection::kResponse;
  message.status = 200;
  message.reason = "OK";
  message.receiver = {kV4MappedPrefix, 8080};
  message.receiver.ip[12] = 192;
  message.receiver.ip[15] = 1;
  message.destination = {kV4MappedPrefix, 40000};
  message.destination.ip[12] = 10;
  message.destination.ip[15] = 1;
  message.first_byte_ns = kNoon + 123456789;
  message.body_size = 5321;
  message.has_latency = true;
  message.latency_ns = 1234567;
  message.request_method = "GET";
  message.request_target = "/path?q=1";
  message.request_host = "example.com";
  return message;
}

Message request() {
  Message message;
  message.method = "POST";
  message.target = "/x";
  message.request_host = "example.com";
  message.receiver = response().receiver;
  message.destination = response().destination;
  message.first_byte_ns = kNoon;
  message.body_size = 1200;
  return message;
}

LineOptions pretty(bool colours = false) {
  LineOptions options;
  options.format = LineOptions::kPretty;
  options.pretty.colours = colours;
  return options;
}

std::string line_of(const Message& message, const LineOptions& options = pretty()) {
  MessageLineWriter writer(options);
  ScratchLine line;
  writer.write(message, line);
  return std::string(line.view());
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(PrettyLine, ResponseTellsTheWholeExchangeInOneLine) {
  EXPECT_EQ(line_of(response()),
            "12:00:00.123456  10.0.0.1         GET      200    1.234 ms       0 B    5.3 kB  "
            "example.com/path?q=1\n");
}

TEST(PrettyLine, RequestWaitsForItsResponse) {
  EXPECT_EQ(line_of(request()), "");
}

TEST(PrettyLine, InterimResponsesAppendNothingButASwitchOfProtocolsDoes) {
  for (const uint16_t status : {uint16_t{100}, uint16_t{102}, uint16_t{103}}) {
    Message message = response();
    message.status = status;
    EXPECT_EQ(line_of(message), "");
  }
  Message message = response();
  message.status = 101;
  EXPECT_TRUE(contains(line_of(message), "  101 "));
}

TEST(PrettyLine, UnansweredRequestHasALineOfItsOwn) {
  MessageLineWriter writer(pretty());
  ScratchLine line;
  writer.write_unanswered(request(), line);
  EXPECT_EQ(line.view(),
            "12:00:00.000000  10.0.0.1         POST     ...                1.2 kB            "
            "example.com/x  unanswered\n");
}

TEST(PrettyLine, UnansweredRequestsAppendNothingInOtherFormats) {
  MessageLineWriter writer({});
  ScratchLine line;
  writer.write_unanswered(request(), line);
  EXPECT_EQ(line.size(), 0u);
}

TEST(PrettyLine, ColumnsStandUnderEachOther) {
  Message other = response();
  other.status = 404;
  other.body_size = 0;
  other.latency_ns = 12345678901;
  other.request_method = "OPTIONS";
  other.request_body_size = 999999999;
  EXPECT_EQ(line_of(other).find("example.com"), line_of(response()).find("example.com"));
  EXPECT_TRUE(contains(line_of(other), "OPTIONS  404    12.345 s  999.9 MB       0 B  "));
}

TEST(PrettyLine, ResponseWithoutItsRequestSaysWhereItCameFrom) {
  Message message = response();
  message.request_method = {};
  message.request_target = {};
  message.request_host = {};
  message.has_latency = false;
  message.after_gap = true;
  EXPECT_EQ(line_of(message),
            "12:00:00.123456  10.0.0.1         ?        200                          5.3 kB  "
            "192.0.0.1:8080  after a gap\n");
}

TEST(PrettyLine, HostIsNotRepeatedBeforeATargetThatNamesIt) {
  Message message = response();
  message.request_target = "http://other.example/x";
  EXPECT_TRUE(contains(line_of(message), "  http://other.example/x\n"));
  message.request_target = "/go?to=http://other.example/";
  EXPECT_TRUE(contains(line_of(message), "  example.com/go?to=http://other.example/\n"));
  message.request_method = "CONNECT";
  message.request_target = "example.com:443";
  EXPECT_TRUE(contains(line_of(message), "  example.com:443\n"));
  message.request_method = "OPTIONS";
  message.request_target = "*";
  EXPECT_TRUE(contains(line_of(message), "  example.com *\n"));
}

TEST(PrettyLine, Ipv6ReceiverStandsInBrackets) {
  Message message = response();
  message.request_host = {};
  message.receiver.ip = {};
  message.receiver.ip[15] = 1;
  EXPECT_TRUE(contains(line_of(message), "  [::1]:8080/path?q=1\n"));
}

TEST(PrettyLine, LossIsSaid) {
  Message message = response();
  message.incomplete = Incomplete::kGap;
  message.missing_bytes = 1448;
  EXPECT_TRUE(contains(line_of(message), "q=1  incomplete: gap, missing 1.4 kB\n"));
}

TEST(PrettyLine, AUrlIsCutSoThatTheLineFitsTheTerminal) {
  Message message = response();
  message.request_target =
      "/a/very/long/path/to/\u6771\u4eac/\U0001f382/index.html?and=a&query=too";
  message.after_gap = true;
  for (const uint32_t columns : {80u, 99u, 119u, 120u, 140u}) {
    LineOptions options = pretty(columns % 20 == 0);
    options.pretty.columns = columns;
    const std::string line = line_of(message, options);
    EXPECT_LE(columns_of(line.substr(0, line.size() - 1)), columns) << line;
    EXPECT_GE(columns_of(line), columns - 1) << line;
    EXPECT_TRUE(contains(line, "\u2026")) << line;
    EXPECT_TRUE(contains(line, "too")) << line;
    EXPECT_TRUE(contains(line, "  after a gap")) << line;
  }
  LineOptions options = pretty();
  options.pretty.columns = 200;
  EXPECT_EQ(line_of(message, options), line_of(message));
  // However narrow it is, something of the URL stays.
  options.pretty.columns = 20;
  EXPECT_TRUE(contains(line_of(message, options), "\u2026"));
}

TEST(PrettyLine, ANarrowTerminalGetsShorterColumns) {
  LineOptions options = pretty();
  options.pretty.columns = 80;
  EXPECT_EQ(line_of(response(), options),
            "12:00:00 10.0.0.1        GET    200   1.2 ms   5.3 kB example.com/path?q=1\n");
}

TEST(PrettyLine, LocalTimeIsMarkedAndEachNewDayIsAnnouncedOnce) {
  std::atomic<int64_t> day = INT64_MIN;
  LineOptions options = pretty();
  options.pretty.day = &day;
  options.pretty.utc_offset_s = [](int64_t second) -> int32_t {
    return second >= kNoon / 1000000000 + 3600 ? 43200 : 12600;  // +12:00, before that +03:30
  };
  MessageLineWriter one(options);
  MessageLineWriter other(options);
  Message message = response();
  const auto shown = [&](MessageLineWriter& writer, int64_t time_ns) {
    message.first_byte_ns = time_ns;
    ScratchLine line;
    writer.write(message, line);
    return std::string(line.view().substr(0, line.view().find("  10.")));
  };
  EXPECT_EQ(shown(one, kNoon), "2025-02-21, local time (UTC+03:30)\n15:30:00.000000");
  EXPECT_EQ(shown(other, kNoon), "15:30:00.000000");
  EXPECT_EQ(shown(other, kNoon + 3600'000'000'000),
            "2025-02-22, local time (UTC+12:00)\n01:00:00.000000");
  EXPECT_EQ(shown(one, kNoon), "15:30:00.000000");
  day = INT64_MIN;
  options.pretty.utc_offset_s = nullptr;
  MessageLineWriter utc(options);
  EXPECT_EQ(shown(utc, kNoon), "2025-02-21, UTC\n12:00:00.000000");
  day = INT64_MIN;
  options.pretty.utc_offset_s = [](int64_t) -> int32_t { return -16200; };
  MessageLineWriter west(options);
  EXPECT_EQ(shown(west, kNoon), "2025-02-21, local time (UTC-04:30)\n07:30:00.000000");
}

TEST(PrettyLine, ChangingMethodsAndSlowAnswersHaveAColour) {
  Message message = response();
  message.request_method = "DELETE";
  message.latency_ns = 1500000000;
  const std::string line = line_of(message, pretty(true));
  EXPECT_TRUE(contains(line, "\x1b[35mDELETE\x1b[0m   ")) << line;
  EXPECT_TRUE(contains(line, "\x1b[33m    1.500 s\x1b[0m")) << line;
}

TEST(PrettyLine, TheClientOfAProxyIsShown) {
  ProxiedEndpoints proxied;
  proxied.source = {kV4MappedPrefix, 1};
  proxied.source.ip[12] = 203;
  Message message = response();
  message.proxied = &proxied;
  EXPECT_TRUE(contains(line_of(message), "  203.0.0.0        GET  "));
}

TEST(PrettyLine, BytesFromTheWireCanNotCommandTheTerminal) {
  Message message = response();
  message.request_method = "G\x1b[31m";
  message.request_target = "/\x1b]0;title\x07\n\x9b";
  message.request_host = "\x7f\u0085";
  const std::string line = line_of(message);
  for (const char c : line.substr(0, line.size() - 1)) EXPECT_GE(c, ' ') << line;
  EXPECT_TRUE(contains(line, R"(/\u001b]0;title\u0007\n\u009b)")) << line;
}

TEST(PrettyLine, ColoursOnlyWhenAskedAndAlwaysReset) {
  EXPECT_FALSE(contains(line_of(response()), "\x1b"));
  const std::pair<uint16_t, const char*> colours[] = {{204, "\x1b[32m204\x1b[0m"},
                                                      {301, "\x1b[36m301\x1b[0m"},
                                                      {404, "\x1b[33m404\x1b[0m"},
                                                      {503, "\x1b[31m503\x1b[0m"}};
  for (const auto& [status, text] : colours) {
    Message message = response();
    message.status = status;
    EXPECT_TRUE(contains(line_of(message, pretty(true)), text));
  }
}

TEST(PrettyLine, DetailsHaveTheInterimResponsesBetweenRequestAndResponse) {
  LineOptions options = pretty();
  options.by_exchange = true;
  options.pretty.detail = 2;
  MessageLineWriter writer(options);
  const Message asked = request();
  const Message answer = response();
  Message interim = response();
  interim.status = 103;
  interim.reason = "Early Hints";
  const HeaderField headers[] = {{"Link", "</a.css>"}};
  interim.headers = headers;
  ScratchLine waiting;
  writer.write_part(interim, waiting);
  append_verbatim(writer.part_separator(), waiting);
  writer.write_part(interim, waiting);
  ExchangeParts parts;
  parts.about = parts.response = &answer;
  parts.request = &asked;
  parts.interim_texts = waiting.view();
  ScratchLine line;
  writer.write_exchange(parts, line);
  const std::string hints = "  < HTTP/1.1 103 Early Hints\n  < Link: </a.css>\n  < \n";
  const std::string text(line.view());
  EXPECT_EQ(text.substr(text.find('\n') + 1),
            "  > POST /x HTTP/1.1\n  > \n" + hints + hints + "  < HTTP/1.1 200 OK\n  < \n");
}

TEST(PrettyLine, NothingFromTheWireTurnsOrHidesTheTextAroundIt) {
  for (const auto& [character, shown] :
       std::initializer_list<std::pair<const char*, const char*>>{{"\u202e", "202e"},
                                                                  {"\u202a", "202a"},
                                                                  {"\u2066", "2066"},
                                                                  {"\u2069", "2069"},
                                                                  {"\u200e", "200e"},
                                                                  {"\u200f", "200f"},
                                                                  {"\u200b", "200b"},
                                                                  {"\u200d", "200d"},
                                                                  {"\ufeff", "feff"},
                                                                  {"\u061c", "061c"},
                                                                  {"\u2060", "2060"}}) {
    Message message = response();
    message.request_method = character;
    message.request_host = std::string_view(character);
    const std::string target = std::string("/é") + character + character + "x€";
    message.request_target = target;
    const std::string escape = std::string("\\u") + shown;
    const std::string line = line_of(message);
    EXPECT_FALSE(contains(line, character)) << line;
    EXPECT_TRUE(contains(line, escape + "/é" + escape + escape + "x€\n")) << line;
    // JSON is for programs: it keeps them.
    Message asked = request();
    asked.target = target;
    EXPECT_TRUE(contains(line_of(asked, {}), character));
  }
}

}  // namespace
}  // namespace tcp_sniffer::pretty_line_test
