// A thread of the program that never comes back: it is stopped as a debugger stops it, wherever it
// is. The second signal ends the process all the same, and the last line is whole.

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "support/held_thread.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::stuck_thread_test {
namespace {

using namespace std::chrono_literals;

struct Case {
  std::string thread;  // as the program names it
  std::vector<std::string> arguments;
};

void end_beside(const Case& stuck) {
  SCOPED_TRACE(stuck.thread + " stuck, with --shards " + stuck.arguments[1]);
  Running running(stuck.arguments, many_exchanges(20000));
  std::string text = read_all(running.out(), [](const std::string& so_far) {
    return std::count(so_far.begin(), so_far.end(), '\n') >= 100;
  });
  const pid_t thread = thread_named(running.child().pid(), stuck.thread);
  ASSERT_NE(thread, 0);
  const Held held(thread);
  ASSERT_TRUE(held.held());
  std::thread reader([&] { text += read_all(running.out()); });
  running.child().signal(SIGINT);
  running.child().signal(SIGTERM);
  Exit exit;
  for (int i = 0; i < 300; i++) {
    exit = running.child().wait(100ms);
    if (exit.in_time) break;
    held.look();
  }
  reader.join();
  EXPECT_TRUE(exit.in_time) << "it goes on";
  EXPECT_EQ(exit.code, 0) << "signal " << exit.signal;
  EXPECT_TRUE(all_lines_whole(text));
  const Json stopped = event_named(running.said(), "stopped");
  EXPECT_FALSE(stopped["deterministic"]);
  EXPECT_TRUE(stopped.contains("unfinished")) << stopped.dump();
}

TEST(StuckThread, TheSecondSignalEndsTheProcessAndCutsNoLine) {
  // The process ends beside a thread that it cannot join, which the thread sanitizer reports.
  const char* options = std::getenv("TSAN_OPTIONS");
  if (options != nullptr) {
    ::setenv("TSAN_OPTIONS", (std::string(options) + ":report_thread_leaks=0").c_str(), 1);
  }
  for (const Case& stuck : std::vector<Case>{{"capture", {"--shards", "0"}},
                                             {"capture", {"--shards", "2"}},
                                             {"shard", {"--shards", "2"}},
                                             {"writer", {"--shards", "0"}},
                                             {"writer", {"--shards", "2"}},
                                             {"tcp-sniffer", {"--shards", "1"}}}) {
    end_beside(stuck);
  }
}

}  // namespace
}  // namespace tcp_sniffer::stuck_thread_test
