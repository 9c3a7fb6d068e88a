#pragma once

#include <cstdint>

namespace tcp_sniffer {

// Seconds that local time (TZ, or the system's time zone) is ahead of UTC at a moment, given in
// seconds since 1970.
int32_t local_offset_s(int64_t second);

}  // namespace tcp_sniffer
