#include "core/where/condition.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/number_text.h"
#include "core/line/message_line.h"
#include "core/where/constant.h"
#include "core/where/glob.h"
#include "support/condition_model.h"
#include "support/endpoints.h"

namespace tcp_sniffer::condition_test {
namespace {

using Json = nlohmann::json;
using Verdict = Condition::Verdict;

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z
constexpr int64_t kMs = 1000000;

const HeaderField kRequestHeaders[] = {{"Host", "eu.shop.example"},
                                       {"X-Debug", "1"},
                                       {"Accept", "text/html"},
                                       {"accept", "image/png"}};
const HeaderField kResponseHeaders[] = {{"Content-Type", "application/json; charset=utf-8"}};

Message request() {
  Message message;
  message.method = "POST";
  message.target = "/api/cart?id=7";
  message.headers = kRequestHeaders;
  message.receiver = ip4(192, 0, 2, 10, 80);
  message.destination = ip4(10, 1, 2, 3, 51234);
  message.client = {true, message.destination.ip};
  message.connection_id = 0x0123456789abcdef;
  message.exchange = 3;
  message.body = "{\"a\":1}";
  message.body_size = 7;
  message.first_byte_ns = message.last_byte_ns = kNoon;
  return message;
}

Message response() {
  Message message = request();
  message.direction = MessageDirection::kResponse;
  message.method = message.target = {};
  message.status = 503;
  message.reason = "Busy";
  message.headers = kResponseHeaders;
  message.body = "sorry";
  message.body_size = 2 << 20;
  message.body_truncated = true;
  message.incomplete = Incomplete::kGap;
  message.first_byte_ns = kNoon + 1500 * kMs;
  message.last_byte_ns = kNoon + 1700 * kMs;
  message.has_latency = true;
  message.latency_ns = 1500 * kMs;
  return message;
}

std::unique_ptr<Condition> compiled(const std::string& text) {
  auto result = Condition::compile(text);
  if (const auto* error = std::get_if<ConditionError>(&result)) {
    ADD_FAILURE() << text << "\n" << marked_place(text, error->at) << " " << error->problem;
    return nullptr;
  }
  return std::get<std::unique_ptr<Condition>>(std::move(result));
}

// As a shard asks.
bool holds(const Condition& condition, const Message* asked, const Message* answer,
           const ExchangeEnd& end = {}) {
  uint64_t bits = 0;
  if (asked == nullptr) return condition.at_end(nullptr, answer, end);
  const Verdict verdict = condition.at_request(*asked, bits);
  if (verdict != Verdict::kLater) {
    // What was decided stays so.
    EXPECT_EQ(condition.at_end(&bits, nullptr, end) && verdict == Verdict::kNo, false);
    return verdict == Verdict::kYes;
  }
  return condition.at_end(&bits, answer, end);
}

bool holds(const std::string& text) {
  const auto condition = compiled(text);
  const Message asked = request();
  const Message answer = response();
  return condition != nullptr && holds(*condition, &asked, &answer);
}

TEST(Condition, HoldsOrDoesNot) {
  for (const char* text :
       {"status >= 500 or latencyMs > 1000",
        "status = 503",
        "status == 503",
        "status != 500",
        "method in (\"POST\",\"PUT\") and host ~ \"*.shop.example\" and path ~ \"/api/*\"",
        "request.header[\"x-debug\"]",
        "request.headers.x-debug",
        "request.headers['X-Debug'] = '1'",
        "response.contentType ~ \"application/json*\"",
        "incomplete",
        "incomplete = 'gap'",
        "bodySize > 1M",
        "request.bodySize = 7",
        "response.bodySize = 2MiB",
        "destination.ip in 10.0.0.0/8",
        "destination.ip in (172.16.0.0/12, 10.0.0.0/8)",
        "destination.ip = 10.1.2.3",
        "not status < 500",
        "NOT (status < 500 OR method = 'GET')",
        "latencyMs > 1s",
        "latencyMs = 1500",
        "latencyMs <= 1.5s",
        "latencyMs >= 1500000us",
        "durationMs > 100",
        "path =~ 'id=[0-9]+$'",
        "path =~ \"\\?id=\\d\"",
        "body ~ '*sorry*'",
        "body ~ '*\"a\"*'",
        "headers.accept = 'image/png'",
        "headers.accept = 'text/html'",
        "timestamp >= '2025-02-21' and timestamp < '2025-02-21T12:00:01Z'",
        "bodyTruncated",
        "connectionId = '0123456789abcdef'",
        "exchange in (1, 2, 3)",
        "method != 'GET'",
        "receiver.port = 80 and not afterGap and headers and receiver",
        "missingBytes or status",
        "not missingBytes = 0",
        "host ~ 'e?.*'",
        "(((status > 1)))",
        "not not status > 1"}) {
    EXPECT_TRUE(holds(text)) << text;
  }
  for (const char* text : {"status < 500",
                           "latencyMs > 1500",
                           "method = 'post'",
                           "method in ('GET')",
                           "afterGap",
                           "request.incomplete",
                           "request.bodySize > 7",
                           "host ~ 'shop.example'",
                           "trailers",
                           "response.header['x-debug']",
                           "destination.ip in 11.0.0.0/8",
                           "destination.ip in 2001:db8::/32",
                           "path ~ 'api'",
                           "path =~ '^id'",
                           "status != 503",
                           "not incomplete",
                           "missingBytes = 0",
                           "status = 503 and not (method = 'POST')",
                           "connectionId = '0123456789ABCDEF'",
                           "status = 1 or status = 2 and status = 503",
                           "not status = 503 or status = 1"}) {
    EXPECT_FALSE(holds(text)) << text;
  }
}

TEST(Condition, ARequestAloneDecidesWhatItCan) {
  const Message asked = request();
  uint64_t bits = 0;
  const std::pair<const char*, Verdict> cases[] = {
      {"method = 'POST'", Verdict::kYes},
      {"method = 'GET'", Verdict::kNo},
      {"method = 'GET' and status = 200", Verdict::kNo},
      {"status = 200 and method = 'GET'", Verdict::kNo},
      {"method = 'POST' or status = 200", Verdict::kYes},
      {"status = 200 or method = 'POST'", Verdict::kYes},
      {"method = 'POST' and status = 200", Verdict::kLater},
      {"status = 200", Verdict::kLater},
      {"not status = 200", Verdict::kLater},
      {"bodySize = 7", Verdict::kYes},
      {"bodySize = 8", Verdict::kLater},
      {"not bodySize = 7", Verdict::kNo},
      {"request.bodySize = 8", Verdict::kNo},
      {"receiver.port = 81", Verdict::kNo},
  };
  for (const auto& [text, verdict] : cases) {
    EXPECT_EQ(compiled(text)->at_request(asked, bits), verdict) << text;
  }
}

TEST(Condition, AnExchangeWithoutItsOtherHalfHasNoneOfItsFields) {
  const Message asked = request();
  const Message answer = response();
  EXPECT_TRUE(holds(*compiled("status >= 500"), nullptr, &answer));
  EXPECT_TRUE(holds(*compiled("receiver.port = 80"), nullptr, &answer));
  EXPECT_FALSE(holds(*compiled("method = 'POST'"), nullptr, &answer));
  EXPECT_TRUE(holds(*compiled("method != 'POST'"), nullptr, &answer));
  EXPECT_FALSE(holds(*compiled("status"), &asked, nullptr));
  EXPECT_TRUE(holds(*compiled("not status and method = 'POST'"), &asked, nullptr));
}

// An expression, the text in front of which the caret stands, and a part of the message.
struct Wrong {
  const char* text;
  size_t at;
  const char* problem;
};

TEST(Condition, WhatIsKnownOfTheWholeExchangeIsAskedAtItsEnd) {
  const Message asked = request();
  const Message answer = response();
  const ExchangeEnd whole = {{}, 1700 * kMs};
  for (const char* text : {"totalMs >= 1.7s", "not orphan", "totalMs and client in 10.0.0.0/8",
                           "client = 10.1.2.3", "not orphanCause and method = 'POST'"}) {
    EXPECT_TRUE(holds(*compiled(text), &asked, &answer, whole)) << text;
  }
  const ExchangeEnd alone = {{Orphan::Kind::kResponseNotCaptured, Incomplete::kGap}, {}};
  for (const char* text : {"orphan", "orphan = 'responseNotCaptured'", "orphanCause ~ 'g*'",
                           "not totalMs", "orphan != 'noResponse'"}) {
    EXPECT_TRUE(holds(*compiled(text), &asked, nullptr, alone)) << text;
  }
  uint64_t bits = 0;
  EXPECT_EQ(compiled("orphan")->at_request(asked, bits), Verdict::kLater);
  EXPECT_EQ(compiled("client in 11.0.0.0/8")->at_request(asked, bits), Verdict::kNo);
  EXPECT_TRUE(compiled("orphan or client = ::1")->needs_client());
  EXPECT_FALSE(compiled("orphan")->needs_client());
}

TEST(Condition, AWrongExpressionIsMarkedAndSaysWhatWasExpected) {
  const Wrong cases[] = {
      {"", 0, "the name of a field is expected"},
      {"status >= 500 and", 17, "the name of a field is expected"},
      {"(status >= 500", 0, "this parenthesis is not closed"},
      {"status >= 500)", 13, "no parenthesis is open here"},
      {"status in (1, 2", 10, "this parenthesis is not closed"},
      {"status in (1 2)", 13, "a comma or ) is expected"},
      {"status in ()", 11, "a number is expected"},
      {"stats >= 500", 0, "did you mean \"status\"?"},
      {"status >= 500 or responze.bodySize > 1", 17, "is no field"},
      {"status >= \"500\"", 10, "a number is expected"},
      {"status >= 5x0", 10, "a number is expected"},
      {"status >= -1", 10, "a number is expected"},
      {"status >= 1.5", 10, "a number is expected"},
      {"status ~ 5", 7, "status is a number: = != < <= > >= or in is expected"},
      {"status", 6, ""},
      {"status 500", 7, "status is a number"},
      {"latencyMs > fast", 12, "milliseconds or a duration are expected"},
      {"path > 'a'", 5, "path is a text: = != ~ =~ or in is expected"},
      {"path = api", 7, "a text in quotes is expected"},
      {"path = ", 7, "a text in quotes is expected"},
      {"path = 'api", 7, "this quote is not closed"},
      {"path =~ '(a'", 8, "RE2"},
      {"path =~ '(?=a)'", 8, "RE2"},
      {"destination.ip = 10.0.0", 17, "an address or a network is expected"},
      {"destination.ip in 10.0.0.0/33", 18, "an address or a network is expected"},
      {"destination.ip ~ '10.*'", 15, "is an address: = != or in is expected"},
      {"timestamp > 5", 12, "a time in quotes is expected"},
      {"timestamp > '2025-13-01'", 12, "a time in quotes is expected"},
      {"bodyTruncated = 'true'", 14, "is compared with nothing"},
      {"headers = 'a'", 8, "is compared with nothing"},
      {"method['a']", 6, "only headers and trailers"},
      {"headers['a'", 7, "this bracket is not closed"},
      {"headers[a]", 8, "a name in quotes is expected"},
      {"headers['a b'] = 'c'", 0, "is no field"},
      {"status = 500 & method", 13, "this character has no meaning here"},
      {"status = 500 method", 13, "and, or, or the end is expected"},
      {"direction = 'request'", 0, "a condition holds for a request and its response"},
      {"in (1)", 0, "the name of a field is expected"},
      {"caf\u00e9 = 1", 3, "this character has no meaning here"},
  };
  for (const Wrong& wrong : cases) {
    const auto result = Condition::compile(wrong.text);
    const auto* error = std::get_if<ConditionError>(&result);
    if (*wrong.problem == '\0') {
      EXPECT_EQ(error, nullptr) << wrong.text;
      continue;
    }
    ASSERT_NE(error, nullptr) << wrong.text;
    EXPECT_EQ(error->at, wrong.at) << wrong.text << "\n" << error->problem;
    EXPECT_NE(error->problem.find(wrong.problem), std::string::npos) << wrong.text << "\n"
                                                                     << error->problem;
  }
  EXPECT_EQ(marked_place("a = \u00e9 b", 7), "  a = \u00e9 b\n        ^");
}

TEST(Condition, HasLimitsAndSaysWhenTheyAreReached) {
  std::string atoms = "status = 1";
  for (size_t i = 1; i < Condition::kAtomsMax; ++i) atoms += " or status = 1";
  EXPECT_NE(compiled(atoms), nullptr);
  auto result = Condition::compile(atoms + " or status = 1");
  ASSERT_TRUE(std::holds_alternative<ConditionError>(result));
  EXPECT_NE(std::get<ConditionError>(result).problem.find("allowed: 64"), std::string::npos);
  for (const std::string& opening : {std::string("("), std::string("not ")}) {
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += opening;
    result = Condition::compile(deep + "status");
    ASSERT_TRUE(std::holds_alternative<ConditionError>(result));
    EXPECT_NE(std::get<ConditionError>(result).problem.find("nested"), std::string::npos);
  }
}

TEST(Condition, KnowsWhetherItNeedsBodies) {
  EXPECT_TRUE(compiled("status = 1 or response.body ~ '*a*'")->needs_body());
  EXPECT_TRUE(compiled("bodyTruncated")->needs_body());
  EXPECT_FALSE(compiled("bodySize > 1 and headers.body = 'a'")->needs_body());
}

TEST(Constant, CountsDurationsTimesAndNetworks) {
  EXPECT_EQ(parse_count("1.5K"), 1536);
  EXPECT_EQ(parse_count("8191T"), int64_t{8191} << 40);
  for (const char* wrong : {"", "K", "1.3K", "1e3", "9999999999T", "1KB", "0x1", "1.", ".5"}) {
    EXPECT_EQ(parse_count(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_duration("0.000001"), 1);
  EXPECT_EQ(parse_duration("-1.5s"), -1500 * kMs);
  EXPECT_EQ(parse_duration("2m"), 120000 * kMs);
  EXPECT_EQ(parse_duration("1.5h"), 5400000 * kMs);
  for (const char* wrong : {"", "-", "s", "0.0000001", "1 s", "99999999999h"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_time("2025-02-21T12:00:00Z"), kNoon);
  EXPECT_EQ(parse_time("2025-02-21 12:00:00.000001"), kNoon + 1000);
  EXPECT_EQ(parse_time("1970-01-01"), 0);
  EXPECT_EQ(parse_time("2024-02-29"), int64_t{1709164800} * 1000000000);
  for (const char* wrong :
       {"2025", "2025-02-21T12", "2025-02-21T25:00:00", "2025-02-21x", "1969-12-31"}) {
    EXPECT_EQ(parse_time(wrong), std::nullopt) << wrong;
  }
  EXPECT_TRUE(parse_network("2001:db8::/33")->holds(parse_network("2001:db8:7fff::1")->ip));
  EXPECT_FALSE(parse_network("2001:db8::/33")->holds(parse_network("2001:db8:8000::1")->ip));
  EXPECT_FALSE(parse_network("0.0.0.0/0")->holds(parse_network("2001:db8::")->ip));
  EXPECT_TRUE(parse_network("::/0")->holds(parse_network("10.0.0.1")->ip));
}

TEST(Glob, MatchesAsTheObviousRecursionDoes) {
  const std::function<bool(std::string_view, std::string_view)> obvious =
      [&](std::string_view pattern, std::string_view text) -> bool {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '*') {
      for (size_t i = 0; i <= text.size(); ++i) {
        if (obvious(pattern.substr(1), text.substr(i))) return true;
      }
      return false;
    }
    return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
           obvious(pattern.substr(1), text.substr(1));
  };
  std::mt19937 random(5);
  const auto word = [&](std::string_view letters) {
    std::string text;
    for (size_t i = random() % 9; i > 0; --i) text += letters[random() % letters.size()];
    return text;
  };
  for (int i = 0; i < 20000; ++i) {
    const std::string pattern = word("ab*?");
    const std::string text = word("ab");
    ASSERT_EQ(matches_glob(pattern, text), obvious(pattern, text)) << pattern << " " << text;
  }
  EXPECT_TRUE(matches_glob("?", "\u00e9"));
  EXPECT_TRUE(matches_glob("a?c",
                           "a\xff"
                           "c"));
  // Backtracking stays polynomial.
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "*a";
  EXPECT_FALSE(matches_glob(stars + "b", std::string(20000, 'a')));
}

// ---------------------------------------------------------------- random conditions

const std::vector<std::string> kTexts = {"GET", "POST",      "/a",   "/ab?c",     "a.example",
                                         "x",   "",          "OK",   "gap",       "1.1",
                                         "1.0", "text/html", "idle", "noResponse"};

// What the constants of conditions are.
std::vector<Json> few_values(const condition_model::AskedField& field) {
  switch (field.type) {
    case 't':
      return {kTexts.begin(), kTexts.end()};
    case 'a':
      return {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"};
    default:
      return {0, 1, 2, 3};
  }
}

// Messages of few different values, so that conditions hold for some.
class RandomMessage {
 public:
  explicit RandomMessage(std::mt19937& random, bool is_request) : random_(random) {
    for (std::vector<HeaderField>* fields : {&headers_, &trailers_}) {
      for (size_t i = random() % 3; i > 0; --i) {
        static constexpr std::string_view kNames[] = {"X-A", "x-a", "Content-Type", "Host"};
        fields->push_back({kNames[random() % 4], text()});
      }
    }
    message_.direction = is_request ? MessageDirection::kRequest : MessageDirection::kResponse;
    message_.receiver = ip4(10, 0, 0, static_cast<uint8_t>(random() % 4), small());
    message_.connection_id = 7;
    message_.client = {random() % 2 == 0, ip4(10, 0, 0, static_cast<uint8_t>(small()), 0).ip};
    message_.exchange = small();
    message_.method = text();
    message_.target = text();
    message_.status = small();
    message_.reason = text();
    message_.version_minor = random() % 2;
    message_.headers = headers_;
    message_.trailers = trailers_;
    message_.body = text();
    message_.body_size = small();
    message_.body_truncated = random() % 2 == 0;
    message_.after_gap = random() % 2 == 0;
    message_.incomplete = random() % 2 == 0 ? Incomplete::kNo : Incomplete::kGap;
    message_.missing_bytes = small();
    message_.first_byte_ns = kNoon;
    message_.last_byte_ns = kNoon + small() * kMs;
    message_.has_latency = !is_request && random() % 2 == 0;
    message_.latency_ns = (static_cast<int64_t>(small()) - 1) * kMs;
    message_.headers_size = small();
    message_.vlan = small();
    message_.connect_ns = (static_cast<int64_t>(small()) - 1) * kMs;
    if (random() % 2 == 0) message_.anomalies.add(static_cast<Anomaly>(random() % kAnomalies));
  }
  RandomMessage(const RandomMessage&) = delete;

  // The other half of the same exchange.
  void join(const Message& other) {
    message_.receiver = other.receiver;
    message_.client = other.client;
    message_.exchange = other.exchange;
    message_.vlan = other.vlan;
    message_.connect_ns = other.connect_ns;
  }
  const Message& message() const { return message_; }
  Json line() const {
    LineOptions options;
    options.extended = true;
    MessageLineWriter writer(options);
    ScratchLine line;
    writer.write(message_, line);
    return Json::parse(line.view());
  }

 private:
  std::string_view text() { return kTexts[random_() % kTexts.size()]; }
  uint16_t small() { return static_cast<uint16_t>(random_() % 4); }

  std::mt19937& random_;
  std::vector<HeaderField> headers_;
  std::vector<HeaderField> trailers_;
  Message message_;
};

TEST(Condition, RandomOnesHoldWhereAnEvaluatorOfTheFullLinesSaysSo) {
  size_t held = 0;
  size_t asked = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    const auto meaning = condition_model::RandomCondition(seed, few_values).any(4);
    const auto condition = compiled(meaning.text);
    ASSERT_NE(condition, nullptr);
    std::mt19937 random(seed);
    for (int i = 0; i < 25; ++i) {
      const RandomMessage request_half(random, true);
      RandomMessage response_half(random, false);
      response_half.join(request_half.message());
      const int64_t total_ns =
          elapsed_ns(request_half.message().first_byte_ns, response_half.message().last_byte_ns);
      static constexpr Orphan kOrphans[] = {{Orphan::Kind::kNoResponse, Incomplete::kNo},
                                            {Orphan::Kind::kResponseNotCaptured, Incomplete::kIdle},
                                            {Orphan::Kind::kRequestNotCaptured, Incomplete::kNo}};
      // Whole, and without either half.
      for (const auto& [has_request, has_response] :
           {std::pair{true, true}, std::pair{true, false}, std::pair{false, true}}) {
        ExchangeEnd end;
        Json request_line = request_half.line();
        Json response_line = response_half.line();
        Json exchange;
        if (has_request && has_response) {
          end.total_ns = total_ns;
          exchange["totalMs"] = static_cast<double>(total_ns) / kMs;
        } else {
          end.orphan = kOrphans[random() % 3];
          exchange["orphan"] = orphan_word(end.orphan.kind);
          const std::string_view cause = incomplete_word(end.orphan.cause);
          if (!cause.empty()) exchange["orphanCause"] = cause;
        }
        condition_model::add_exchange(exchange, request_line);
        condition_model::add_exchange(exchange, response_line);
        const bool expected = meaning.holds(has_request ? &request_line : nullptr,
                                            has_response ? &response_line : nullptr);
        ASSERT_EQ(holds(*condition, has_request ? &request_half.message() : nullptr,
                        has_response ? &response_half.message() : nullptr, end),
                  expected)
            << meaning.text << "\n"
            << request_line << "\n"
            << response_line;
        held += expected ? 1 : 0;
        asked++;
      }
    }
  }
  EXPECT_GT(held, asked / 10);
  EXPECT_LT(held, asked - asked / 10);
}

}  // namespace
}  // namespace tcp_sniffer::condition_test
