#pragma once

#include <optional>
#include <string>

#include "core/link_type.h"

namespace tcp_sniffer {

// The link type that a capture file begins with: that of a pcap file's header or of a pcapng file's
// first interface. Nothing where looking would use bytes up (standard input, a pipe), and where it
// does not stand in the first 64 KiB.
std::optional<LinkType> first_link_type(const std::string& path);

}  // namespace tcp_sniffer
