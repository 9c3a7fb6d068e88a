#pragma once

#include "io/config/config.h"

namespace tcp_sniffer {

// --check: prints to standard output what would be captured and what prevents it. Returns the exit
// status that a run would fail with, or 0.
int check(const Config& config);

}  // namespace tcp_sniffer
