#include "core/http/message_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

namespace tcp_sniffer::message_finder_test {
namespace {

using StartsAt = MessageFinder::StartsAt;
using Wanted = MessageFinder::Wanted;
constexpr size_t kLineMax = MessageFinder::kSearchLineMax;

struct Found {
  size_t at = std::string::npos;  // in the stream
  size_t line_bytes = 0;
  bool operator==(const Found&) const = default;
};

class MessageFinderTest : public testing::Test {
 protected:
  // Searches `stream` in the given pieces; also checks that a candidate's bytes are the stream's.
  Found search(const std::string& stream, const std::vector<size_t>& cuts,
               StartsAt starts_at = StartsAt::kGap, Wanted wanted = Wanted::kBoth) {
    MessageFinder finder;
    finder.start(buffer_, starts_at, wanted);
    size_t begin = 0;
    for (size_t i = 0; i <= cuts.size(); ++i) {
      const size_t end = i < cuts.size() ? cuts[i] : stream.size();
      // A copy of its own, so that the sanitizer sees reads outside the piece.
      const std::vector<char> piece(stream.begin() + static_cast<std::ptrdiff_t>(begin),
                                    stream.begin() + static_cast<std::ptrdiff_t>(end));
      const MessageFinder::Candidate candidate = finder.search({piece.data(), piece.size()});
      if (candidate.found) {
        EXPECT_FALSE(finder.searching());
        EXPECT_TRUE(candidate.kept.empty() || candidate.offset == 0);
        const size_t at = begin + candidate.offset - candidate.kept.size();
        EXPECT_EQ(stream.substr(at, candidate.kept.size()), candidate.kept);
        return {at, candidate.line_bytes};
      }
      EXPECT_TRUE(finder.searching());
      begin = end;
    }
    return {};
  }
  Found search(const std::string& stream, StartsAt starts_at = StartsAt::kGap) {
    return search(stream, {}, starts_at);
  }

  Found search(const std::string& stream, Wanted wanted) {
    return search(stream, {}, StartsAt::kGap, wanted);
  }

