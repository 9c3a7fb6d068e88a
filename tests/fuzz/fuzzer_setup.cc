// Under libFuzzer: an expectation that fails ends the process, which libFuzzer takes for a crash.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdlib>

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments);

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  (void)count;
  (void)arguments;
  ::signal(SIGPIPE, SIG_IGN);
  // GoogleTest stops with a breakpoint, which libFuzzer does not take for a crash.
  ::signal(SIGTRAP, [](int) { std::abort(); });
  // To clear a huge page for each shard would take longer than most inputs.
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}
