#pragma once

#include <cstdint>

namespace tcp_sniffer {

// LINKTYPE_ values of capture files (the tcpdump.org registry). Live handles give DLT_ values;
// those that differ are mapped where the handle is opened.
enum class LinkType : uint16_t {
  kNull = 0,
  kEthernet = 1,
  kPpp = 9,
  kPppHdlc = 50,
  kPppEther = 51,
  kRaw = 101,
  kCiscoHdlc = 104,
  kIeee80211 = 105,
  kLoop = 108,
  kLinuxSll = 113,
  kPrism = 119,
  kIeee80211Radiotap = 127,
  kIeee80211Avs = 163,
  kIpv4 = 228,
  kIpv6 = 229,
  kNflog = 239,
  kLinuxSll2 = 276,
};

// Whether frames of this link type can be decoded: those above, and no others. A capture may have
// any number.
constexpr bool is_supported(LinkType link_type) {
  switch (link_type) {
    case LinkType::kNull:
    case LinkType::kEthernet:
    case LinkType::kPpp:
    case LinkType::kPppHdlc:
    case LinkType::kPppEther:
    case LinkType::kRaw:
    case LinkType::kCiscoHdlc:
    case LinkType::kIeee80211:
    case LinkType::kLoop:
    case LinkType::kLinuxSll:
    case LinkType::kPrism:
    case LinkType::kIeee80211Radiotap:
    case LinkType::kIeee80211Avs:
    case LinkType::kIpv4:
    case LinkType::kIpv6:
    case LinkType::kNflog:
    case LinkType::kLinuxSll2:
      return true;
  }
  return false;
}

}  // namespace tcp_sniffer