  std::array<char, kLineMax> buffer_;
};

const size_t kNothing = std::string::npos;

TEST_F(MessageFinderTest, DirectlyAfterTheGapAKnownMethodOrStatusStarts) {
  EXPECT_EQ(search("GET / HTTP/1.1\r\n"), (Found{0, 16}));
  EXPECT_EQ(search("HTTP/1.1 200 OK\r\nA: b\r\n"), (Found{0, 17}));
  EXPECT_EQ(search("HTTP/1.1 200\n"), (Found{0, 13}));
  EXPECT_EQ(search("FROB / HTTP/1.1\r\n").at, kNothing);
  EXPECT_EQ(search("OB / HTTP/1.1\r\n").at, kNothing);
}

TEST_F(MessageFinderTest, BehindALineFeedAnyStartLineStarts) {
  EXPECT_EQ(search("rest\r\nGET / HTTP/1.1\r\n"), (Found{6, 16}));
  EXPECT_EQ(search("rest\nFROB / HTTP/1.1\n"), (Found{5, 16}));
  EXPECT_EQ(search("rest\r\n\r\nHTTP/1.0 404 Not Found\r\n"), (Found{8, 24}));
  EXPECT_EQ(search("FROB / HTTP/1.1\r\n", StartsAt::kBehindLineFeed), (Found{0, 17}));
}

TEST_F(MessageFinderTest, OnlyTheWantedDirectionIsFound) {
  const std::string request = "GET / HTTP/1.1\r\n";
  const std::string response = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(search(request + response, Wanted::kResponses), (Found{16, 17}));
  EXPECT_EQ(search(response + request, Wanted::kRequests), (Found{17, 16}));
  EXPECT_EQ(search("{}" + response + "{}" + request, Wanted::kRequests), (Found{21, 16}));
  EXPECT_EQ(search("{}" + request + "{}" + response, Wanted::kResponses), (Found{20, 17}));
  EXPECT_EQ(search(request + "FROB / HTTP/1.1\r\n", Wanted::kResponses).at, kNothing);
}

TEST_F(MessageFinderTest, BodyWithoutLineEndHidesNoMessage) {
  EXPECT_EQ(search("{\"a\":1}HTTP/1.1 200 OK\r\n"), (Found{7, 17}));
  EXPECT_EQ(search("{\"a\":1}POST /b HTTP/1.1\r\n"), (Found{7, 18}));
  EXPECT_EQ(search("line\nlast wordGET /b HTTP/1.1\r\n"), (Found{14, 17}));
  EXPECT_EQ(search("line\nwordPUT /b HTTP/1.1\r\n"), (Found{9, 17}));
}

TEST_F(MessageFinderTest, TextAboutHttpIsNoMessage) {
  for (const std::string text :
       {"we speak HTTP/1.1 here\n", "\"GET / HTTP/1.1\" 200 17\n", "HTTP/1.1\n",
        "HTTP/1.x 200 OK\n", "xHTTP/1.1 20 OK\n", "x HTTP/1.1 2000\n", "HTTP/1.1 HTTP/1.1\n",
        "Via: HTTP/1.1\n", "GET HTTP/1.1\n", "GET  HTTP/1.1\n"}) {
    EXPECT_EQ(search(text).at, kNothing) << text;
    EXPECT_EQ(search("a\n" + text).at, kNothing) << text;
  }
}

TEST_F(MessageFinderTest, LineIsJudgedOnlyWhenItIsComplete) {
  EXPECT_EQ(search("GET / HTTP/1.1").at, kNothing);
  EXPECT_EQ(search("GET / HTTP/1.1\r").at, kNothing);
}

TEST_F(MessageFinderTest, EveryCutFindsTheSame) {
  const std::string streams[] = {
      "GET / HTTP/1.1\r\nHost: a\r\n",
      "rest\r\nHTTP/1.1 200 OK\r\nA: b\r\n",
      "HTTP/1.1 is a protocol\nGET /x HTTP/1.0\n",
      "a=b&c=dPOST /x HTTP/1.1\r\n",
      "<html>HTTP/1.1 200 OK\r\n",
      "FROB / HTTP/1.1\r\nFROB / HTTP/1.1\r\n",
  };
  for (const std::string& stream : streams) {
    const Found whole = search(stream);
    ASSERT_NE(whole.at, kNothing) << stream;
    for (size_t first = 0; first <= stream.size(); ++first) {
      for (size_t second = first; second <= stream.size(); ++second) {
        ASSERT_EQ(search(stream, {first, second}), whole) << stream << first << ' ' << second;
      }
    }
  }
}

TEST_F(MessageFinderTest, LongestLineIsAsLongAsTheBuffer) {
  const std::string start = "FROB /", end = " HTTP/1.1\n";
  const std::string path(kLineMax - start.size() - end.size(), 'x');
  for (const std::vector<size_t>& cuts :
       {std::vector<size_t>{}, std::vector<size_t>{5}, std::vector<size_t>{100, 5000}}) {
    EXPECT_EQ(search(start + path + end, cuts, StartsAt::kBehindLineFeed), (Found{0, kLineMax}));
    EXPECT_EQ(search(start + path + "x" + end, cuts, StartsAt::kBehindLineFeed).at, kNothing);
  }
}

TEST_F(MessageFinderTest, MessageBehindABinaryBodyWithoutLineEndsIsFoundAtEveryPieceSize) {
  const std::string body(3 * kLineMax + 17, '\xee');
  const std::string stream = body + "HTTP/1.1 200 OK\r\nServer: a\r\n\r\n";
  for (const size_t step :
       {size_t{1}, size_t{13}, size_t{1460}, kLineMax, 2 * kLineMax, stream.size()}) {
    std::vector<size_t> cuts;
    for (size_t at = step; at < stream.size(); at += step) cuts.push_back(at);
    EXPECT_EQ(search(stream, cuts), (Found{body.size(), 17})) << step;
  }
}

TEST_F(MessageFinderTest, SearchGoesOnBehindACandidateThatFailed) {
  const std::string stream = "GET / HTTP/1.1\nno field\nHTTP/1.1 200 OK\n\n";
  const Found first = search(stream);
  ASSERT_EQ(first.at, 0u);
  const std::string behind = stream.substr(first.line_bytes);
  EXPECT_EQ(search(behind, StartsAt::kBehindLineFeed), (Found{9, 16}));
}

// The rules again, on the whole stream, a line at a time, with string functions.
Found model(const std::string& stream, StartsAt starts_at) {
  const std::string_view known[] = {"GET", "POST", "BIND", "UNBIND"};
  bool gap = starts_at == StartsAt::kGap;
  for (size_t begin = 0; begin < stream.size(); gap = false) {
    const size_t end = stream.find('\n', begin);
    if (end == std::string::npos) break;
    std::string line = stream.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    Found found;
    const StartLine start = read_start_line(line, StartContext::kAfterLoss);
    if (start.kind == StartLineKind::kResponse ||
        (start.kind == StartLineKind::kRequest && start.known_method)) {
      found.at = 0;
    }
    for (size_t at = 1; at < line.size() && found.at == kNothing; ++at) {
      const std::string rest = line.substr(at);
      if (rest.starts_with("HTTP/1.1 200") && (rest.size() == 12 || rest[12] == ' ')) {
        found = {at, 0};
      }
    }
    for (size_t at = 1; at < line.size() && found.at == kNothing; ++at) {
      for (const std::string_view method : known) {
        const std::string rest = line.substr(at);
        if (!rest.starts_with(std::string(method) + " ")) continue;
        const std::string behind = rest.substr(method.size() + 1);
        const size_t blank = behind.find(' ');
        if (blank != kNothing && blank > 0 && behind.substr(blank) == " HTTP/1.1") {
          found = {at, 0};
          break;
        }
      }
    }
    if (found.at == kNothing && start.kind == StartLineKind::kRequest && !gap) found.at = 0;
    if (found.at != kNothing) {
      found.line_bytes = end + 1 - begin - found.at;
      found.at += begin;
      return found;
    }
    begin = end + 1;
  }
  return {};
}

TEST_F(MessageFinderTest, AgreesWithTheModelOnRandomStreamsAndCuts) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view words[] = {
      "GET",  "POST",         " ",    " ",    "/x",  "HTTP/1.1",
      "\r\n", "\n",           "HTTP", "/1.1", "200", " HTTP/1.1\r\n",
      "BIND", "HTTP/1.1 200", "UN",   "frob", "}",   "HTTP/1.1 200 OK\r\n"};
  size_t hits = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string stream;
    const size_t count = 1 + random() % 24;
    for (size_t i = 0; i < count; ++i) stream += words[random() % std::size(words)];
    std::vector<size_t> cuts(random() % 5);
    for (size_t& cut : cuts) cut = random() % (stream.size() + 1);
    std::sort(cuts.begin(), cuts.end());
    const StartsAt starts_at = random() % 2 == 0 ? StartsAt::kGap : StartsAt::kBehindLineFeed;
    const Found expected = model(stream, starts_at);
    ASSERT_EQ(search(stream, cuts, starts_at), expected)
        << stream << "\nexpected at " << expected.at;
    hits += expected.at != kNothing;
  }
  EXPECT_GT(hits, 10000u);
}

TEST_F(MessageFinderTest, FindsEveryMessageAmongRandomBytesAndNoOther) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string stream;
    for (size_t i = random() % 20000; i > 0; --i) stream += static_cast<char>(random());
    const size_t at = stream.size();
    stream += "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    std::vector<size_t> cuts;
    for (size_t cut = random() % 1460; cut < stream.size(); cut += 1 + random() % 1460) {
      cuts.push_back(cut);
    }
    ASSERT_EQ(search(stream, cuts).at, at);
  }
}

}  // namespace
}  // namespace tcp_sniffer::message_finder_test
