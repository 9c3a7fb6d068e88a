// Bodies that hold HTTP as text, with losses: how often the search for the next message takes such
// text for one. What can be told apart must be; where it cannot, the rate is measured and bounded.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "support/shard_harness.h"

namespace tcp_sniffer::resync_test {
namespace {

using namespace shard_harness;
using nlohmann::json;

enum class Text {
  kTranscript,     // whole messages one behind the other, as message/http holds them
  kRequests,       // whole requests alone: a collection to replay
  kCurlVerbose,    // "> GET / HTTP/1.1", "< HTTP/1.1 200 OK"
  kAccessLog,      // "GET / HTTP/1.1" 200 in quotation marks
  kDocumentation,  // prose and indented examples
  kJsonStrings,    // messages inside JSON strings, escaped
};

constexpr uint32_t kSegmentBytes = 1448;

struct Result {
  size_t sent = 0;
  size_t lost = 0;     // segments
  size_t found = 0;    // real messages, whole
  size_t made_up = 0;  // lines that nobody sent as messages
};

class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t n) { return random_() % n; }
  std::string text_of(Text kind, size_t size) {
    std::string text;
    while (text.size() < size) text += piece_of(kind);
    return text;
  }

 private:
  std::string word() {
    std::string letters(3 + below(6), ' ');
    for (char& c : letters) c = static_cast<char>('a' + below(26));
    return letters;
  }
  std::string request(const std::string& prefix, const std::string& end) {
    return prefix + "GET /" + word() + " HTTP/1.1" + end + prefix + "Host: " + word() + end +
           prefix + "Accept: */*" + end + prefix + end;
  }
  std::string response(const std::string& prefix, const std::string& end) {
    const std::string body = word();
    return prefix + "HTTP/1.1 200 OK" + end + prefix + "Content-Type: text/plain" + end + prefix +
           "Content-Length: " + std::to_string(body.size()) + end + prefix + end + body;
  }
  std::string piece_of(Text kind) {
    switch (kind) {
      case Text::kTranscript:
        return request("", "\r\n") + response("", "\r\n");
      case Text::kRequests:
        return request("", "\r\n");
      case Text::kCurlVerbose:
        return request("> ", "\n") + response("< ", "\n") + "\n";
      case Text::kAccessLog:
        return "10.0.0.7 - - [21/Feb/2025:12:00:00 +0000] \"GET /" + word() + " HTTP/1.1\" 200 " +
               std::to_string(below(9000)) + " \"-\" \"" + word() + "\"\n";
      case Text::kDocumentation:
        return "The client sends GET /" + word() + " HTTP/1.1 and waits.\nThe answer begins with " +
               "HTTP/1.1 200 OK and its headers:\n" + request("    ", "\n") +
               response("    ", "\n") + "\n";
      case Text::kJsonStrings:
        return "{\"request\":\"" + request("", "\\r\\n") + "\",\"response\":\"" +
               response("", "\\r\\n") + "\"}\n";
    }
    return {};
  }

  std::mt19937_64 random_;
};

// A connection of eight exchanges whose bodies, uploaded or downloaded, are such text; some of its
// segments are lost.
class Lossy {
 public:
  Lossy(uint64_t seed, Text kind, bool upload, bool chunked, bool by_port)
      : writer_(seed), kind_(kind), upload_(upload), chunked_(chunked) {
    if (by_port) settings_.ports = PortSet(std::array<uint16_t, 1>{80});
  }

  void run(bool handshake, uint64_t lost_per_thousand, Result& result) {
    ShardHarness harness(settings_);
    if (handshake) {
      give(harness, Side::kLow, kTcpSyn, "");
      give(harness, Side::kHigh, kTcpSyn | kTcpAck, "");
    }
    for (size_t number = 0; number < 8; number++) {
      const std::string id = std::to_string(number);
      const std::string text = writer_.text_of(kind_, 3000 + writer_.below(12000));
      const std::string request =
          "POST /real" + id + " HTTP/1.1\r\n" + framed(upload_ ? text : "q");
      const std::string response =
          "HTTP/1.1 200 Real\r\nX-Id: " + id + "\r\n" + framed(upload_ ? "r" : text);
      send(harness, Side::kLow, request, lost_per_thousand, result);
      send(harness, Side::kHigh, response, lost_per_thousand, result);
      result.sent += 2;
    }
    harness.drain();
    harness.check_ledger();
    for (const std::string& line_text : harness.lines) {
      const json line = json::parse(line_text);
      const bool real = line["direction"] == "request"
                            ? line["path"].get<std::string>().starts_with("/real")
                            : line["statusText"] == "Real";
      if (!real) result.made_up++;
      if (real && !line.contains("incomplete")) result.found++;
    }
  }

