#pragma once

#include <bitset>
#include <cstdint>
#include <span>

namespace tcp_sniffer {

// The ports whose connections are of interest; an empty set means every port.
class PortSet {
 public:
  PortSet() = default;
  explicit PortSet(std::span<const uint16_t> ports) {
    for (const uint16_t port : ports) ports_.set(port);
    any_ = ports.empty();
  }

  bool matches_all() const { return any_; }
  bool contains(uint16_t port) const { return ports_[port]; }
  bool wants(uint16_t a, uint16_t b) const { return any_ || ports_[a] || ports_[b]; }

 private:
  std::bitset<65536> ports_;
  bool any_ = true;
};

}  // namespace tcp_sniffer
