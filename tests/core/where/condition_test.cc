#include "core/where/condition.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "support/condition_lab.h"

namespace tcp_sniffer::condition_test {
namespace {

using namespace condition_lab;

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
        "timestamp = '2025-02-21T12:00:00Z'",
        "timestamp = '2025-02-21T12:00:01.5Z'",
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
      {"timestamp < '2025-02-21T12:00:01Z'", Verdict::kYes},
      {"timestamp > '2025-02-21T12:00:01Z'", Verdict::kLater},
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

}  // namespace
}  // namespace tcp_sniffer::condition_test
