// Runs that are rejected or refused before they begin.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::cli_test {
namespace {

TEST(RefusedConfiguration, NamesKeyValueAndWhatIsAllowedAndExitsWith2) {
  struct Refused {
    std::vector<std::string> arguments;
    std::string config;
    std::vector<std::string> says;
  };
  const Refused table[] = {
      {{"--config", "-"}, R"({"portz": [80]})", {"portz"}},
      {{"-r", kShop, "-p", "0"}, "", {"ports", "0", "1", "65535"}},
      {{"-r", kShop, "--sample-rate", "2"}, "", {"sampleRate", "2", "0", "1"}},
      {{"--config", "-"}, R"({"sampleRate": "all", "ports": [80]})", {"sampleRate", "all"}},
      {{"--config", "-"}, R"({"files": ["-"]})", {"files", "-"}},
      {{"--config", "-"}, "{", {}},
      {{"--no-such-flag"}, "", {"no-such-flag"}},
  };
  for (const Refused& refused : table) {
    SCOPED_TRACE(testing::PrintToString(refused.arguments) + refused.config);
    const Finished run = run_sniffer(refused.arguments, refused.config + "\n");
    EXPECT_EQ(run.exit.code, 2);
    const Json fatal = fatal_of(run);
    EXPECT_EQ(fatal["code"], "INVALID_CONFIG");
    for (const std::string& word : refused.says) {
      EXPECT_NE(fatal["message"].get<std::string>().find(word), std::string::npos)
          << word << " in: " << fatal["message"];
    }
  }
}

TEST(RefusedConfiguration, OfTheCpusOnlyThoseThatTheProcessMayUseAreTaken) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  int first = 0;
  while (!CPU_ISSET(first, &set)) first++;
  const std::string usable = std::to_string(first);
  const std::string other = std::to_string(first + 1);
  const auto run_on_first = [&](const std::string& cpus) {
    return run({"taskset", "--cpu-list", usable, TCP_SNIFFER_BINARY, "-r", kShop, "--output",
                "/dev/null", "--pin-cpus", cpus});
  };
  EXPECT_EQ(run_on_first(usable).exit.code, 0);
  const Finished refused = run_on_first(usable + "," + other);
  EXPECT_EQ(refused.exit.code, 2);
  EXPECT_EQ(fatal_of(refused)["message"],
            "pinCpus: " + other + " is no CPU that this process may use; allowed: " + usable);
}

// The engine as a user who may have `threads` threads.
Finished run_with_threads(int threads) {
  const std::string limit = "--nproc=" + std::to_string(threads) + ":" + std::to_string(threads);
  std::vector<std::string> command = {"prlimit", limit, "setpriv", "--reuid=54321",
                                      "--clear-groups"};
  for (const std::string& word : sniffer({"-r", kShop, "--shards", "2"})) command.push_back(word);
  return run(command);
}

TEST(Fault, AThreadThatTheSystemRefusesIsToldAndTheExitCodeIs70) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become a user of one thread";
  if (kSanitized) GTEST_SKIP() << "the sanitizers need threads of their own";
  int threads = 1;
  for (Finished refused = run_with_threads(threads); refused.exit.code == 70;
       refused = run_with_threads(++threads)) {
    ASSERT_LT(threads, 10);
    const Json fatal = fatal_of(refused);
    EXPECT_EQ(fatal["code"], "INTERNAL");
    EXPECT_EQ(fatal["level"], "error");
    EXPECT_TRUE(fatal["message"].get<std::string>().starts_with("a fault of this program: "));
    EXPECT_TRUE(fatal["timestamp"].get<std::string>().ends_with("Z"));
  }
  // Threads of a team are no must: those that there are do the work.
  EXPECT_GT(threads, 1);
  const Finished fewest = run_with_threads(threads);
  EXPECT_EQ(fewest.exit.code, 0) << fewest.err;
  const Finished whole = run_sniffer({"-r", kShop, "--shards", "2"});
  EXPECT_EQ(sorted_lines(fewest.out), sorted_lines(whole.out));
}

}  // namespace
}  // namespace tcp_sniffer::cli_test
