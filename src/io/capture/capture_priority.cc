#include "io/capture/capture_priority.h"

#include <sys/resource.h>

namespace tcp_sniffer {

void keep_right_to_raise_priority() {
  // getrlimit(2): the nice value may be lowered to 20 - rlim_cur.
  constexpr rlim_t kWanted = 20 - kCaptureNice;
  rlimit limit{};
  if (getrlimit(RLIMIT_NICE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = kWanted;
  if (limit.rlim_max < kWanted) limit.rlim_max = kWanted;
  setrlimit(RLIMIT_NICE, &limit);
}

void raise_capture_priority() {
  // On Linux a nice value belongs to a thread, and 0 names the calling one.
  if (getpriority(PRIO_PROCESS, 0) == 0) setpriority(PRIO_PROCESS, 0, kCaptureNice);
}

}  // namespace tcp_sniffer
