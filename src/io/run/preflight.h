#pragma once

#include "io/config/config.h"

namespace tcp_sniffer {

// --check: says on standard output what would be captured and what stands in the way. Returns the
// exit status that a run would fail with, or 0.
int check(const Config& config);

}  // namespace tcp_sniffer
