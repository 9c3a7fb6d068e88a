#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace tcp_sniffer {

// Published figures of a run that follows captures. One thread counts, any reads.
// In sum: found = read + skipped + missed + waiting.
struct FollowCounters {
  std::atomic<uint64_t> found{0};
  std::atomic<uint64_t> read{0};
  std::atomic<uint64_t> skipped{0};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> waiting{0};
  std::atomic<uint64_t> damaged{0};
  std::atomic<uint64_t> cut{0};
  std::atomic<uint64_t> bytes{0};
};

struct FollowCounterInfo {
  std::string_view label;
  std::string_view meaning;
  std::atomic<uint64_t> FollowCounters::*counter;
  bool is_gauge = false;
};

constexpr FollowCounterInfo kFollowCounters[] = {
    {"found", "files and connections, and new content in the place of old", &FollowCounters::found},
    {"read", "of these, begun", &FollowCounters::read},
    {"skipped", "no capture, without a packet, or a compressed copy of one that was read",
     &FollowCounters::skipped},
    {"missed", "deleted or written over before they were begun", &FollowCounters::missed},
    {"waiting", "not begun yet", &FollowCounters::waiting, true},
    {"damaged", "of those begun, given up where they were damaged", &FollowCounters::damaged},
    {"cut", "of those begun, ended inside a packet", &FollowCounters::cut},
    {"bytes", "read, as they are stored or sent", &FollowCounters::bytes},
};

using FollowCounterValues = std::array<uint64_t, std::size(kFollowCounters)>;

// In the order of kFollowCounters. Any thread.
inline FollowCounterValues values_of(const FollowCounters& counters) {
  FollowCounterValues values{};
  for (size_t i = 0; i < values.size(); i++) {
    values[i] = (counters.*kFollowCounters[i].counter).load(std::memory_order_relaxed);
  }
  return values;
}

inline void count(std::atomic<uint64_t>& counter, uint64_t more = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace tcp_sniffer
