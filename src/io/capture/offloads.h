#pragma once

#include <string>
#include <vector>

namespace tcp_sniffer {

// What the interface or the kernel does to packets before a capture sees them.
struct Offload {
  std::string name;     // as ethtool -k calls it
  std::string meaning;  // for the reader of a capture
};

// The offloads that are on and change what is captured. Empty for `any`, and where the kernel does
// not report them.
std::vector<Offload> active_offloads(const std::string& interface);

}  // namespace tcp_sniffer
