#include "core/http_start_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tcp_sniffer {
namespace {

using std::string_view_literals::operator""sv;

struct RequestCase {
  std::string_view line, method, target;
  uint8_t minor;
  bool known, irregular;
};

TEST(StartLine, ReadsRequestLinesAsTheyAreSent) {
  const RequestCase cases[] = {
      {"GET / HTTP/1.1", "GET", "/", 1, true, false},
      {"GET / HTTP/1.0", "GET", "/", 0, true, false},
      {"OPTIONS * HTTP/1.1", "OPTIONS", "*", 1, true, false},
      {"CONNECT a.example:443 HTTP/1.1", "CONNECT", "a.example:443", 1, true, false},
      {"GET http://a.example/b?c=d HTTP/1.1", "GET", "http://a.example/b?c=d", 1, true, false},
      {"QUERY /q HTTP/1.1", "QUERY", "/q", 1, true, false},
      {"CCM_POST /ccm HTTP/1.1", "CCM_POST", "/ccm", 1, true, false},
      {"FROBNICATE /x HTTP/1.1", "FROBNICATE", "/x", 1, false, false},
      {"get /x HTTP/1.1", "get", "/x", 1, false, false},
      {"GET /\xc3\xa9 HTTP/1.1", "GET", "/\xc3\xa9", 1, true, false},
      {"GET /a b c HTTP/1.1", "GET", "/a b c", 1, true, true},
      {"GET /a HTTP/1.0 b HTTP/1.1", "GET", "/a HTTP/1.0 b", 1, true, true},
      {"GET   /a \t HTTP/1.1", "GET", "/a", 1, true, true},
      {"GET\t/a\tHTTP/1.1", "GET", "/a", 1, true, true},
      {"GET /a HTTP/1.1  ", "GET", "/a", 1, true, true},
      {"GET /a\x01 HTTP/1.1", "GET", "/a\x01", 1, true, true},
      {"GET / HTTP/1.2", "GET", "/", 1, true, false},
      {"GET / HTTP/1.9", "GET", "/", 1, true, false},
  };
  for (const RequestCase& c : cases) {
    const StartLine start = read_start_line(c.line);
    SCOPED_TRACE(c.line);
    ASSERT_EQ(start.kind, StartLineKind::kRequest);
    EXPECT_EQ(start.method, c.method);
    EXPECT_EQ(start.target, c.target);
    EXPECT_EQ(start.version_minor, c.minor);
    EXPECT_EQ(start.known_method, c.known);
    EXPECT_EQ(start.irregular, c.irregular);
  }
}

struct ResponseCase {
  std::string_view line;
  uint16_t status;
  std::string_view reason;
  uint8_t minor;
  bool irregular;
};

TEST(StartLine, ReadsStatusLinesAsTheyAreSent) {
  const ResponseCase cases[] = {
      {"HTTP/1.1 200 OK", 200, "OK", 1, false},
      {"HTTP/1.0 404 Not Found", 404, "Not Found", 0, false},
      {"HTTP/1.1 204", 204, "", 1, false},
      {"HTTP/1.1 204 ", 204, "", 1, false},
      {"HTTP/1.1 599 \xff", 599, "\xff", 1, false},
      {"HTTP/1.3 200 OK", 200, "OK", 1, false},
      {"HTTP/1.1   200   OK  ", 200, "OK", 1, true},
      {"HTTP/1.1\t200\tOK", 200, "OK", 1, true},
      {"HTTP/1.1 200OK", 200, "OK", 1, true},
      {"HTTP/1.1 999 Request denied", 999, "Request denied", 1, false},
  };
  for (const ResponseCase& c : cases) {
    const StartLine start = read_start_line(c.line);
    SCOPED_TRACE(c.line);
    ASSERT_EQ(start.kind, StartLineKind::kResponse);
    EXPECT_EQ(start.status, c.status);
    EXPECT_EQ(start.reason, c.reason);
    EXPECT_EQ(start.version_minor, c.minor);
    EXPECT_EQ(start.irregular, c.irregular);
  }
}

TEST(StartLine, RefusesWhatIsNotHttp1) {
  const std::string long_method = std::string(33, 'A') + " / HTTP/1.1";
  const std::string_view lines[] = {
      "",
      " ",
      "GET",
      "GET ",
      "GET HTTP/1.1",
      "GET  HTTP/1.1",
      " GET / HTTP/1.1",
      "GET / HTTP/2.0",
      "GET / http/1.1",
      "GET / HTTP/1.10",
      "GET / HTTP/11",
      "GET / XHTTP/1.1",
      "GET a HTTP",
      "POST /x",
      "G(T / HTTP/1.1",
      "OPTIONS rtsp://a/b RTSP/1.0",
      "INVITE sip:a@b SIP/2.0",
      "EHLO mail.example.com",
      "HTTP/1.1",
      "HTTP/1.1 ",
      "HTTP/1.1 20",
      "HTTP/1.1 abc",
      "HTTP/1.1 099 x",
      "HTTP/1.1 2000 x",
      "HTTP/1.1200 OK",
      "HTTP/2.0 200 ok",
      "HTTP/1.x 200 OK",
      "SSH-2.0-OpenSSH_9.2",
      long_method,
      "\x16\x13\x01"sv,
      "\0\0\0"sv,
  };
  for (const std::string_view line : lines) {
    EXPECT_EQ(read_start_line(line).kind, StartLineKind::kNone) << line;
  }
}

TEST(StartLine, NamesOtherProtocolsOnAnHttpPort) {
  EXPECT_EQ(read_start_line("GET /index.html").kind, StartLineKind::kHttp09);
  EXPECT_EQ(read_start_line("GET /index.html").target, "/index.html");
  EXPECT_EQ(read_start_line("PRI * HTTP/2.0").kind, StartLineKind::kHttp2Preface);
  EXPECT_EQ(read_start_line("\x16\x03\x01\x02\x00\x01"sv).kind, StartLineKind::kTls);
}

struct GuessCase {
  std::string_view bytes;
  StartGuess guess;
};

TEST(StartGuess, DecidesAsEarlyAsTheBytesAllow) {
  const GuessCase cases[] = {
      {"", StartGuess::kMaybe},
      {"G", StartGuess::kMaybe},
      {"GET", StartGuess::kMaybe},
      {"GET ", StartGuess::kRequest},
      {"GET /some/long/path", StartGuess::kRequest},
      {"GET / HTTP/1.1\r\n", StartGuess::kRequest},
      {"GET /old\r\n", StartGuess::kNo},
      {"FROB ", StartGuess::kMaybe},
      {"FROB / HTT", StartGuess::kMaybe},
      {"FROB / HTTP/1.1\n", StartGuess::kRequest},
      {"USER bob\r\n", StartGuess::kNo},
      {"220 mail.example.com ESMTP\r\n", StartGuess::kNo},
      {"H", StartGuess::kMaybe},
      {"HTTP", StartGuess::kMaybe},
      {"HTTP/1.", StartGuess::kMaybe},
      {"HTTP/1.1 20", StartGuess::kMaybe},
      {"HTTP/1.1 200", StartGuess::kResponse},
      {"HTTP/1.1   20", StartGuess::kMaybe},
      {"HTTP/1.1   200 OK\n", StartGuess::kResponse},
      {"HTTP/1.1 200OK\r\n", StartGuess::kResponse},
      {"HTTP/2.0 200", StartGuess::kNo},
      {"HTTP/x", StartGuess::kNo},
      {"HEAD /", StartGuess::kRequest},
      {"PRI * HTTP/2.0", StartGuess::kHttp2},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", StartGuess::kHttp2},
      {"PRI * H", StartGuess::kMaybe},
      {"\x16"sv, StartGuess::kMaybe},
      {"\x16\x03"sv, StartGuess::kMaybe},
      {"\x16\x03\x03\x01"sv, StartGuess::kTls},
      {"\x16\x04"sv, StartGuess::kNo},
      {"\x80\x01"sv, StartGuess::kNo},
      {"\r\n", StartGuess::kNo},
  };
  for (const GuessCase& c : cases) EXPECT_EQ(guess_start(c.bytes), c.guess) << c.bytes;
}

TEST(StartGuess, NeverTakesBackANoWhenMoreBytesCome) {
  const std::string_view lines[] = {
      "GET / HTTP/1.1\r\n",  "frob /x HTTP/1.0\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.0    404\n",
      "HTTP/1.1 301Moved\n", "PRI * HTTP/2.0\r\n",   "\x16\x03\x01\x00\n",
  };
  for (const std::string_view line : lines) {
    for (size_t size = 0; size <= line.size(); ++size) {
      EXPECT_NE(guess_start(line.substr(0, size)), StartGuess::kNo) << line.substr(0, size);
    }
  }
}

TEST(StartGuess, GivesUpAnUnknownMethodWithoutALineEndAfterEightKilobytes) {
  const std::string line = "FROB /" + std::string(9000, 'x');
  EXPECT_EQ(guess_start(std::string_view(line).substr(0, 8000)), StartGuess::kMaybe);
  EXPECT_EQ(guess_start(line), StartGuess::kNo);
  EXPECT_EQ(guess_start("GET /" + std::string(9000, 'x')), StartGuess::kRequest);
  EXPECT_EQ(guess_start(std::string(40, 'x')), StartGuess::kNo);
}

TEST(StartGuess, AskedForEachSegmentKnowsOnlyUsualStarts) {
  EXPECT_TRUE(starts_like_message("GET /x"));
  EXPECT_TRUE(starts_like_message("M-SEARCH *"));
  EXPECT_TRUE(starts_like_message("HTTP/1.1 200"));
  EXPECT_FALSE(starts_like_message("GET"));
  EXPECT_FALSE(starts_like_message("GETS /x"));
  EXPECT_FALSE(starts_like_message("frob /x"));
  EXPECT_FALSE(starts_like_message("HTTP/2"));
  EXPECT_FALSE(starts_like_message(""));
}

TEST(StartLine, KnownMethodSuffixPrefersTheLongestMethod) {
  EXPECT_EQ(known_method_suffix("}GET"), 3u);
  EXPECT_EQ(known_method_suffix("UNSUBSCRIBE"), 11u);
  EXPECT_EQ(known_method_suffix("xUNLOCK"), 6u);
  EXPECT_EQ(known_method_suffix("frob"), 0u);
  EXPECT_EQ(known_method_suffix(""), 0u);
}

TEST(StartLine, CountsEmptyLinesInFrontOfAMessage) {
  EXPECT_EQ(leading_empty_lines("\r\n\r\nGET"), 4u);
  EXPECT_EQ(leading_empty_lines("\n\r\nGET"), 3u);
  EXPECT_EQ(leading_empty_lines("\r\n\r"), 2u);
  EXPECT_EQ(leading_empty_lines("\rGET"), 0u);
  EXPECT_EQ(leading_empty_lines(""), 0u);
}

}  // namespace
}  // namespace tcp_sniffer
