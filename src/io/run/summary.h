#pragma once

#include <cstddef>
#include <string>

#include "io/run/report.h"

namespace tcp_sniffer {

// The end of a run for people: exchanges, latencies, the slowest exchanges, the busiest hosts,
// messages, connections, frames, and each loss with its cause, one aligned line each. Every line is
// indented and ends with a line feed. The ledger has the counters from which the figures are made.
// `columns`: of the terminal; 0: there is none, and no URL is cut.
std::string summary_of(const Totals& totals, size_t columns);

// How long a run took: 4 ms, 2.1 s, 12 min 3 s, 5 h 12 min.
std::string duration_text(double seconds);

}  // namespace tcp_sniffer
