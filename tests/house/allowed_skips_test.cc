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

TEST(AllowedSkips, AnUnlistedSkipFailsOnlyWhereItIsAskedFor) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const auto run_skipped = [&](std::vector<std::string> environment) {
    environment.insert(environment.begin(), {"env", "-u", "TCP_SNIFFER_FAIL_ON_SKIP"});
    environment.insert(environment.end(), {"TCP_SNIFFER_SKIP_NOW=1", self,
                                           "--gtest_filter=AllowedSkips.IsSkippedOnDemand"});
    return run(environment);
  };
  const Finished quiet = run_skipped({});
  EXPECT_EQ(quiet.exit.code, 0);
  EXPECT_NE(quiet.out.find("[  SKIPPED ]"), std::string::npos) << quiet.out;
  // ctest takes a test with these words for skipped, whatever its exit code.
  const Finished strict = run_skipped({"TCP_SNIFFER_FAIL_ON_SKIP=1"});
  EXPECT_EQ(strict.exit.code, 1);
  EXPECT_EQ(strict.out.find("[  SKIPPED ]"), std::string::npos) << strict.out;
  EXPECT_NE(strict.out.find("does not allow it: on demand"), std::string::npos) << strict.out;
}

}  // namespace
}  // namespace tcp_sniffer::allowed_skips_test
