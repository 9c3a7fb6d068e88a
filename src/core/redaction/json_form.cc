#include "core/redaction/json_form.h"

#include <algorithm>
#include <bitset>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

// Reads a text from its beginning. Each function takes one part of the text off its front; kBegun:
// the text ends in it.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  JsonForm read() {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
    if (text_.starts_with(")]}'")) text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
    for (;;) {
      text_.remove_prefix(std::min(text_.find_first_not_of(kSpace), text_.size()));
      if (text_.empty()) {
        return depth_ == 0 && next_ == Next::kValue ? JsonForm::kWhole : JsonForm::kBegun;
      }
      const JsonForm form = step();
      if (form != JsonForm::kWhole) return form;
    }
  }

 private:
  enum class Next : uint8_t { kValue, kFirstValue, kKey, kFirstKey, kColon, kComma };

  JsonForm step() {
    const char c = text_.front();
    switch (next_) {
      case Next::kFirstKey:
      case Next::kKey:
        if (c == '}' && next_ == Next::kFirstKey) return close();
        next_ = Next::kColon;
        return c == '"' ? string() : JsonForm::kNone;
      case Next::kColon:
        next_ = Next::kValue;
        return sign(':');
      case Next::kComma:
        if (c == (is_object_[depth_ - 1] ? '}' : ']')) return close();
        next_ = is_object_[depth_ - 1] ? Next::kKey : Next::kValue;
        return sign(',');
      case Next::kFirstValue:
      case Next::kValue:
        if (c == ']' && next_ == Next::kFirstValue) return close();
        if (c == '{' || c == '[') return open(c == '{');
        value_is_over();
        return c == '"' ? string() : word();
    }
    return JsonForm::kNone;
  }

  JsonForm sign(char c) {
    if (text_.front() != c) return JsonForm::kNone;
    text_.remove_prefix(1);
    return JsonForm::kWhole;
  }

  JsonForm open(bool is_object) {
    if (depth_ == kJsonDepthMax) return JsonForm::kNone;
    is_object_[depth_++] = is_object;
    next_ = is_object ? Next::kFirstKey : Next::kFirstValue;
    text_.remove_prefix(1);
    return JsonForm::kWhole;
  }

  JsonForm close() {
    --depth_;
    value_is_over();
    text_.remove_prefix(1);
    return JsonForm::kWhole;
  }

  void value_is_over() { next_ = depth_ == 0 ? Next::kValue : Next::kComma; }

  JsonForm string() {
    for (size_t at = 1; at < text_.size(); ++at) {
      if (static_cast<unsigned char>(text_[at]) < ' ') return JsonForm::kNone;
      if (text_[at] == '"') {
        text_.remove_prefix(at + 1);
        return JsonForm::kWhole;
      }
      if (text_[at] != '\\') continue;
      if (++at == text_.size()) break;
      if (std::string_view("\"\\/bfnrtu").find(text_[at]) == kNotFound) return JsonForm::kNone;
      for (size_t left = text_[at] == 'u' ? 4 : 0; left > 0; --left) {
        if (++at == text_.size()) return JsonForm::kBegun;
        if (hex_value(text_[at]) < 0) return JsonForm::kNone;
      }
    }
    return JsonForm::kBegun;
  }

  // A number or a literal.
  JsonForm word() {
    const auto is_sign = [](char c) {
      return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
    };
    const auto size =
        static_cast<size_t>(std::find_if_not(text_.begin(), text_.end(), is_sign) - text_.begin());
    const std::string_view word = text_.substr(0, size);
    if (size == text_.size() && depth_ > 0) return JsonForm::kBegun;
    text_.remove_prefix(size);
    const bool is_literal = word == "true" || word == "false" || word == "null";
    return is_literal || is_number(word) ? JsonForm::kWhole : JsonForm::kNone;
  }

  static bool is_number(std::string_view word) {
    const auto take_digits = [&] {
      const size_t size = std::min(word.find_first_not_of("0123456789"), word.size());
      word.remove_prefix(size);
      return size > 0;
    };
    if (word.starts_with('-')) word.remove_prefix(1);
    if (!take_digits()) return false;
    if (word.starts_with('.')) {
      word.remove_prefix(1);
      if (!take_digits()) return false;
    }
    if (word.starts_with('e') || word.starts_with('E')) {
      word.remove_prefix(1);
      if (word.starts_with('+') || word.starts_with('-')) word.remove_prefix(1);
      if (!take_digits()) return false;
    }
    return word.empty();
  }

  std::string_view text_;
  std::bitset<kJsonDepthMax> is_object_;  // else an array
  size_t depth_ = 0;
  Next next_ = Next::kValue;
};

}  // namespace

JsonForm json_form(std::string_view text) {
  return JsonReader(text).read();
}

}  // namespace tcp_sniffer
