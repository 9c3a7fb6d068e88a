// A skip that nobody allowed fails where TCP_SNIFFER_FAIL_ON_SKIP is set.

#include "support/allowed_skips.h"

#include <gtest/gtest.h>

#include "support/run_program.h"

namespace tcp_sniffer::allowed_skips_test {
namespace {

TEST(AllowedSkips, EveryLineOfTheListHasATestAMessageAndAReason) {
  const auto allowed =
      parse_allowed_skips(content_of(source_dir() / "tests" / "allowed_skips.txt"));
  EXPECT_FALSE(allowed.empty());
  for (const AllowedSkip& skip : allowed) {
    EXPECT_FALSE(skip.message.empty()) << skip.test;
    EXPECT_FALSE(skip.reason.empty()) << skip.test;
  }
}

TEST(AllowedSkips, TestAndMessageMustBothFit) {
  const auto allowed =
      parse_allowed_skips("# a comment\n\nLive.* | no cable | hardware\nOther.One|no reason\n");
  ASSERT_EQ(allowed.size(), 2u);
  EXPECT_TRUE(is_allowed_skip(allowed, "Live.Delay", "there is no cable here"));
  EXPECT_FALSE(is_allowed_skip(allowed, "Live.Delay", "nginx is not installed"));
  EXPECT_FALSE(is_allowed_skip(allowed, "Alive.Delay", "no cable"));
  EXPECT_FALSE(is_allowed_skip(allowed, "Other.One", "no reason"));
}

// Skipped only when the test below asks for it.
TEST(AllowedSkips, IsSkippedOnDemand) {
  if (std::getenv("TCP_SNIFFER_SKIP_NOW") != nullptr) GTEST_SKIP() << "on demand";
}

TEST(AllowedSkips, IsNeverSkipped) {}

// This program with the tests `names` of this suite.
Finished run_skipping(const std::string& names, const std::string& variable,
                      const std::string& argument) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  return run({"env", "-u", "TCP_SNIFFER_FAIL_ON_SKIP", variable, "TCP_SNIFFER_SKIP_NOW=1", self,
              "--gtest_filter=AllowedSkips." + names, argument});
}

TEST(AllowedSkips, AnUnlistedSkipFailsOnlyWhereItIsAskedFor) {
  const Finished quiet = run_skipping("IsSkippedOnDemand", "A=", "");
  EXPECT_EQ(quiet.exit.code, 0);
  EXPECT_NE(quiet.out.find("[  SKIPPED ]"), std::string::npos) << quiet.out;
  const Finished strict =
      run_skipping("IsSkippedOnDemand", "TCP_SNIFFER_FAIL_ON_SKIP=1", "--exit-77-when-skipped");
  EXPECT_EQ(strict.exit.code, 1);
  EXPECT_NE(strict.out.find("does not allow it: on demand"), std::string::npos) << strict.out;
}

// ctest takes a suite for skipped only when all of it was.
TEST(AllowedSkips, ARunThatWasSkippedWholeSaysSoWhenAsked) {
  const std::string flag = "--exit-77-when-skipped";
  EXPECT_EQ(run_skipping("IsSkippedOnDemand", "A=", flag).exit.code, 77);
  EXPECT_EQ(run_skipping("Is*", "A=", flag).exit.code, 0);
  EXPECT_EQ(run_skipping("IsNeverSkipped", "A=", flag).exit.code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::allowed_skips_test
