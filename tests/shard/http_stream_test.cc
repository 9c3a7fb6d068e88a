#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/repetitions.h"
#include "support/shard_harness.h"

// Random HTTP conversations, cut into random segments and damaged at random, through a shard. Every
// message names itself, so that each line tells what it should be.
namespace tcp_sniffer::http_stream_test {
namespace {

using namespace shard_harness;
using nlohmann::json;

struct Sent {
  std::string body;
  bool chunked = false;
  bool to_head = false;  // has no body, whatever its headers say
};

struct Turn {
  Side side;
  std::string bytes;
};

struct Conversation {
  std::vector<Turn> turns;
  std::vector<Sent> requests;                        // by number
  std::map<std::pair<size_t, int>, Sent> responses;  // by request and status
};

class Author {
 public:
  // Asks: sends some requests with Expect: 100-continue.
  Author(uint64_t seed, bool pipelines, bool asks = false)
      : random_(seed), pipelines_(pipelines), asks_(asks) {}

  Conversation write(bool with_rubbish) {
    const size_t exchanges = 1 + below(6);
    while (made_.requests.size() < exchanges) {
      if (asks_ && below(3) == 0) {
        ask();
        continue;
      }
      std::string requests;
      std::string responses;
      const bool burst = pipelines_ && below(3) == 0;
      for (size_t count = burst ? 1 + below(3) : 1; count > 0; count--) {
        exchange(requests, responses);
      }
      if (with_rubbish && below(3) == 0) requests += "#rubbish " + letters(below(40)) + "\r\n";
      if (with_rubbish && below(3) == 0) responses += "{}" + letters(below(40)) + "\n";
      made_.turns.push_back({Side::kLow, requests});
      made_.turns.push_back({Side::kHigh, responses});
    }
    return std::move(made_);
  }

 private:
  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }
  std::string letters(uint64_t count) {
    std::string text(static_cast<size_t>(count), ' ');
    for (char& c : text) c = static_cast<char>('a' + below(26));
    return text;
  }
  std::string headers() {
    std::string text;
    for (uint64_t i = below(4); i > 0; i--)
      text += "X-" + letters(3) + ": " + letters(below(30)) + "\r\n";
    return text;
  }

  // Framing fields, the empty line and the body.
  std::string framed(Sent& sent, bool may_be_chunked) {
    sent.body = letters(below(5) == 0 ? below(3000) : below(60));
    sent.chunked = may_be_chunked && below(2) == 0;
    if (!sent.chunked) {
      return "Content-Length: " + std::to_string(sent.body.size()) + "\r\n\r\n" + sent.body;
    }
    std::string text = "Transfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < sent.body.size();) {
      const size_t size = std::min<size_t>(sent.body.size() - at, 1 + below(50));
      char digits[16];
      std::snprintf(digits, sizeof(digits), "%zx", size);
      text += std::string(digits) + (below(4) == 0 ? ";a=b" : "") + "\r\n" +
              sent.body.substr(at, size) + "\r\n";
      at += size;
    }
    text += "0\r\n";
    if (below(3) == 0) text += "X-Trailer: " + letters(5) + "\r\n";
    return text + "\r\n";
  }

  void exchange(std::string& requests, std::string& responses) {
    const size_t number = made_.requests.size();
    const std::string id = std::to_string(number);
    Sent request;
    const uint64_t kind = below(4);
    const char* method = kind == 0 ? "HEAD" : kind == 1 ? "POST" : "GET";
    requests += std::string(method) + " /" + id + " HTTP/1.1\r\n" + headers();
    requests += kind == 1 ? framed(request, true) : "\r\n";
    made_.requests.push_back(request);
    for (uint64_t interim = below(8) == 0 ? 1 + below(2) : 0; interim > 0; interim--) {
      responses += "HTTP/1.1 103 Early Hints\r\nX-Id: " + id + "\r\n" + headers() + "\r\n";
      made_.responses[{number, 103}] = {};
    }
    Sent response;
    const uint64_t outcome = below(5);
    const int status = outcome == 0 ? 304 : outcome == 1 ? 204 : 200;
    responses += "HTTP/1.1 " + std::to_string(status) + " Fine\r\nX-Id: " + id + "\r\n" + headers();
    std::string rest = framed(response, true);
    response.to_head = kind == 0;
    if (kind == 0 || status != 200) {
      rest.resize(rest.find("\r\n\r\n") + 4);
      response.body.clear();
    }
    responses += rest;
    made_.responses[{number, status}] = response;
  }

