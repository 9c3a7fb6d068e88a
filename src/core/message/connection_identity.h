#pragma once

#include <cstdint>

#include "core/message/connection_extras.h"
#include "core/net/flow_key.h"

namespace tcp_sniffer {

// What the messages of a connection say about it.
struct ConnectionIdentity {
  FlowKey key;
  bool receiver_known : 1 = false;  // fixed at the connection's first line
  // The receiver serves, except where its port was asked for and a SYN says that it is the client.
  bool receiver_is_client : 1 = false;
  // … or where that is not certain: only its port tells, and it is the larger one, as a client's
  // nearly always is; the first line was found by searching, so it may be a body's text; or another
  // line contradicts.
  bool server_uncertain : 1 = false;
  Side receiver = Side::kHigh;
  uint16_t vlan = 0;
  uint64_t id = 0;  // XXH3 of the public key and the first packet's time
  uint32_t link_id = 0;
  int32_t connect_us = -1;  // SYN to the handshake's ACK; -1 = not seen
  ConnectionExtras* extras = nullptr;

  bool serves(Side side) const { return (side == receiver) != receiver_is_client; }

  const ProxiedEndpoints* proxied() const {
    return extras != nullptr && extras->is_proxied ? &extras->proxied : nullptr;
  }
};

}  // namespace tcp_sniffer
