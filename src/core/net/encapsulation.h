#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

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

// Plain numbers, written by the thread that decodes.
struct EncapsulationCounters {
  std::array<uint64_t, kEncapsulations> opened{};

  void add(Encapsulation encapsulation) { ++opened[static_cast<size_t>(encapsulation)]; }
  uint64_t get(Encapsulation encapsulation) const {
    return opened[static_cast<size_t>(encapsulation)];
  }
};

}  // namespace tcp_sniffer
