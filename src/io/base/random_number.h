#pragma once

#include <cstdint>

namespace tcp_sniffer {

// A number that cannot be guessed outside the process: the system's, or the clock's where the
// system has none yet.
uint64_t random_number();

}  // namespace tcp_sniffer
