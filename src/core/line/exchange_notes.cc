#include "core/line/exchange_notes.h"

#include <algorithm>
#include <functional>

namespace tcp_sniffer {

template <size_t kMax>
void ExchangeNotes::CutText<kMax>::set(std::string_view text) {
  static_assert(kMax <= UINT8_MAX);
  size = static_cast<uint8_t>(std::min(text.size(), kMax));
  std::copy_n(text.begin(), size, bytes.begin());
}

ExchangeNotes::ExchangeNotes() : hosts_(kPlaces) {}

void ExchangeNotes::add(const Message& response) {
  const bool is_slow =
      response.has_latency &&
      (slowest_size_ < kSlowestMax || response.latency_ns > slowest_[slowest_size_ - 1].latency_ns);
  if (is_slow) {
    Slow slow;
    slow.latency_ns = response.latency_ns;
    slow.status = response.status;
    slow.method.set(response.request_method);
    slow.host.set(response.request_host);
    slow.target.set(response.request_target);
    add_slow(slow);
  }
  Host& host = host_of(response.request_host.empty() ? "-" : response.request_host);
  host.exchanges++;
  if (response.status >= 500) host.errors++;
  if (response.has_latency) host.slowest_ns = std::max(host.slowest_ns, response.latency_ns);
}

void ExchangeNotes::add(const ExchangeNotes& other) {
  for (const Slow& slow : other.slowest()) add_slow(slow);
  for (const Host& host : other.hosts_) {
    if (host.name.size > 0) add_to(host_of(host.name.view()), host);
  }
  add_to(others_, other.others_);
}

void ExchangeNotes::add_to(Host& host, const Host& more) {
  host.exchanges += more.exchanges;
  host.errors += more.errors;
  host.slowest_ns = std::max(host.slowest_ns, more.slowest_ns);
}

// In its place, and the fastest of them leaves.
void ExchangeNotes::add_slow(const Slow& slow) {
  size_t at = slowest_size_;
  while (at > 0 && slowest_[at - 1].latency_ns < slow.latency_ns) --at;
  if (at == kSlowestMax) return;
  if (slowest_size_ < kSlowestMax) ++slowest_size_;
  std::copy_backward(slowest_.begin() + static_cast<ptrdiff_t>(at),
                     slowest_.begin() + static_cast<ptrdiff_t>(slowest_size_ - 1),
                     slowest_.begin() + static_cast<ptrdiff_t>(slowest_size_));
  slowest_[at] = slow;
}

ExchangeNotes::Host& ExchangeNotes::host_of(std::string_view name) {
  CutText<64> cut;
  cut.set(name);
  for (size_t at = std::hash<std::string_view>{}(cut.view());; ++at) {
    Host& host = hosts_[at % kPlaces];
    if (host.name.view() == cut.view()) return host;
    if (host.name.size > 0) continue;
    if (host_count_ == kHostsMax) return others_;
    ++host_count_;
    host.name = cut;
    return host;
  }
}

std::vector<ExchangeNotes::Host> ExchangeNotes::busiest(size_t hosts_max) const {
  std::vector<Host> hosts;
  for (const Host& host : hosts_) {
    if (host.name.size > 0) hosts.push_back(host);
  }
  std::sort(hosts.begin(), hosts.end(), [](const Host& a, const Host& b) {
    return a.exchanges != b.exchanges ? a.exchanges > b.exchanges : a.name.view() < b.name.view();
  });
  hosts.resize(std::min(hosts.size(), hosts_max));
  return hosts;
}

uint64_t ExchangeNotes::errors() const {
  uint64_t errors = others_.errors;
  for (const Host& host : hosts_) errors += host.errors;
  return errors;
}

}  // namespace tcp_sniffer
