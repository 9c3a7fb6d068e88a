#include "core/where/glob.h"

#include <algorithm>

#include "core/base/text_encoding.h"

namespace tcp_sniffer {

bool matches_glob(std::string_view pattern, std::string_view text) {
  size_t at_pattern = 0;
  size_t at = 0;
  // Where to go on when the rest does not match: after the last star, which takes one byte more.
  size_t behind_star = std::string_view::npos;
  size_t star_end = 0;
  while (at < text.size()) {
    if (at_pattern < pattern.size() && pattern[at_pattern] == '*') {
      behind_star = ++at_pattern;
      star_end = at;
      continue;
    }
    if (at_pattern < pattern.size() && pattern[at_pattern] == '?') {
      at += std::max<size_t>(1, first_character(text.substr(at)).size);
      at_pattern++;
      continue;
    }
    if (at_pattern < pattern.size() && pattern[at_pattern] == text[at]) {
      at++;
      at_pattern++;
      continue;
    }
    if (behind_star == std::string_view::npos) return false;
    at_pattern = behind_star;
    at = ++star_end;
  }
  while (at_pattern < pattern.size() && pattern[at_pattern] == '*') at_pattern++;
  return at_pattern == pattern.size();
}

}  // namespace tcp_sniffer
