#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "core/where/condition.h"
#include "support/endpoints.h"

// An exchange, and conditions that are asked of it.
namespace tcp_sniffer::condition_lab {

using Verdict = Condition::Verdict;

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z
constexpr int64_t kMs = 1000000;

inline const HeaderField kRequestHeaders[] = {{"Host", "eu.shop.example"},
                                              {"X-Debug", "1"},
                                              {"Accept", "text/html"},
                                              {"accept", "image/png"}};
inline const HeaderField kResponseHeaders[] = {{"Content-Type", "application/json; charset=utf-8"}};

inline Message request() {
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

inline Message response() {
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

inline std::unique_ptr<Condition> compiled(const std::string& text) {
  auto result = Condition::compile(text);
  if (const auto* error = std::get_if<ConditionError>(&result)) {
    ADD_FAILURE() << text << "\n" << marked_place(text, error->at) << " " << error->problem;
    return nullptr;
  }
  return std::get<std::unique_ptr<Condition>>(std::move(result));
}

// As a shard asks.
inline bool holds(const Condition& condition, const Message* asked, const Message* answer,
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

inline bool holds(const std::string& text) {
  const auto condition = compiled(text);
  const Message asked = request();
  const Message answer = response();
  return condition != nullptr && holds(*condition, &asked, &answer);
}

}  // namespace tcp_sniffer::condition_lab
