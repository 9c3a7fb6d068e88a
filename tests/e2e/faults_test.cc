// What the system refuses: threads and memory. The run ends as INTERNAL with exit code 70, or it
// does all its work; nothing else, and no line is cut.

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::faults_test {
namespace {

// The ways through the program that differ in their threads.
const std::vector<std::vector<std::string>> kWays = {
    {"-r", kShop, "--shards", "0"},
    {"-r", kShop, "--shards", "2"},
    {"-r", kShop, "--shards", "2", "--overload", "drop"},
    {"-r", "-", "--shards", "2"},
};

// Returns whether it did all its work.
bool runs_or_ends_as_internal(const std::vector<std::string>& limits,
                              std::vector<std::string> arguments, size_t messages) {
  const std::string input =
      arguments[1] == "-" ? content_of(std::filesystem::path(kShop)) : std::string();
  arguments.insert(arguments.end(), {"--format", "ndjson"});
  std::vector<std::string> command = limits;
  for (const std::string& word : sniffer(arguments)) command.push_back(word);
  const Finished run = tcp_sniffer::run(command, input);
  EXPECT_TRUE(run.exit.code == 0 || run.exit.code == 70)
      << run.exit.code << ", signal " << run.exit.signal << ": " << run.err;
  EXPECT_TRUE(all_lines_whole(run.out));
  if (run.exit.code == 0) {
    EXPECT_EQ(lines_of(run.out).size(), messages);
  } else {
    // Two threads may find out at once.
    const std::vector<Json> fatal = events_named(run.err, "fatal");
    EXPECT_FALSE(fatal.empty()) << run.err;
    for (const Json& event : fatal) EXPECT_EQ(event["code"], "INTERNAL");
  }
  return run.exit.code == 0;
}

// Root is not bound by the number of its processes, and another user has others. The check for
// leaks at the end of a run under the address sanitizer needs a thread of its own.
std::vector<std::string> with_threads(int count) {
  std::vector<std::string> limits;
  if (::geteuid() == 0) limits = {"setpriv", "--reuid", "54321", "--clear-groups"};
  limits.insert(limits.end(), {"env", "ASAN_OPTIONS=detect_leaks=0", "prlimit",
                               "--nproc=" + std::to_string(count)});
  return limits;
}

TEST(Faults, AThreadThatTheSystemRefusesEndsTheRunAsInternal) {
  for (const auto& way : kWays) {
    EXPECT_FALSE(runs_or_ends_as_internal(with_threads(1), way, kShopMessages));
    for (int count = 2; count < 9; count++) {
      runs_or_ends_as_internal(with_threads(count), way, kShopMessages);
    }
  }
}

TEST(Faults, MemoryThatTheSystemRefusesEndsTheRunAsInternal) {
  if (kSanitized) GTEST_SKIP() << "sanitizers map more than any limit";
  int refused = 0;
  int done = 0;
  for (const auto& way : kWays) {
    // From where the program can begin at all.
    for (uint64_t mib = 60; mib < 600; mib += mib / 8) {
      const std::vector<std::string> limits = {"prlimit", "--as=" + std::to_string(mib << 20)};
      (runs_or_ends_as_internal(limits, way, kShopMessages) ? done : refused)++;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(done, 0);
}

}  // namespace
}  // namespace tcp_sniffer::faults_test
