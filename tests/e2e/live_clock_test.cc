// The machine's clock is set while a live run goes on.

#include <poll.h>
#include <time.h>

#include <sys/wait.h>

#include <chrono>
#include <utility>

#include "support/live_lab.h"

namespace tcp_sniffer::live_clock_test {
namespace {

using namespace std::chrono_literals;

int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool set_realtime(int64_t to_ns) {
  const timespec to{to_ns / 1'000'000'000, to_ns % 1'000'000'000};
  return clock_settime(CLOCK_REALTIME, &to) == 0;
}

// What the time of day is ahead of the time since boot, which nobody can set.
int64_t ahead_of_boot_ns() {
  return read_ns(CLOCK_REALTIME) - read_ns(CLOCK_BOOTTIME);
}

// Sets the time of day ahead, and back by the time that has really passed: in the destructor, and
// whatever happens to the test. A process of its own does it, which the end of the test, a crash
// and a signal to the test's group wake alike, and one minute.
class SteppedClock {
 public:
  explicit SteppedClock(std::chrono::nanoseconds step) {
    const int64_t ahead_ns = ahead_of_boot_ns();
    Pipe pipe = make_pipe();
    alive_ = std::move(pipe.write_end);
    guard_ = ::fork();
    if (guard_ == 0) {
      ::setsid();
      alive_.reset();
      pollfd ended{pipe.read_end.get(), POLLIN, 0};
      ::poll(&ended, 1, 60'000);
      ::_exit(set_realtime(read_ns(CLOCK_BOOTTIME) + ahead_ns) ? 0 : 1);
    }
    is_set_ = guard_ > 0 && set_realtime(read_ns(CLOCK_REALTIME) + step.count());
  }
  ~SteppedClock() {
    alive_.reset();
    int status = 1;
    if (guard_ > 0) ::waitpid(guard_, &status, 0);
    if (is_set_) {
      EXPECT_EQ(status, 0) << "THE MACHINE'S CLOCK IS STILL WRONG";
    }
  }
  SteppedClock(const SteppedClock&) = delete;
  SteppedClock& operator=(const SteppedClock&) = delete;

  // False: the right to set the clock is missing.
  bool is_set() const { return is_set_; }

 private:
  Descriptor alive_;
  pid_t guard_ = -1;
  bool is_set_ = false;
};

class LiveClock : public LiveLab {
 protected:
  std::unique_ptr<LoadClient> connect(uint64_t exchanges) {
    Load load;
    load.connections = 1;
    load.exchanges = exchanges;
    std::unique_ptr<LoadClient> client;
    client_.run([&] { client = std::make_unique<LoadClient>(load); });
    return client;
  }
};

// TCP_SNIFFER_TEST_CLOCK=1 asks for it: for some seconds the whole machine is an hour ahead.
TEST_F(LiveClock, AnHourForthAndBackEndsNoConnectionAndLosesNoMessage) {
  if (IsSkipped()) return;
  if (std::getenv("TCP_SNIFFER_TEST_CLOCK") == nullptr) {
    GTEST_SKIP() << "TCP_SNIFFER_TEST_CLOCK is not set: this test sets the machine's clock";
  }
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  const int64_t ahead_ns = ahead_of_boot_ns();
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--stats-interval-ms", "500"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  const auto has_lines = [&](uint64_t count) {
    return until([&] { return sniffer.lines() >= count; }) && sniffer.lines() == count;
  };
  // It has looked at the clock without a packet: what has the time of the machine alone must not
  // believe it.
  const auto looked = [&] { return sniffer.wait_for("stats", sniffer.events("stats").size() + 2); };
  // Far more than the 16 packets after which a step is believed.
  const std::unique_ptr<LoadClient> busy = connect(20);
  const std::unique_ptr<LoadClient> silent = connect(1);
  EXPECT_EQ(busy->run().exchanges, 20u);
  EXPECT_EQ(silent->run().exchanges, 1u);
  EXPECT_TRUE(has_lines(42));
  {
    const SteppedClock ahead(1h);
    if (!ahead.is_set()) GTEST_SKIP() << "the right to set the clock is missing";
    EXPECT_GT(ahead_of_boot_ns() - ahead_ns, 3'599'000'000'000);
    EXPECT_TRUE(looked());
    EXPECT_EQ(busy->run().exchanges, 20u);
    EXPECT_TRUE(has_lines(82)) << sniffer.lines();
  }
  EXPECT_LT(std::abs(ahead_of_boot_ns() - ahead_ns), 100'000'000)
      << "the clock must be right again";
  EXPECT_TRUE(looked());
  EXPECT_EQ(busy->run().exchanges, 20u);
  EXPECT_EQ(silent->run().exchanges, 1u);
  EXPECT_TRUE(has_lines(124)) << sniffer.lines();

  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 124u);
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  expect_no_drops(stopped);
  EXPECT_EQ(stopped["capture"]["clock_jumps"], 2) << "there and back";
  EXPECT_EQ(stopped["connections"]["opened"], 2);
  EXPECT_EQ(stopped["connections"]["idle"], 0);
  EXPECT_EQ(stopped["connections"]["evicted"], 0);
  EXPECT_EQ(stopped["connections"]["drained"], 2) << "both are open to the end";
}

}  // namespace
}  // namespace tcp_sniffer::live_clock_test
