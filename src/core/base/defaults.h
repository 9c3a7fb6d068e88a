#pragma once

#include <cstdint>

// The defaults of what a user may set (docs/configuration.md), as far as a part of the engine has
// the same one: the configuration and the settings of the parts take them from here. The fixed
// limits are in limits.h.
namespace tcp_sniffer::defaults {

constexpr uint64_t kMaxBodySize = uint64_t{1} << 20;
constexpr uint32_t kMaxHeaderBytes = 262144;
constexpr uint32_t kMaxHeaders = 1000;
constexpr uint32_t kMaxOutstandingRequests = 256;
constexpr uint64_t kMaxConcurrentConnections = 100000;
constexpr uint64_t kMemoryLimit = uint64_t{1} << 30;
constexpr uint64_t kReassemblyBufferSize = uint64_t{4} << 20;  // of one direction
constexpr int64_t kGapTimeoutMs = 2000;
constexpr int64_t kConnectionIdleTimeoutMs = 300000;
constexpr uint8_t kTunnelDepth = 4;
constexpr uint64_t kBufferSizeMiB = 64;

}  // namespace tcp_sniffer::defaults
