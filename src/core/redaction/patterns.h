#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/redaction/spans.h"

namespace re2 {
class RE2;
}

namespace tcp_sniffer {

// Expressions of values that must not be shown (`redactPattern`), whatever they are called. RE2's
// time is linear in the text, whatever the wire sends, and its memory is bounded by kMemoryMax for
// each expression. One per shard.
class Patterns {
 public:
  static constexpr int kMemoryMax = 8 << 20;

  explicit Patterns(const std::vector<std::string>& expressions);
  ~Patterns();

  // Empty: the expression is valid; else what is wrong with it.
  static std::string fault_of(const std::string& expression);

  bool empty() const { return patterns_.empty(); }
  // Adds each match that is not empty. `is_cut`: more of the text follows that is not here, so a
  // match may begin in its last word, which is added, too.
  void scan(std::string_view text, bool is_cut, Spans& spans) const;
  bool match(std::string_view text) const;
  // Adds what lies between two quotes when it matches without its backslashes.
  void scan_escaped(std::string_view text, Spans& spans);

 private:
  std::vector<std::unique_ptr<re2::RE2>> patterns_;
  std::string unescaped_;
};

}  // namespace tcp_sniffer
