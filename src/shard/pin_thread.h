#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <thread>

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

// How many CPUs this process may use (taskset, cpusets), at least 1.
inline uint32_t usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) {
    return std::max(1u, std::thread::hardware_concurrency());
  }
  return std::max(1u, static_cast<uint32_t>(CPU_COUNT(&set)));
}

}  // namespace tcp_sniffer
