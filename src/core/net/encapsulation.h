#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// What the decoder opened around TCP segments. One header is one count, so a frame with two VLAN
// tags counts twice.
enum class Encapsulation : uint8_t {
  kVlan,
  kMpls,
  kPppoe,
  kPpp,
  kWifi,
  kIpInIp,  // 6in4 included
  kEtherIp,
  kGre,
  kPptp,
  kErspan,
  kVxlan,
  kGeneve,
  kGtp,
  kTeredo,
  kL2tp,
  kAyiya,
  kCount,
};

constexpr size_t kEncapsulations = static_cast<size_t>(Encapsulation::kCount);

// Tunnels stand in the order of their kinds.
constexpr Encapsulation encapsulation_of(TunnelKind kind) {
  const int behind_first = static_cast<int>(kind) - static_cast<int>(TunnelKind::kIpInIp);
  return static_cast<Encapsulation>(static_cast<int>(Encapsulation::kIpInIp) + behind_first);
}
static_assert(encapsulation_of(TunnelKind::kIpInIp) == Encapsulation::kIpInIp &&
              encapsulation_of(TunnelKind::kGtp) == Encapsulation::kGtp &&
              encapsulation_of(TunnelKind::kAyiya) == Encapsulation::kAyiya);

// Plain numbers, written by the thread that decodes.
struct EncapsulationCounters {
  std::array<uint64_t, kEncapsulations> opened{};

  void add(Encapsulation encapsulation) { ++opened[static_cast<size_t>(encapsulation)]; }
  uint64_t get(Encapsulation encapsulation) const {
    return opened[static_cast<size_t>(encapsulation)];
  }
};

}  // namespace tcp_sniffer
