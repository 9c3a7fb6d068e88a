#pragma once

#include <string>

#include "io/capture/interfaces.h"

namespace tcp_sniffer {

// --list-interfaces: a line for each interface that a capture can be made on, with its addresses,
// and why it cannot be opened, if that is so: it is down, or the rights are missing. Each is opened
// for that, without changing it. What libpcap offers beside them carries no IP and is left out.
std::string interfaces_text(const InterfaceList& list);

}  // namespace tcp_sniffer
