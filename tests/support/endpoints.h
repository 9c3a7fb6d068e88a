#pragma once

#include <cstdint>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// An IPv4 address a.b.c.d and a port.
inline Endpoint ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port) {
  Endpoint endpoint{kV4MappedPrefix, port};
  endpoint.ip[12] = a;
  endpoint.ip[13] = b;
  endpoint.ip[14] = c;
  endpoint.ip[15] = d;
  return endpoint;
}

}  // namespace tcp_sniffer
