#pragma once

#include <span>

#include "core/line/line_sink.h"
#include "core/message/anomalies.h"
#include "core/message/message.h"
#include "core/net/proxy_protocol.h"

namespace tcp_sniffer {

// Values of a line that consist of several, as JSON.

// {"source":{"ip":…,"port":…},"destination":{…},"tls":true}
void append_proxied(const ProxiedEndpoints& proxied, LineSink& sink);
// [[offset,length],…]
void append_body_gaps(std::span<const BodyGap> gaps, LineSink& sink);
// ["word",…]
void append_anomalies(Anomalies anomalies, LineSink& sink);

}  // namespace tcp_sniffer
