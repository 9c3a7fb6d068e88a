// Conditions: a text is compiled, or rejected with a place in it and one line that says why. What
// is compiled gives a verdict that stays: a request that decides alone decides the same with its
// response.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/message/message.h"
#include "core/where/condition.h"
#include "fuzz_input.h"

namespace tcp_sniffer::fuzz {
namespace {

using Verdict = Condition::Verdict;

const HeaderField kFields[] = {{"Host", "a.example"},
                               {"Content-Type", "text/html"},
                               {"X-A", "one\r\n two", true},
                               {"x-a", "\xff\xfe"}};

Message request_of(FuzzInput& input) {
  static constexpr std::string_view kTexts[] = {"GET", "", "/a/b?c=d", "\xc3\xa9", "\x80", "a*"};
  Message message;
  message.method = kTexts[input.below(std::size(kTexts))];
  message.target = kTexts[input.below(std::size(kTexts))];
  message.headers = std::span(kFields).first(input.below(5));
  message.trailers = std::span(kFields).first(input.below(3));
  message.body = kTexts[input.below(std::size(kTexts))];
  message.body_size = input.u8();
  message.exchange = input.below(2) == 0 ? kNoExchange : input.u8();
  message.first_byte_ns = static_cast<int64_t>(input.u32()) << 30;
  message.last_byte_ns = message.first_byte_ns + input.u8();
  message.incomplete = static_cast<Incomplete>(input.below(9));
  message.receiver.ip[15] = input.u8();
  return message;
}

Message response_of(FuzzInput& input) {
  Message message = request_of(input);
  message.direction = MessageDirection::kResponse;
  message.status = input.u16();
  message.has_latency = input.below(2) == 0;
  message.latency_ns = static_cast<int32_t>(input.u32());
  return message;
}

void check_error(std::string_view text, const ConditionError& error) {
  EXPECT_LE(error.at, text.size());
  EXPECT_FALSE(error.problem.empty());
  const std::string marked = marked_place(text, error.at);
  EXPECT_TRUE(marked.ends_with("^")) << marked;
}

void check_verdicts(const Condition& condition, FuzzInput& input) {
  const Message request = request_of(input);
  const Message response = response_of(input);
  uint64_t bits = 0;
  const Verdict verdict = condition.at_request(request, bits);
  const ExchangeEnd end = {{static_cast<Orphan::Kind>(input.below(4)), Incomplete::kGap},
                           static_cast<int32_t>(input.u32())};
  for (const Message* last : {static_cast<const Message*>(nullptr), &response}) {
    const bool holds = condition.at_end(&bits, last, end);
    EXPECT_EQ(condition.at_end(&bits, last, end), holds);
    if (verdict != Verdict::kLater) {
      EXPECT_EQ(holds, verdict == Verdict::kYes);
    }
  }
  condition.at_end(nullptr, &response, end);
  // What the heads decide, the whole messages do not change.
  uint64_t none = 0;
  const Verdict by_head = condition.at_request(request, none, Condition::Seen::kHead);
  EXPECT_TRUE(by_head == Verdict::kLater || by_head == verdict);
  for (const uint64_t* known : {static_cast<const uint64_t*>(nullptr), &std::as_const(bits)}) {
    const Verdict early = condition.at_response_head(known, response, end);
    if (early != Verdict::kLater) {
      EXPECT_EQ(early == Verdict::kYes, condition.at_end(known, &response, end));
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer;
  using namespace tcp_sniffer::fuzz;
  FuzzInput input(data, size);
  const std::string text(input.text(input.u8()));
  auto result = Condition::compile(text);
  if (const auto* error = std::get_if<ConditionError>(&result)) {
    check_error(text, *error);
  } else {
    check_verdicts(*std::get<std::unique_ptr<Condition>>(result), input);
  }
  return 0;
}
