#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "core/message/message.h"
#include "core/where/atom.h"
#include "core/where/lexer.h"

namespace tcp_sniffer {

// What is known of an exchange when it ends, beside its messages.
struct ExchangeEnd {
  Orphan orphan;
  std::optional<int64_t> total_ns;  // of both messages
  bool has_interim = false;         // interim responses came
};

// A condition on an exchange, compiled: `status >= 500 or latencyMs > 1000`. The language is
// that of parser.h.
//
// One verdict is given for a request and its final response. The request is asked first, and what
// it answers is kept as one bit for each comparison, so that it need not be there any more when the
// response comes:
//
//     uint64_t bits = 0;
//     Verdict verdict = condition.at_request(request, bits);
//     if (verdict == Verdict::kLater) …hold the request, keep the bits…
//     bool holds = condition.at_end(&bits, &response, end);
//
// Of a message that is given out before its end only the head is there: then what depends on the
// rest is not asked, and the verdict is kLater when it decides. A verdict that the head has given
// stands.
//
// A field of either message holds when it holds for one of them. No question allocates, except with
// regular expressions: RE2 builds what it remembers of texts as it meets them, within a
// mebibyte. A condition is used by one thread at a time, so each shard compiles its own.
class Condition {
 public:
  enum class Verdict : uint8_t { kNo, kYes, kLater };
  enum class Seen : uint8_t { kHead, kWhole };  // of the message that is asked

  static constexpr size_t kAtomsMax = 64;
  static constexpr int kDepthMax = 64;  // of parentheses and `not`

  static std::variant<std::unique_ptr<Condition>, ConditionError> compile(std::string_view text);

  // Whether bodies have to be kept for it.
  bool needs_body() const;
  // Whether the client's real address has to be known for it.
  bool needs_client() const;

  // What the request alone decides. kLater: `bits` are to be given to at_end, when all of it was
  // seen.
  Verdict at_request(const Message& request, uint64_t& bits, Seen seen = Seen::kWhole) const;
  // `request_bits`: nullptr when the request is not known. `response`: nullptr when there is none.
  bool at_end(const uint64_t* request_bits, const Message* response, const ExchangeEnd& end) const {
    return decide(request_bits, response, end, 0) == Truth::kTrue;
  }
  // The same with the response's head. The end has no total_ns yet.
  Verdict at_response_head(const uint64_t* request_bits, const Message& response,
                           const ExchangeEnd& end) const {
    return verdict_of(decide(request_bits, &response, end, known_later_));
  }

 private:
  friend class ConditionParser;
  enum class Truth : uint8_t { kFalse, kTrue, kUnknown };
  struct Node {
    enum class Kind : uint8_t { kAtom, kNot, kAnd, kOr };
    Kind kind = Kind::kAtom;
    uint16_t left = 0;   // of kAtom: the atom
    uint16_t right = 0;  // of kAnd and kOr
  };

  Condition() = default;
  void note_sides();
  static Verdict verdict_of(Truth truth) {
    return truth == Truth::kUnknown ? Verdict::kLater
           : truth == Truth::kTrue  ? Verdict::kYes
                                    : Verdict::kNo;
  }
  Truth decide(const uint64_t* request_bits, const Message* response, const ExchangeEnd& end,
               uint64_t unknown) const;
  template <class Ask>
  Truth evaluate(uint16_t node, const Ask& ask) const;

  std::vector<Atom> atoms_;
  std::vector<Node> nodes_;
  uint16_t root_ = 0;
  uint64_t asks_request_ = 0;     // atoms that a request may answer
  uint64_t asks_response_ = 0;    // atoms that a response may answer
  uint64_t asks_connection_ = 0;  // atoms that either answers in the same way
  uint64_t asks_end_ = 0;         // atoms that only the end of the exchange answers
  uint64_t known_later_ = 0;      // atoms that the head of a message does not answer
};

// The expression and a caret below the place of the error, each line indented.
std::string marked_place(std::string_view expression, size_t at);

}  // namespace tcp_sniffer
