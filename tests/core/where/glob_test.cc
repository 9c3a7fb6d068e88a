#include "core/where/glob.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <string_view>

namespace tcp_sniffer::glob_test {
namespace {

TEST(Glob, MatchesAsTheObviousRecursionDoes) {
  const std::function<bool(std::string_view, std::string_view)> obvious =
      [&](std::string_view pattern, std::string_view text) -> bool {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '*') {
      for (size_t i = 0; i <= text.size(); ++i) {
        if (obvious(pattern.substr(1), text.substr(i))) return true;
      }
      return false;
    }
    return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
           obvious(pattern.substr(1), text.substr(1));
  };
  std::mt19937 random(5);
  const auto word = [&](std::string_view letters) {
    std::string text;
    for (size_t i = random() % 9; i > 0; --i) text += letters[random() % letters.size()];
    return text;
  };
  for (int i = 0; i < 20000; ++i) {
    const std::string pattern = word("ab*?");
    const std::string text = word("ab");
    ASSERT_EQ(matches_glob(pattern, text), obvious(pattern, text)) << pattern << " " << text;
  }
  EXPECT_TRUE(matches_glob("?", "\u00e9"));
  EXPECT_TRUE(matches_glob("a?c",
                           "a\xff"
                           "c"));
  // Backtracking stays polynomial.
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "*a";
  EXPECT_FALSE(matches_glob(stars + "b", std::string(20000, 'a')));
}

}  // namespace
}  // namespace tcp_sniffer::glob_test
