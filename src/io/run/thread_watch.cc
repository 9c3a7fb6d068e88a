#include "io/run/thread_watch.h"

namespace tcp_sniffer {

std::vector<std::string> ThreadWatch::look(const std::vector<ThreadSight>& seen,
                                           Clock::time_point now) {
  std::vector<std::string> still;
  for (const ThreadSight& thread : seen) {
    Last& last = last_.try_emplace(thread.name, Last{thread.beats, now}).first->second;
    if (last.beats != thread.beats) last = {thread.beats, now};
    if (now - last.at >= kPatience) still.push_back(thread.name);
  }
  return still;
}

}  // namespace tcp_sniffer