  // A request with Expect: 100-continue: its body comes at once, after a 100, nevertheless after a
  // final answer, or never.
  void ask() {
    enum Kind { kAtOnce, kAtOnceThenContinue, kAfterContinue, kNevertheless, kNever };
    const size_t number = made_.requests.size();
    const std::string id = std::to_string(number);
    const auto kind = static_cast<Kind>(below(5));
    Sent request;
    std::string rest = framed(request, true);
    if (below(3) == 0 && kind < kNevertheless) {
      // What it was sent for tells the body from a request.
      request.body = "GET /fake HTTP/1.1\r\n\r\n";
      rest = "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
    }
    const size_t head_size = rest.find("\r\n\r\n") + 4;
    const std::string head =
        "PUT /" + id + " HTTP/1.1\r\nExpect: 100-continue\r\n" + rest.substr(0, head_size);
    const std::string body = rest.substr(head_size);
    const std::string continues = "HTTP/1.1 100 Continue\r\nX-Id: " + id + "\r\n\r\n";
    const bool final_only = kind == kNevertheless || kind == kNever;
    const std::string status = final_only ? "401" : "201";
    Sent response;
    const std::string answer =
        "HTTP/1.1 " + status + " Said\r\nX-Id: " + id + "\r\n" + framed(response, true);
    if (kind == kNever) request.body.clear();
    const auto turn = [&](Side side, const std::string& text) {
      if (!text.empty()) made_.turns.push_back({side, text});
    };
    turn(Side::kLow, kind <= kAtOnceThenContinue ? head + body : head);
    if (kind == kAtOnceThenContinue || kind == kAfterContinue) turn(Side::kHigh, continues);
    if (kind == kAfterContinue) turn(Side::kLow, body);
    turn(Side::kHigh, answer);
    if (kind == kNevertheless) turn(Side::kLow, body);
    if (kind == kAtOnceThenContinue || kind == kAfterContinue) {
      made_.responses[{number, 100}] = {};
    }
    made_.responses[{number, std::stoi(status)}] = response;
    made_.requests.push_back(request);
  }

  std::mt19937_64 random_;
  bool pipelines_;
  bool asks_;
  Conversation made_;
};

struct Delivery {
  uint64_t seed = 0;
  size_t segment_max = 1u << 20;  // bytes
  double loss = 0;
  double reorder = 0;
  double again = 0;
  bool handshake = true;
};

class Carrier {
 public:
  explicit Carrier(const Delivery& delivery) : delivery_(delivery), random_(delivery.seed) {
    settings_.ports = PortSet(std::array<uint16_t, 1>{80});
  }

