#pragma once

#include <pthread.h>
#include <sched.h>

namespace tcp_sniffer {

// Lets `thread` run on `cpu` alone; -1: leaves it. A CPU that is not there is refused when the
// configuration is checked.
inline void pin_thread(pthread_t thread, int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof(set), &set);
}

}  // namespace tcp_sniffer
