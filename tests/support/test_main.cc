// The main function of every test program. Where TCP_SNIFFER_FAIL_ON_SKIP is set, as in CI, a test
// that was skipped fails, unless tests/allowed_skips.txt says that it may be. With the argument
// --exit-77-when-skipped, as ctest calls it, the exit code is 77 when all tests were skipped.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/allowed_skips.h"

namespace tcp_sniffer {
namespace {

// GoogleTest calls OnTestEnd of the listener that was added last first, so the failure is there
// before the result is printed.
class SkipsFail final : public testing::EmptyTestEventListener {
 public:
  explicit SkipsFail(std::vector<AllowedSkip> allowed) : allowed_(std::move(allowed)) {}

  void OnTestEnd(const testing::TestInfo& test) override {
    const testing::TestResult& result = *test.result();
    if (!result.Skipped()) return;
    std::string said;
    for (int i = 0; i < result.total_part_count(); i++) {
      const testing::TestPartResult& part = result.GetTestPartResult(i);
      if (part.skipped()) said += part.message();
    }
    // A parametrised suite is called PREFIX/SUITE.
    std::string name = std::string(test.test_suite_name()) + "." + test.name();
    const size_t prefix_end = name.find('/');
    if (prefix_end < name.find('.')) name.erase(0, prefix_end + 1);
    if (is_allowed_skip(allowed_, name, said)) return;
    ADD_FAILURE() << name
                  << " was skipped, and tests/allowed_skips.txt does not allow it: " << said;
  }

 private:
  std::vector<AllowedSkip> allowed_;
};

void make_skips_fail() {
  std::ifstream list(TCP_SNIFFER_SOURCE_DIR "/tests/allowed_skips.txt");
  const std::string text{std::istreambuf_iterator<char>(list), {}};
  testing::UnitTest::GetInstance()->listeners().Append(new SkipsFail(parse_allowed_skips(text)));
}

}  // namespace
}  // namespace tcp_sniffer

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  if (std::getenv("TCP_SNIFFER_FAIL_ON_SKIP") != nullptr) tcp_sniffer::make_skips_fail();
  const int code = RUN_ALL_TESTS();
  const testing::UnitTest& run = *testing::UnitTest::GetInstance();
  const bool skipped =
      run.test_to_run_count() > 0 && run.skipped_test_count() == run.test_to_run_count();
  const bool tells = count > 1 && std::string_view(arguments[1]) == "--exit-77-when-skipped";
  return code == 0 && skipped && tells ? 77 : code;
}
