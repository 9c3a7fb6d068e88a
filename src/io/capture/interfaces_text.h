#pragma once

#include <string>

#include "io/capture/interfaces.h"

namespace tcp_sniffer {

struct InterfacesText {
  std::string opens;    // a line for each interface that opens now, with its addresses
  std::string refused;  // a line for each other one, with the reason: it is down, or rights miss
};

// --list-interfaces: each interface is opened, without changing it. What libpcap offers beside them
// carries no IP and is left out.
InterfacesText interfaces_text(const InterfaceList& list);

}  // namespace tcp_sniffer
