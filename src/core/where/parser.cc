#include "core/where/parser.h"

#include <utility>

#include "core/base/ascii_case.h"

namespace tcp_sniffer {
namespace {

using Kind = Token::Kind;

bool begins_value(const Token& token) {
  return token.kind == Kind::kWord || token.kind == Kind::kString;
}

}  // namespace

std::variant<std::unique_ptr<Condition>, ConditionError> Condition::compile(std::string_view text) {
  return ConditionParser(text).parse();
}

std::variant<std::unique_ptr<Condition>, ConditionError> ConditionParser::parse() {
  uint16_t root = 0;
  if (!advance() || !parse_or(root)) return error_;
  if (token_.kind != Kind::kEnd) {
    fail(token_.at, token_.kind == Kind::kClose ? "no parenthesis is open here"
                                                : "and, or, or the end is expected");
    return error_;
  }
  condition_->root_ = root;
  condition_->note_sides();
  return std::move(condition_);
}

bool ConditionParser::advance() {
  return lexer_.next(token_, error_);
}

bool ConditionParser::fail(size_t at, std::string problem) {
  error_ = {at, std::move(problem)};
  return false;
}

bool ConditionParser::is_word(std::string_view word) const {
  return token_.kind == Kind::kWord && equal_ignoring_case(token_.text, word);
}

bool ConditionParser::add(const Node& node, uint16_t& index) {
  index = static_cast<uint16_t>(condition_->nodes_.size());
  condition_->nodes_.push_back(node);
  return true;
}

bool ConditionParser::parse_or(uint16_t& node) {
  if (!parse_and(node)) return false;
  while (is_word("or")) {
    uint16_t right = 0;
    if (!advance() || !parse_and(right)) return false;
    add({Node::Kind::kOr, node, right}, node);
  }
  return true;
}

bool ConditionParser::parse_and(uint16_t& node) {
  if (!parse_not(node)) return false;
  while (is_word("and")) {
    uint16_t right = 0;
    if (!advance() || !parse_not(right)) return false;
    add({Node::Kind::kAnd, node, right}, node);
  }
  return true;
}

bool ConditionParser::parse_not(uint16_t& node) {
  if (token_.kind == Kind::kOpen) return parse_parentheses(node);
  if (!is_word("not")) return parse_atom(node);
  if (++depth_ > Condition::kDepthMax) return fail(token_.at, "this is nested too deep");
  if (!advance() || !parse_not(node)) return false;
  depth_--;
  return add({Node::Kind::kNot, node, 0}, node);
}

bool ConditionParser::parse_parentheses(uint16_t& node) {
  const size_t opened_at = token_.at;
  if (++depth_ > Condition::kDepthMax) return fail(token_.at, "this is nested too deep");
  if (!advance() || !parse_or(node)) return false;
  depth_--;
  if (token_.kind == Kind::kEnd) return fail(opened_at, "this parenthesis is not closed");
  if (token_.kind != Kind::kClose) return fail(token_.at, "and, or, or ) is expected");
  return advance();
}

bool ConditionParser::parse_atom(uint16_t& node) {
  const size_t at = token_.at;
  const bool is_operator = is_word("and") || is_word("or") || is_word("in");
  if (token_.kind != Kind::kWord || is_operator) {
    return fail(at, "the name of a field is expected, or not, or (");
  }
  std::string name;
  if (!parse_name(name)) return false;
  auto field = Atom::field_of(name);
  if (auto* problem = std::get_if<std::string>(&field)) return fail(at, std::move(*problem));
  if (condition_->atoms_.size() == Condition::kAtomsMax) {
    return fail(
        at, "this is one comparison too many; allowed: " + std::to_string(Condition::kAtomsMax));
  }
  Atom atom(std::get<FieldRef>(std::move(field)));
  bool negated = false;
  if (!parse_comparison(atom, negated)) return false;
  add({Node::Kind::kAtom, static_cast<uint16_t>(condition_->atoms_.size()), 0}, node);
  condition_->atoms_.push_back(std::move(atom));
  return !negated || add({Node::Kind::kNot, node, 0}, node);
}

// `request.header["x-debug"]` is the same as `request.headers.x-debug`.
bool ConditionParser::parse_name(std::string& name) {
  name = token_.text;
  if (!advance()) return false;
  if (token_.kind != Kind::kOpenBracket) return true;
  const size_t opened_at = token_.at;
  if (name.ends_with("header") || name.ends_with("trailer")) name += 's';
  if (!name.ends_with("headers") && !name.ends_with("trailers")) {
    return fail(opened_at, "only headers and trailers have names in brackets");
  }
  if (!advance()) return false;
  if (token_.kind != Kind::kString) return fail(token_.at, "a name in quotes is expected");
  name += '.' + token_.value;
  if (!advance()) return false;
  if (token_.kind != Kind::kCloseBracket) return fail(opened_at, "this bracket is not closed");
  return advance();
}

bool ConditionParser::parse_comparison(Atom& atom, bool& negated) {
  const bool is_in = is_word("in");
  if (token_.kind != Kind::kOperator && !is_in) {
    const bool ends =
        token_.kind == Kind::kEnd || token_.kind == Kind::kClose || is_word("and") || is_word("or");
    return ends || fail(token_.at, atom.operators() + ", or and, or or the end");
  }
  const std::string_view sign = is_in ? std::string_view("in") : token_.text;
  const Atom::Test test = atom.test_of(sign);
  if (test == Atom::Test::kThere) return fail(token_.at, atom.operators());
  negated = sign == "!=";
  if (!advance()) return false;
  return is_in ? parse_values(atom) : parse_value(atom, test);
}

bool ConditionParser::parse_values(Atom& atom) {
  if (token_.kind != Kind::kOpen) return parse_value(atom, Atom::Test::kEqual);
  const size_t opened_at = token_.at;
  do {
    if (!advance() || !parse_value(atom, Atom::Test::kEqual)) return false;
  } while (token_.kind == Kind::kComma);
  if (token_.kind == Kind::kEnd) return fail(opened_at, "this parenthesis is not closed");
  if (token_.kind != Kind::kClose) return fail(token_.at, "a comma or ) is expected");
  return advance();
}

bool ConditionParser::parse_value(Atom& atom, Atom::Test test) {
  // Something that is no value makes the comparison fail, and the atom says what it expects.
  const std::string problem =
      begins_value(token_) ? atom.compare(test, token_) : atom.compare(test, Token{});
  if (!problem.empty()) return fail(token_.at, problem);
  return advance();
}

}  // namespace tcp_sniffer
