#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tcp_sniffer {

// What is seen of a thread that has not ended: how often its Pulse has beaten. A thread that waits
// for another one, which is judged itself, counts the beats of that wait, too.
struct ThreadSight {
  std::string name;
  uint64_t beats = 0;
};

// Finds the threads that stand still: those whose pulse has not beaten for kPatience.
class ThreadWatch {
 public:
  using Clock = std::chrono::steady_clock;
  // Three of kPulse, because a busy machine may keep a thread from running for a while.
  static constexpr std::chrono::milliseconds kPatience{3000};

  // The names of those that stand still. `seen` has every thread that has not ended.
  std::vector<std::string> look(const std::vector<ThreadSight>& seen, Clock::time_point now);

 private:
  struct Last {
    uint64_t beats;
    Clock::time_point at;  // the first look that saw so many
  };
  std::map<std::string, Last> last_;
};

}  // namespace tcp_sniffer
