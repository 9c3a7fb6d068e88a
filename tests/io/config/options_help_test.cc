#include "io/config/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace tcp_sniffer::options_help_test {
namespace {

TEST(OptionsTest, HelpFitsEightyColumnsAndNamesEveryFlag) {
  const std::string help = help_text();
  size_t column = 0;
  for (const char c : help) {
    column = c == '\n' ? 0 : column + 1;
    ASSERT_LE(column, 80u);
  }
  for (const KeySpec& key : config_keys()) {
    const std::string flag = (is_boolean(key) ? "--[no-]" : "--") + flag_name(key.name);
    EXPECT_NE(help.find(" " + flag), std::string::npos) << flag;
  }
}

TEST(OptionsTest, TheShortHelpFitsASmallTerminalAndNamesOnlyFlagsThatExist) {
  const std::string help = short_help_text();
  EXPECT_LT(std::count(help.begin(), help.end(), '\n'), 24);
  size_t column = 0;
  for (const char c : help) {
    column = c == '\n' ? 0 : column + 1;
    ASSERT_LE(column, 80u);
  }
  for (size_t at = help.find("--"); at != std::string::npos; at = help.find("--", at + 2)) {
    const std::string flag = help.substr(at, help.find_first_of(" \n", at) - at);
    const std::string all = help_text();
    EXPECT_TRUE(all.find(" " + flag) != std::string::npos ||
                all.find(" --[no-]" + flag.substr(2)) != std::string::npos)
        << flag;
  }
}

TEST(OptionsTest, TheMarkdownHasOneTableAGroupAndOneRowAKey) {
  const std::string text = keys_markdown();
  size_t rows = 0;
  for (const KeyGroup group : kKeyGroups) {
    const size_t begin = text.find("## " + std::string(group_title(group)) + "\n\n| key |");
    ASSERT_NE(begin, std::string::npos) << group_title(group);
    const std::string table = text.substr(begin, text.find("\n\n## ", begin) - begin);
    for (const KeySpec& key : config_keys()) {
      if (key.group != group) continue;
      EXPECT_NE(table.find("\n| `" + std::string(key.name) + "` | "), std::string::npos)
          << key.name;
      ++rows;
    }
  }
  EXPECT_EQ(rows, config_keys().size());
  EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')),
            rows + 5 * std::size(kKeyGroups) - 1);
}

}  // namespace
}  // namespace tcp_sniffer::options_help_test
