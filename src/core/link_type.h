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

}  // namespace tcp_sniffer