  std::vector<std::string> carry(const Conversation& conversation) {
    std::vector<std::pair<Segment, std::string>> segments;
    if (delivery_.handshake) {
      segments.push_back({make(Side::kLow, kTcpSyn, 0), ""});
      segments.push_back({make(Side::kHigh, kTcpSyn | kTcpAck, 0), ""});
      segments.push_back({make(Side::kLow, kTcpAck, 0), ""});
    }
    const size_t untouched = segments.size();
    for (const Turn& turn : conversation.turns) {
      for (size_t at = 0; at < turn.bytes.size();) {
        const size_t size = std::min(turn.bytes.size() - at,
                                     static_cast<size_t>(1 + random_() % delivery_.segment_max));
        segments.push_back(
            {make(turn.side, kTcpAck, static_cast<uint32_t>(size)), turn.bytes.substr(at, size)});
        sent_[static_cast<size_t>(turn.side)] += static_cast<uint32_t>(size);
        at += size;
      }
      segments.push_back({make(other(turn.side), kTcpAck, 0), ""});
    }
    ShardHarness harness(settings_);
    size_t held = ~size_t{0};
    for (size_t i = 0; i < segments.size(); i++) {
      const bool data = segments[i].first.payload_wire_size > 0 && i >= untouched;
      if (data && happens(delivery_.loss)) continue;
      if (data && held == ~size_t{0} && happens(delivery_.reorder)) {
        held = i;
        continue;
      }
      give(harness, segments[i]);
      if (happens(delivery_.again)) give(harness, segments[i]);
      if (held != ~size_t{0} && random_() % 3 == 0) {
        give(harness, segments[held]);
        held = ~size_t{0};
      }
    }
    if (held != ~size_t{0}) give(harness, segments[held]);
    harness.drain();
    harness.check_ledger();
    return harness.lines;
  }

 private:
  bool happens(double probability) {
    return std::uniform_real_distribution(0.0, 1.0)(random_) < probability;
  }
  Segment make(Side side, int flags, uint32_t size) const {
    const auto me = static_cast<size_t>(side);
    Segment segment;
    segment.key = key_of(40000);
    segment.side = side;
    segment.flags = static_cast<uint8_t>(flags);
    segment.sequence = kStart[me] + sent_[me] - ((flags & kTcpSyn) != 0 ? 1 : 0);
    segment.acknowledgment = (flags & kTcpAck) != 0 ? kStart[1 - me] + sent_[1 - me] : 0;
    segment.payload_size = segment.payload_wire_size = size;
    return segment;
  }
  void give(ShardHarness& harness, std::pair<Segment, std::string>& segment) {
    // Lost bytes need time to be given up; without losses all is one moment.
    if (delivery_.loss > 0) clock_ns_ += static_cast<int64_t>(random_() % 200) * kMs;
    segment.first.clock_ns = segment.first.time_ns = clock_ns_;
    harness.add(segment.first, segment.second);
    if (random_() % 4 == 0) harness.process();
  }

  static constexpr std::array<uint32_t, 2> kStart = {0xfffffff0, 77};
  Delivery delivery_;
  std::mt19937_64 random_;
  ShardSettings settings_;
  std::array<uint32_t, 2> sent_ = {0, 0};
  int64_t clock_ns_ = kStartNs;
};

// The README's promise: a message without `incomplete` is exactly what was sent, and a response
// with an exchange answers the request with that number.
void check_against(const Conversation& conversation, const std::vector<std::string>& lines,
                   bool check_exchanges = true) {
  std::map<uint64_t, size_t> request_of_exchange;
  for (const std::string& text : lines) {
    SCOPED_TRACE(text);
    const json line = json::parse(text);
    const bool is_request = line.at("direction") == "request";
    const bool whole = !line.contains("incomplete");
    size_t number = 0;
    const Sent* sent = nullptr;
    if (is_request) {
      number = std::stoul(line.at("path").get<std::string>().substr(1));
      sent = &conversation.requests.at(number);
      request_of_exchange[line.at("exchange").get<uint64_t>()] = number;
    } else {
      if (!line.at("headers").contains("x-id")) {
        ASSERT_FALSE(whole);
        continue;
      }
      number = std::stoul(line.at("headers").at("x-id").get<std::string>());
      sent = &conversation.responses.at({number, line.at("statusCode").get<int>()});
      if (line.contains("exchange")) {
        const auto found = request_of_exchange.find(line.at("exchange").get<uint64_t>());
        ASSERT_NE(found, request_of_exchange.end());
        if (!check_exchanges && found->second != number) continue;
        ASSERT_EQ(found->second, number);
      }
    }
    // Without its request nobody can tell that the response to HEAD has no body.
    const bool knowable = !sent->to_head || line.contains("exchange");
    if (whole && knowable) {
      ASSERT_EQ(line.at("body").get<std::string>(), sent->body);
      ASSERT_EQ(line.at("bodySize").get<size_t>(), sent->body.size());
    }
  }
}

