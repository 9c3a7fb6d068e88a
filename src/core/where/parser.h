#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "core/where/condition.h"
#include "core/where/lexer.h"

namespace tcp_sniffer {

// Recursive descent over
//
//     or     = and { "or" and }
//     and    = not { "and" not }
//     not    = "not" not | "(" or ")" | atom
//     atom   = field [ operator value | "in" ( "(" value { "," value } ")" | value ) ]
//     field  = word [ "[" string "]" ]
//
// One for each condition. The words and, or, not, in may be in capitals.
class ConditionParser {
 public:
  explicit ConditionParser(std::string_view text) : lexer_(text), condition_(new Condition) {}

  std::variant<std::unique_ptr<Condition>, ConditionError> parse();

 private:
  using Node = Condition::Node;

  // Each returns false when error_ says why, and else the node of what was read.
  bool advance();
  bool parse_or(uint16_t& node);
  bool parse_and(uint16_t& node);
  bool parse_not(uint16_t& node);
  bool parse_parentheses(uint16_t& node);
  bool parse_atom(uint16_t& node);
  bool parse_name(std::string& name);
  bool parse_comparison(Atom& atom, bool& negated);
  bool parse_values(Atom& atom);
  bool parse_value(Atom& atom, Atom::Test test);

  bool is_word(std::string_view word) const;
  bool fail(size_t at, std::string problem);
  bool add(const Node& node, uint16_t& index);

  Lexer lexer_;
  Token token_;
  ConditionError error_;
  int depth_ = 0;
  std::unique_ptr<Condition> condition_;
};

}  // namespace tcp_sniffer
