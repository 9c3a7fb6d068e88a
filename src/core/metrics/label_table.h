#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/metrics/host_label.h"

namespace tcp_sniffer {

// What makes one set of labels another one than the next, and what is known of it.
struct LabelSet {
  uint64_t hash = 0;
  HostLabel host;
  uint8_t method = 0;
  uint16_t route = 0;
  uint32_t detail = 0;              // only the owner uses it
  std::atomic<uint8_t> classes{0};  // only the owner uses it
};

// Sets of labels by number, in a table of a fixed size to which sets are only added. Any thread may
// look and add at any time, and none waits for another: a set is complete before its number stands
// in the table, where it stays. When two threads add the same set at once, one of the two numbers
// is left unused.
class LabelTable {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  explicit LabelTable(uint32_t sets_max);

  bool is_full() const { return used_.load(std::memory_order_relaxed) >= sets_max_; }
  // kNone: it is not there.
  uint32_t find(std::string_view host, uint8_t method, uint16_t route) const;
  // The number it has then, whoever added it. kNone: there is no room.
  uint32_t add(const HostLabel& host, uint8_t method, uint16_t route, uint32_t detail);

  LabelSet& operator[](uint32_t number) { return sets_[number]; }
  const LabelSet& operator[](uint32_t number) const { return sets_[number]; }

  // Those that are there, in no order.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const std::atomic<uint32_t>& slot : slots_) {
      const uint32_t number = slot.load(std::memory_order_acquire);
      if (number != 0) visit(number - 1, sets_[number - 1]);
    }
  }

 private:
  // Half of the slots are empty at least, so that a longer search means that somebody chose hosts
  // whose hashes are alike. They have no place then.
  static constexpr size_t kProbesMax = 64;

  static uint64_t hash_of(std::string_view host, uint8_t method, uint16_t route);
  static bool is_same(const LabelSet& set, uint64_t hash, std::string_view host, uint8_t method,
                      uint16_t route) {
    return set.hash == hash && set.method == method && set.route == route &&
           set.host.text() == host;
  }

  const uint32_t sets_max_;
  std::atomic<uint32_t> used_{0};
  std::unique_ptr<LabelSet[]> sets_;
  std::vector<std::atomic<uint32_t>> slots_;  // 0 or a set's number + 1
};

}  // namespace tcp_sniffer
