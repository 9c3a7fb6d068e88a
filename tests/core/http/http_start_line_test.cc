#include "core/http/start_line.h"

#include <gtest/gtest.h>

#include <string>

#include "core/http/known_methods.h"

namespace tcp_sniffer::http_start_line_test {
namespace {

using std::string_view_literals::operator""sv;

struct RequestCase {
  std::string_view line, method, target;
  uint8_t minor;
  bool known, irregular;
  std::string_view anomalies = "";
};

// The words of a set, with a blank between them.
std::string words_of(Anomalies anomalies) {
  std::string words;
  for (size_t i = 0; i < kAnomalies; ++i) {
    const auto anomaly = static_cast<Anomaly>(i);
    if (!anomalies.has(anomaly)) continue;
    words.append(words.empty() ? "" : " ").append(anomaly_word(anomaly));
  }
  return words;
}

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
      {"GET /\xc3\xa9 HTTP/1.1", "GET", "/\xc3\xa9", 1, true, false, "target"},
      {"GET /a b c HTTP/1.1", "GET", "/a b c", 1, true, true, "target"},
      {"GET /a HTTP/1.0 b HTTP/1.1", "GET", "/a HTTP/1.0 b", 1, true, true, "target"},
      {"GET   /a \t HTTP/1.1", "GET", "/a", 1, true, true, "startLineBlanks"},
      {"GET\t/a\tHTTP/1.1", "GET", "/a", 1, true, true, "startLineBlanks"},
      {"GET /a HTTP/1.1  ", "GET", "/a", 1, true, true, "startLineBlanks"},
      {"GET /a\x01 HTTP/1.1", "GET", "/a\x01", 1, true, true, "target"},
      {"GET / HTTP/1.2", "GET", "/", 1, true, false},
      {"GET / HTTP/1.9", "GET", "/", 1, true, false},
      {"GET HTTP/1.1", "GET", "", 1, true, true, "target"},
      {"GET  HTTP/1.0", "GET", "", 0, true, true, "startLineBlanks target"},
      {"GET / http/1.1", "GET", "/", 1, true, true, "version"},
      {"GET /a b Http/1.0", "GET", "/a b", 0, true, true, "target version"},
      {"get / http/1.1", "get", "/", 1, false, true, "version"},
      {"GET / HTTP/1.0.8", "GET", "/", 0, true, true, "version"},
      {"GET / HTTP/1.10", "GET", "/", 1, true, true, "version"},
      {"GET / HTTP/2.0", "GET", "/", 1, true, true, "version"},
      {"GET / HTTP/0.9", "GET", "/", 0, true, true, "version"},
      {"GET / HTTP", "GET", "/", 0, true, true, "version"},
      {"GET index.html http/1.1", "GET", "index.html", 1, true, true, "version"},
      {"CONNECT a:443 HTTP/1.x", "CONNECT", "a:443", 0, true, true, "version"},
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
    EXPECT_EQ(words_of(start.anomalies), c.anomalies);
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
      " GET / HTTP/1.1",
      "GET HTTP/2.0",
      "FROB HTTP/1.1",
      "FROB / HTTP/2.0",
      "frob / http/1.1",
      "FROB /x",
      "GET / XHTTP/1.1",
      "GET a HTTP",
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

struct DueCase {
  std::string_view line;
  uint16_t status;
  std::string_view reason;
  uint8_t minor;
  std::string_view anomalies;
};

TEST(StartLine, WhereAResponseIsDueAnyLineThatBeginsWithHttpIsOne) {
  const DueCase cases[] = {
      {"HTTP/1.1 200 OK", 200, "OK", 1, ""},
      {"HTTP/1.0 2XX OK", 0, "2XX OK", 0, "status"},
      {"HTTP/1.1 2000 x", 2000, "x", 1, "status"},
      {"HTTP/1.1 20000 x", 0, "20000 x", 1, "status"},
      {"HTTP/1.1 099 x", 99, "x", 1, "status"},
      {"HTTP/1.1 000 x", 0, "000 x", 1, "status"},
      {"HTTP/1.1 20", 20, "", 1, "status"},
      {"HTTP/1.1 -200 x", 0, "-200 x", 1, "status"},
      {"HTTP/1.1", 0, "", 1, "status"},
      {"HTTP/1.1 ", 0, "", 1, "status"},
      {"HTTP/1.0.8 200 OK", 200, "OK", 0, "version"},
      {"HTTP/1.10 200 OK", 200, "OK", 1, "version"},
      {"http/1.1 200 OK", 200, "OK", 1, "version"},
      {"Http/1.0\t200\tOK", 200, "OK", 0, "startLineBlanks version"},
      {"HTTP/2.0 200 ok", 200, "ok", 1, "version"},
      {"HTTP/0.9 200 ok", 200, "ok", 0, "version"},
      {"HTTP 503 Busy", 503, "Busy", 0, "version"},
      {"HTTPS 200", 200, "", 0, "version"},
      {"ICY 200 OK", 200, "OK", 0, "version"},
      {"ICY", 0, "", 0, "version status"},
  };
  for (const DueCase& c : cases) {
    const StartLine start = read_start_line(c.line, StartContext::kResponseDue);
    SCOPED_TRACE(c.line);
    ASSERT_EQ(start.kind, StartLineKind::kResponse);
    EXPECT_EQ(start.status, c.status);
    EXPECT_EQ(start.reason, c.reason);
    EXPECT_EQ(start.version_minor, c.minor);
    EXPECT_EQ(words_of(start.anomalies), c.anomalies);
    for (size_t size = 0; size < c.line.size(); ++size) {
      EXPECT_NE(guess_start(c.line.substr(0, size), StartContext::kResponseDue), StartGuess::kNo);
    }
  }
  for (const std::string_view line : {"HTT 200", "ICYX 200 OK", "icy 200 OK", "SIP/2.0 200 OK",
                                      "RTSP/1.0 200 OK", "220 ready", "+OK"}) {
    EXPECT_EQ(read_start_line(line, StartContext::kResponseDue).kind, StartLineKind::kNone) << line;
    EXPECT_EQ(guess_start(std::string(line) + "\n", StartContext::kResponseDue), StartGuess::kNo);
  }
}

TEST(StartLine, WithoutAVersionTheNextLineDecides) {
  for (const std::string_view line : {"GET /index.html", "POST /index.html", "GET  /index.html "}) {
    EXPECT_EQ(read_start_line(line).kind, StartLineKind::kVersionless) << line;
    EXPECT_EQ(read_start_line(line).target, "/index.html") << line;
    EXPECT_EQ(read_start_line(line, StartContext::kAfterLoss).kind, StartLineKind::kNone) << line;
  }
  for (const std::string_view line : {"GET key", "GET /a b", "FROB /x", "OPTIONS sip:a@b"}) {
    EXPECT_EQ(read_start_line(line).kind, StartLineKind::kNone) << line;
  }
}

TEST(StartLine, ACrThatNoLfFollowsIsTold) {
  for (const std::string_view line :
       {"GET / HTTP/1.1\rA: 1", "HTTP/1.1 200 OK\rA: 1", "HTTP/1.1 200 O\rx"}) {
    EXPECT_EQ(read_start_line(line).kind, StartLineKind::kBareCr) << line;
  }
  EXPECT_EQ(read_start_line("HTTP/1.1 200 OK\r\r").reason, "OK");
}

TEST(StartLine, OfALineThatTheCaptureCutTheKnownPartIsRead) {
  struct {
    std::string_view bytes, method, target;
    uint16_t status;
  } cases[] = {
      {"GET /ima", "GET", "/ima", 0},
      {"GET /a.gif ", "GET", "/a.gif", 0},
      {"GET /a.gif HTT", "GET", "/a.gif", 0},
      {"GET /a.gif HTTP/1.1\r", "GET", "/a.gif", 0},
      {"GET /a b", "GET", "/a b", 0},
      {"POST http", "POST", "http", 0},
      {"HTTP/1.1 200", "", "", 200},
      {"HTTP/1.1 404 Not F", "", "", 404},
      {"GET ", "", "", 0},
      {"GET", "", "", 0},
      {"FROB /x", "", "", 0},
      {"OPTIONS sip:a", "", "", 0},
      {"HTTP/1.1 20", "", "", 0},
      {"", "", "", 0},
  };
  for (const auto& c : cases) {
    const StartLine start = read_cut_start_line(c.bytes);
    EXPECT_EQ(start.kind != StartLineKind::kNone, !c.method.empty() || c.status != 0) << c.bytes;
    EXPECT_EQ(start.method, c.method) << c.bytes;
    EXPECT_EQ(start.target, c.target) << c.bytes;
    EXPECT_EQ(start.status, c.status) << c.bytes;
  }
}

TEST(StartLine, NamesOtherProtocolsOnAnHttpPort) {
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
      {"GET /old\r\n", StartGuess::kRequest},
      {"GET old\r\n", StartGuess::kNo},
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
      {"HTTP/1.1\t2", StartGuess::kMaybe},
      {"HTTP/1.1\t200", StartGuess::kResponse},
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

TEST(StartGuess, TheLengthOfALineDecidesNothing) {
  const std::string line = "FROB /" + std::string(9000, 'x');
  EXPECT_EQ(guess_start(line), StartGuess::kMaybe);
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

TEST(StartLine, CountsEmptyLinesAndBlanksInFrontOfAMessage) {
  EXPECT_EQ(leading_blanks("\r\n\r\nGET"), 4u);
  EXPECT_EQ(leading_blanks("\n \r\n\tGET"), 5u);
  EXPECT_EQ(leading_blanks("\r\n\r"), 3u);
  EXPECT_EQ(leading_blanks("\rGET"), 1u);
  EXPECT_EQ(leading_blanks("GET"), 0u);
  EXPECT_EQ(leading_blanks(""), 0u);
}

}  // namespace
}  // namespace tcp_sniffer::http_start_line_test
