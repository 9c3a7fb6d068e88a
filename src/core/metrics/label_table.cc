#include "core/metrics/label_table.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace tcp_sniffer {

LabelTable::LabelTable(uint32_t sets_max)
    : sets_max_(sets_max),
      sets_(std::make_unique<LabelSet[]>(sets_max)),
      slots_(std::bit_ceil(size_t{2} * std::max(sets_max, 1u))) {}

uint64_t LabelTable::hash_of(std::string_view host, uint8_t method, uint16_t route) {
  return XXH3_64bits_withSeed(host.data(), host.size(), uint64_t{method} << 16 | route);
}

uint32_t LabelTable::find(std::string_view host, uint8_t method, uint16_t route) const {
  const uint64_t hash = hash_of(host, method, route);
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < std::min(kProbesMax, slots_.size()); i++) {
    const uint32_t number = slots_[(hash + i) & mask].load(std::memory_order_acquire);
    if (number == 0) return kNone;
    if (is_same(sets_[number - 1], hash, host, method, route)) return number - 1;
  }
  return kNone;
}

uint32_t LabelTable::add(const HostLabel& host, uint8_t method, uint16_t route, uint32_t detail) {
  uint32_t mine = used_.load(std::memory_order_relaxed);
  do {
    if (mine >= sets_max_) return kNone;
  } while (!used_.compare_exchange_weak(mine, mine + 1, std::memory_order_relaxed));
  LabelSet& set = sets_[mine];
  set.hash = hash_of(host.text(), method, route);
  set.host = host;
  set.method = method;
  set.route = route;
  set.detail = detail;
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < std::min(kProbesMax, slots_.size()); i++) {
    std::atomic<uint32_t>& slot = slots_[(set.hash + i) & mask];
    uint32_t number = 0;
    if (slot.compare_exchange_strong(number, mine + 1, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      return mine;
    }
    if (is_same(sets_[number - 1], set.hash, host.text(), method, route)) return number - 1;
  }
  return kNone;
}

}  // namespace tcp_sniffer
