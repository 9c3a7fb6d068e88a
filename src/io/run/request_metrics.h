#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "io/run/metrics.h"

namespace tcp_sniffer {

// The metrics of HTTP: messages that are incomplete, and with MetricsSources::requests the requests
// by host, method and status class. A series is there from its first request on.
void collect_http(const MetricsSources& sources, std::vector<prometheus::MetricFamily>& families);

}  // namespace tcp_sniffer