void cut_and_check(uint64_t count, bool asks) {
  for (uint64_t seed = 0; seed < seeds(count) && !testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation conversation = Author(seed, true, asks).write(false);
    const auto whole = Carrier({.seed = seed}).carry(conversation);
    ASSERT_EQ(
        whole.size(), conversation.requests.size() + [&] {
          size_t responses = 0;
          for (const std::string& line : whole) {
            responses += line.find("\"direction\":\"response\"") != std::string::npos;
          }
          return responses;
        }());
    ASSERT_NO_FATAL_FAILURE(check_against(conversation, whole));
    for (const std::string& line : whole) {
      ASSERT_EQ(line.find("\"incomplete\""), std::string::npos) << line;
    }
    for (const size_t segment_max : {1, 3, 20, 300}) {
      SCOPED_TRACE("segments of " + std::to_string(segment_max));
      ASSERT_EQ(Carrier({.seed = seed, .segment_max = segment_max}).carry(conversation), whole);
    }
  }
}

void reorder_and_check(uint64_t count, bool asks) {
  for (uint64_t seed = 0; seed < seeds(count) && !testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation conversation = Author(seed, true, asks).write(false);
    const auto whole = Carrier({.seed = seed}).carry(conversation);
    ASSERT_EQ(Carrier({.seed = seed, .segment_max = 100, .reorder = 0.2, .again = 0.2})
                  .carry(conversation),
              whole);
  }
}

TEST(HttpStreams, EveryMessageComesWholeHoweverItIsCut) {
  cut_and_check(600, false);
}

TEST(HttpStreams, RequestsThatAskForTheirBodysLeaveComeWholeHoweverTheyAreCut) {
  cut_and_check(600, true);
}

TEST(HttpStreams, ReorderedAndRepeatedSegmentsChangeNothing) {
  reorder_and_check(400, false);
}

TEST(HttpStreams, ReorderedSegmentsOfRequestsThatAskChangeNothing) {
  reorder_and_check(400, true);
}

TEST(HttpStreams, RubbishBetweenMessagesIsPassedOverHoweverItIsCut) {
  for (uint64_t seed = 0; seed < seeds(400) && !testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation conversation = Author(seed, false).write(true);
    const auto whole = Carrier({.seed = seed}).carry(conversation);
    ASSERT_NO_FATAL_FAILURE(check_against(conversation, whole));
    for (const size_t segment_max : {1, 7, 100}) {
      SCOPED_TRACE("segments of " + std::to_string(segment_max));
      ASSERT_EQ(Carrier({.seed = seed, .segment_max = segment_max}).carry(conversation), whole);
    }
  }
}

// Where requests do not wait for responses, one that was lost looks like the one behind it; so the
// exchanges are checked where they do.
void lose_and_check(uint64_t count, bool pipelines, bool handshake) {
  for (uint64_t seed = 0; seed < seeds(count) && !testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation conversation = Author(seed, pipelines).write(seed % 3 == 0);
    for (const double loss : {0.02, 0.2}) {
      const Delivery delivery{.seed = seed,
                              .segment_max = 200,
                              .loss = loss,
                              .reorder = 0.05,
                              .again = 0.05,
                              .handshake = handshake};
      const auto lines = Carrier(delivery).carry(conversation);
      ASSERT_NO_FATAL_FAILURE(check_against(conversation, lines, !pipelines));
    }
  }
}

TEST(HttpStreams, WhatSurvivesLossesIsRight) {
  lose_and_check(1500, false, true);
}

TEST(HttpStreams, WhatSurvivesLossesOfPipelinedMessagesIsRight) {
  lose_and_check(1000, true, true);
}

TEST(HttpStreams, WhatIsFoundInTheMiddleIsRight) {
  lose_and_check(800, false, false);
}

}  // namespace
}  // namespace tcp_sniffer::http_stream_test