 private:
  std::string framed(const std::string& body) {
    if (!chunked_) {
      return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::string text = "Transfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < body.size(); at += 2000) {
      const std::string data = body.substr(at, 2000);
      char digits[16];
      std::snprintf(digits, sizeof(digits), "%zx", data.size());
      text += digits + ("\r\n" + data) + "\r\n";
    }
    return text + "0\r\n\r\n";
  }

  void send(ShardHarness& harness, Side side, const std::string& bytes, uint64_t lost_per_thousand,
            Result& result) {
    for (size_t at = 0; at < bytes.size(); at += kSegmentBytes) {
      const std::string payload = bytes.substr(at, kSegmentBytes);
      if (writer_.below(1000) < lost_per_thousand) {
        sent_[static_cast<size_t>(side)] += static_cast<uint32_t>(payload.size());
        result.lost++;
        continue;
      }
      give(harness, side, kTcpAck, payload);
      give(harness, other(side), kTcpAck, "");
    }
  }

  void give(ShardHarness& harness, Side side, int flags, const std::string& payload) {
    const auto me = static_cast<size_t>(side);
    Segment segment;
    segment.key = key_of(40000);
    segment.side = side;
    segment.flags = static_cast<uint8_t>(flags);
    segment.sequence = 1000 + sent_[me] - ((flags & kTcpSyn) != 0 ? 1 : 0);
    segment.acknowledgment = (flags & kTcpAck) != 0 ? 1000 + sent_[1 - me] : 0;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(payload.size());
    clock_ns_ += 20 * kMs;
    segment.clock_ns = segment.time_ns = clock_ns_;
    harness.add(segment, payload);
    sent_[me] += segment.payload_size;
  }

  Writer writer_;
  Text kind_;
  bool upload_;
  bool chunked_;
  ShardSettings settings_;
  std::array<uint32_t, 2> sent_ = {0, 0};
  int64_t clock_ns_ = kStartNs;
};

Result measure(Text kind, bool upload, bool chunked, bool handshake = true, bool by_port = true) {
  Result result;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    Lossy(seed, kind, upload, chunked, by_port).run(handshake, 30, result);
  }
  EXPECT_GT(result.lost, 100u);
  EXPECT_GT(result.found, result.sent / 2);
  return result;
}

struct Case {
  const char* name;
  Text kind;
  bool upload;
  bool chunked;
  // Lines made up for each hundred lost segments, at most. One loss can make up many: whole
  // messages behind each other are read to the end of the text.
  double bound;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

class HttpTextInBodies : public testing::TestWithParam<Case> {};

TEST_P(HttpTextInBodies, IsTakenForMessagesNoMoreOftenThanMeasured) {
  const Case& one = GetParam();
  const Result result = measure(one.kind, one.upload, one.chunked);
  const double rate =
      100.0 * static_cast<double>(result.made_up) / static_cast<double>(result.lost);
  std::printf(
      "%s: %zu messages, %zu found whole, %zu segments lost, %zu made up: %.1f per 100 losses\n",
      one.name, result.sent, result.found, result.lost, result.made_up, rate);
  EXPECT_LE(rate, one.bound);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, HttpTextInBodies,
    testing::Values(Case{"TranscriptDownloaded", Text::kTranscript, false, false, 400},
                    Case{"TranscriptUploaded", Text::kTranscript, true, false, 700},
                    Case{"TranscriptDownloadedInChunks", Text::kTranscript, false, true, 500},
                    Case{"TranscriptUploadedInChunks", Text::kTranscript, true, true, 1000},
                    Case{"RequestsDownloaded", Text::kRequests, false, false, 0},
                    Case{"RequestsDownloadedInChunks", Text::kRequests, false, true, 0},
                    Case{"RequestsUploaded", Text::kRequests, true, false, 700},
                    Case{"CurlVerboseDownloaded", Text::kCurlVerbose, false, true, 2},
                    Case{"CurlVerboseUploaded", Text::kCurlVerbose, true, true, 2},
                    Case{"AccessLogDownloaded", Text::kAccessLog, false, true, 0},
                    Case{"AccessLogUploaded", Text::kAccessLog, true, true, 0},
                    Case{"DocumentationDownloaded", Text::kDocumentation, false, true, 2},
                    Case{"DocumentationUploaded", Text::kDocumentation, true, true, 0},
                    Case{"JsonStringsDownloaded", Text::kJsonStrings, false, true, 8},
                    Case{"JsonStringsUploaded", Text::kJsonStrings, true, true, 0}),
    [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace tcp_sniffer::resync_test
