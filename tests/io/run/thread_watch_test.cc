#include "io/run/thread_watch.h"

#include <gtest/gtest.h>

namespace tcp_sniffer::thread_watch_test {
namespace {

using std::chrono::milliseconds;
using Names = std::vector<std::string>;
const auto kStart = ThreadWatch::Clock::time_point(std::chrono::hours(1));

TEST(ThreadWatch, NamesThreadsThatHaveNotBeatenForItsPatience) {
  ThreadWatch watch;
  EXPECT_EQ(watch.look({{"a", 0}, {"b", 5}}, kStart), Names());
  const auto just_before = kStart + ThreadWatch::kPatience - milliseconds(1);
  EXPECT_EQ(watch.look({{"a", 0}, {"b", 6}}, just_before), Names());
  EXPECT_EQ(watch.look({{"a", 0}, {"b", 6}}, just_before + milliseconds(1)), Names({"a"}));
  EXPECT_EQ(watch.look({{"a", 0}, {"b", 6}}, just_before + ThreadWatch::kPatience),
            Names({"a", "b"}));
}

TEST(ThreadWatch, AThreadThatGoesOnIsNoLongerNamed) {
  ThreadWatch watch;
  watch.look({{"a", 1}}, kStart);
  const auto late = kStart + 2 * ThreadWatch::kPatience;
  EXPECT_EQ(watch.look({{"a", 1}}, late), Names({"a"}));
  EXPECT_EQ(watch.look({{"a", 2}}, late + milliseconds(1)), Names());
}

TEST(ThreadWatch, AThreadThatHasEndedIsNotNamed) {
  ThreadWatch watch;
  watch.look({{"a", 1}, {"b", 1}}, kStart);
  EXPECT_EQ(watch.look({{"b", 1}}, kStart + ThreadWatch::kPatience), Names({"b"}));
}

}  // namespace
}  // namespace tcp_sniffer::thread_watch_test
