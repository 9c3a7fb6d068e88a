#pragma once

#include <cstdint>
#include <string_view>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): a load balancer puts a
// header before the client's first byte, which names the real endpoints of the connection.

// The connection that the proxy accepted, as its header describes it.
struct ProxiedEndpoints {
  Endpoint source;       // the client
  Endpoint destination;  // where the client connected to
  bool tls = false;      // the client spoke TLS with the proxy (PP2_TYPE_SSL)
};

enum class ProxyHeaderStatus : uint8_t {
  kNone,        // no header begins here
  kIncomplete,  // what is there can become a header
  kComplete,
};

struct ProxyHeader {
  ProxyHeaderStatus status = ProxyHeaderStatus::kNone;
  // kComplete: the header's size. kIncomplete: as many bytes are needed for the next answer, or
  // fewer when a version 1 line ends before.
  uint32_t size = 0;
  // False for LOCAL, UNKNOWN and UNSPEC, and for Unix sockets: they have neither address nor port.
  bool has_endpoints = false;
  ProxiedEndpoints endpoints;
};

// Bytes of a version 1 line, with CRLF (section 2.1).
constexpr size_t kProxyLineSizeMax = 107;

// Whether a header may begin with this byte; hardly any other stream does.
inline bool may_begin_proxy_header(uint8_t first) {
  return first == 'P' || first == '\r';
}

// `first_bytes` are those of the client's stream. A header that contradicts the specification is
// none: a wrong version, command or family, a length that its addresses or TLVs do not fit, a
// version 1 line of more than kProxyLineSizeMax bytes. Linear in the header's size, and constant
// until the last of `size` bytes is there.
ProxyHeader read_proxy_header(std::string_view first_bytes);

}  // namespace tcp_sniffer
