#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/field/fields.h"
#include "core/message/message.h"
#include "core/where/constant.h"
#include "core/where/lexer.h"

namespace re2 {
class RE2;
}

namespace tcp_sniffer {

struct ExchangeEnd;

// A comparison of one field, the smallest part of a condition: `status >= 500`, `host ~
// "*.example"`, `client in 10.0.0.0/8`, or a field alone, which asks whether it is there. A
// comparison with a field that a message does not have does not hold.
class Atom {
 public:
  enum class Test : uint8_t {
    kThere,
    kEqual,
    kLess,
    kLessOrEqual,
    kGreater,
    kGreaterOrEqual,
    kGlob,
    kRegex,
  };
  // For the program of an expression and what it remembers of texts that it has seen. Beyond it RE2
  // forgets, and becomes slower, but stays linear.
  static constexpr int64_t kRegexMemoryMax = int64_t{1} << 20;

  // A field that may be asked for at all, or why not.
  static std::variant<FieldRef, std::string> field_of(std::string_view name);

  // Asks whether the field is there.
  explicit Atom(FieldRef ref);
  Atom(Atom&&) noexcept;
  ~Atom();

  // The test that an operator means, kThere for one that this field does not take. `!=` is kEqual.
  Test test_of(std::string_view sign) const;
  // What may stand after the field, in words.
  std::string operators() const;
  // Compares with the value too. Empty, or what was expected instead of the value.
  std::string compare(Test test, const Token& value);

  const FieldRef& ref() const { return ref_; }
  // Whether what it says of a message, or of an exchange when the head of its response is there,
  // stays as it is when the rest comes.
  bool is_known_at_head() const;
  // Whether it holds for this message alone.
  bool holds(const Message& message) const;
  // Of a field of the exchange.
  bool holds_at(const ExchangeEnd& end) const;

 private:
  enum class Type : uint8_t { kNumber, kMilliseconds, kTime, kText, kAddress, kNone };
  static Type type_of(const FieldRef& ref);
  struct Comparison;

  bool number_matches(int64_t number) const;
  bool text_matches(std::string_view text) const;
  bool network_matches(const IpAddress& ip) const;
  bool other_matches(const Message& message) const;
  bool headers_match(std::span<const HeaderField> fields) const;
  bool anomalies_match(Anomalies anomalies) const;
  bool body_matches(const Message& message) const;

  FieldRef ref_;
  Type type_;
  Test test_ = Test::kThere;
  // One of them is enough.
  std::vector<int64_t> numbers_;
  std::vector<std::string> texts_;
  std::vector<Network> networks_;
  std::vector<std::unique_ptr<re2::RE2>> expressions_;
  mutable std::string unfolded_;  // a header value that had line breaks
};

}  // namespace tcp_sniffer
