#include "core/http/exchanges.h"

#include <new>

namespace tcp_sniffer {

Exchange* ExchangeRing::push(uint32_t size_max) {
  if (size() >= size_max) return nullptr;
  if (size() == capacity() && !grow()) return nullptr;
  http_.exchange_count++;
  return new (&back()) Exchange;
}

bool ExchangeRing::grow() {
  const size_t wanted = size() == 0 ? BufferPool::kSizeMin : http_.exchanges.capacity * 2;
  Buffer larger = pool_.allocate(wanted);
  if (!larger) return false;
  auto* to = reinterpret_cast<Exchange*>(larger.data);
  for (uint32_t i = 0; i < size(); i++) new (to + i) Exchange(at(i));
  pool_.release(http_.exchanges);
  http_.exchanges = larger;
  http_.first_exchange = 0;
  return true;
}

void ExchangeRing::pop_front() {
  front().text.release(pool_);
  http_.first_exchange = static_cast<uint16_t>((http_.first_exchange + 1) & (capacity() - 1));
  if (--http_.exchange_count == 0) {
    pool_.release(http_.exchanges);
    http_.first_exchange = 0;
  }
}

void ExchangeRing::clear() {
  while (!empty()) pop_front();
}

}  // namespace tcp_sniffer
