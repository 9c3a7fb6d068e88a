// Random conditions, held against an evaluator of the full lines.

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/number_text.h"
#include "core/field/field_words.h"
#include "core/line/message_line.h"
#include "support/condition_lab.h"
#include "support/condition_model.h"

namespace tcp_sniffer::condition_model_test {
namespace {

using Json = nlohmann::json;
using namespace condition_lab;

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

// What a message with this head may come to.
Message head_of(const Message& message) {
  Message head = message;
  head.trailers = {};
  head.anomalies = {};
  head.body = {};
  head.body_size = 0;
  head.body_truncated = false;
  head.incomplete = Incomplete::kNo;
  head.missing_bytes = 0;
  head.last_byte_ns = head.first_byte_ns;
  head.connect_ns = -1;
  return head;
}

// Random conditions, and random exchanges for each of them.
template <typename Check>
void for_random_exchanges(const Check& check) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    const auto meaning = condition_model::RandomCondition(seed, few_values).any(4);
    const auto condition = compiled(meaning.text);
    ASSERT_NE(condition, nullptr);
    std::mt19937 random(seed);
    for (int i = 0; i < 25; ++i) {
      const RandomMessage request_half(random, true);
      RandomMessage response_half(random, false);
      response_half.join(request_half.message());
      check(meaning, *condition, request_half, response_half, random);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Condition, WhatHeadsDecideStaysSoWhenTheRestComes) {
  size_t by_request = 0;
  size_t by_response = 0;
  for_random_exchanges([&](const condition_model::Meaning& meaning, const Condition& condition,
                           const RandomMessage& request_half, const RandomMessage& response_half,
                           std::mt19937& random) {
    const Message& asked = request_half.message();
    const Message& answer = response_half.message();
    ExchangeEnd end;
    end.has_interim = random() % 2 == 0;
    uint64_t bits = 0;
    const Verdict at_request = condition.at_request(head_of(asked), bits, Condition::Seen::kHead);
    condition.at_request(asked, bits);
    const Verdict at_response = condition.at_response_head(&bits, head_of(answer), end);
    end.total_ns = elapsed_ns(asked.first_byte_ns, answer.last_byte_ns);
    const Verdict whole = holds(condition, &asked, &answer, end) ? Verdict::kYes : Verdict::kNo;
    if (at_request != Verdict::kLater) {
      ASSERT_EQ(at_request, whole) << meaning.text;
      ++by_request;
    }
    if (at_response != Verdict::kLater) {
      ASSERT_EQ(at_response, whole) << meaning.text;
      ++by_response;
    }
    // Without a request.
    end = {{Orphan::Kind::kRequestNotCaptured, Incomplete::kNo}, {}, false};
    const Verdict alone = condition.at_response_head(nullptr, head_of(answer), end);
    if (alone != Verdict::kLater) {
      ASSERT_EQ(alone == Verdict::kYes, condition.at_end(nullptr, &answer, end)) << meaning.text;
    }
  });
  EXPECT_GT(by_request, 1000u);
  EXPECT_GT(by_response, by_request);
}

TEST(Condition, RandomOnesHoldWhereAnEvaluatorOfTheFullLinesSaysSo) {
  size_t held = 0;
  size_t asked = 0;
  for_random_exchanges([&](const condition_model::Meaning& meaning, const Condition& condition,
                           const RandomMessage& request_half, const RandomMessage& response_half,
                           std::mt19937& random) {
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
      end.has_interim = random() % 2 == 0;
      if (end.has_interim) exchange["interim"] = Json::array({Json::object()});
      condition_model::add_exchange(exchange, request_line);
      condition_model::add_exchange(exchange, response_line);
      const bool expected = meaning.holds(has_request ? &request_line : nullptr,
                                          has_response ? &response_line : nullptr);
      ASSERT_EQ(holds(condition, has_request ? &request_half.message() : nullptr,
                      has_response ? &response_half.message() : nullptr, end),
                expected)
          << meaning.text << "\n"
          << request_line << "\n"
          << response_line;
      held += expected ? 1 : 0;
      asked++;
    }
  });
  EXPECT_GT(held, asked / 10);
  EXPECT_LT(held, asked - asked / 10);
}

}  // namespace
}  // namespace tcp_sniffer::condition_model_test
