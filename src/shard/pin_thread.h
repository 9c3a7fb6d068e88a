#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace tcp_sniffer {

// Lets `thread` run on `cpu` alone; -1: leaves it. A CPU that is not there is rejected when
// the configuration is checked.
inline void pin_thread(pthread_t thread, int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof(set), &set);
}

// The CPUs that this process may use (taskset, cpusets), by number. None: that is not known, as on
// a machine with more CPUs than the set has bits, which the kernel refuses.
inline std::bitset<CPU_SETSIZE> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::bitset<CPU_SETSIZE> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (size_t cpu = 0; cpu < cpus.size(); cpu++) cpus[cpu] = CPU_ISSET(cpu, &set) != 0;
  return cpus;
}

// How many they are, at least 1.
inline uint32_t usable_cpu_count() {
  const auto count = static_cast<uint32_t>(usable_cpus().count());
  return count > 0 ? count : std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace tcp_sniffer
