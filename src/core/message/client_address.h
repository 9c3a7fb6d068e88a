#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/message/message.h"
#include "core/net/flow_key.h"

namespace tcp_sniffer {

// Which addresses are believed to be a client's (`clientHeader`, `trustedProxies`).
struct ClientRules {
  bool wanted = false;  // messages have a `client`
  // Proxies in front of the server that add the address of their peer to the header. The last of
  // them is the peer of the connection. 0: no header is believed.
  uint32_t trusted_proxies = 0;
  // Read in this order, and the first one that is there counts. What is redacted is not read.
  bool reads_header = false;
  std::string header{};  // clientHeader; then no other is read
  bool reads_forwarded = true;
  bool reads_x_forwarded_for = true;

  // Whether the client's address depends on the request's headers.
  bool follow_headers() const { return wanted && trusted_proxies > 0; }
};

// The address that the last trusted proxy was reached from: the one at place `trusted_proxies` of
// the list, counted from the right (RFC 7239, and the comma-separated lists of X-Forwarded-For and
// its kind); the first one when the list is shorter. Text that is no address is ignored: then the
// next one to the right counts, because whoever wrote it is nearer and better known. Nothing: the
// headers say nothing.
std::optional<IpAddress> forwarded_client(const ClientRules& rules,
                                          std::span<const HeaderField> headers);

}  // namespace tcp_sniffer
