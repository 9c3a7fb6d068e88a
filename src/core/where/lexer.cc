#include "core/where/lexer.h"

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

bool is_word_character(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '-' || c == ':' || c == '/';
}

Token::Kind kind_of_sign(char c) {
  switch (c) {
    case '(':
      return Token::Kind::kOpen;
    case ')':
      return Token::Kind::kClose;
    case ',':
      return Token::Kind::kComma;
    case '[':
      return Token::Kind::kOpenBracket;
    case ']':
      return Token::Kind::kCloseBracket;
    default:
      return Token::Kind::kEnd;
  }
}

}  // namespace

bool Lexer::next(Token& token, ConditionError& error) {
  while (at_ < text_.size() && is_space(text_[at_])) at_++;
  token = {Token::Kind::kEnd, at_, {}, {}};
  if (at_ == text_.size()) return true;
  const char first = text_[at_];
  if (first == '"' || first == '\'') return read_string(token, error);
  size_t size = 0;
  if (is_word_character(first)) {
    token.kind = Token::Kind::kWord;
    while (at_ + size < text_.size() && is_word_character(text_[at_ + size])) size++;
  } else if (const size_t found = operator_size(); found > 0) {
    token.kind = Token::Kind::kOperator;
    size = found;
  } else if (kind_of_sign(first) != Token::Kind::kEnd) {
    token.kind = kind_of_sign(first);
    size = 1;
  } else {
    error = {at_,
             "this character has no meaning here; texts stand in quotes, and conditions are "
             "joined with and, or, not"};
    return false;
  }
  token.text = text_.substr(at_, size);
  at_ += size;
  return true;
}

size_t Lexer::operator_size() const {
  for (const std::string_view each : {"==", "!=", "<=", ">=", "=~", "=", "<", ">", "~"}) {
    if (text_.substr(at_).starts_with(each)) return each.size();
  }
  return 0;
}

bool Lexer::read_string(Token& token, ConditionError& error) {
  const char quote = text_[at_];
  token.kind = Token::Kind::kString;
  for (size_t i = at_ + 1; i < text_.size(); ++i) {
    if (text_[i] == quote) {
      token.text = text_.substr(at_, i + 1 - at_);
      at_ = i + 1;
      return true;
    }
    const char following = i + 1 < text_.size() ? text_[i + 1] : '\0';
    if (text_[i] == '\\' && (following == quote || following == '\\')) ++i;
    token.value += text_[i];
  }
  error = {at_, "this quote is not closed"};
  return false;
}

}  // namespace tcp_sniffer
