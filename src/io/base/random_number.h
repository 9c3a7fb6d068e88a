#pragma once

#include <cstdint>

namespace tcp_sniffer {

// A number that nobody outside the process can guess: the system's, or the clock's where the system
// has none yet.
uint64_t random_number();

}  // namespace tcp_sniffer
