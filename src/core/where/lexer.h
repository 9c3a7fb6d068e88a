#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tcp_sniffer {

// What is wrong with a condition, and where.
struct ConditionError {
  size_t at = 0;        // byte of the expression
  std::string problem;  // what was found, and what was expected; one line
};

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kWord,      // letters, digits and -_.:/ : a name, a number, an address, and, or, not, in
    kString,    // in double or single quotes
    kOperator,  // = == != < <= > >= ~ =~
    kOpen,      // (
    kClose,     // )
    kComma,
    kOpenBracket,
    kCloseBracket,
  };
  Kind kind = Kind::kEnd;
  size_t at = 0;
  std::string_view text;  // as it stands in the expression
  std::string value;      // kString: without the quotes
};

// Cuts a condition into tokens. In a string a backslash stands before a quote and before a
// backslash that is meant as such; before anything else it stands for itself, so that regular
// expressions are written as usual.
class Lexer {
 public:
  // `text` outlives it.
  explicit Lexer(std::string_view text) : text_(text) {}

  // False: `error` says what is wrong.
  bool next(Token& token, ConditionError& error);

 private:
  bool read_string(Token& token, ConditionError& error);
  size_t operator_size() const;

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace tcp_sniffer
