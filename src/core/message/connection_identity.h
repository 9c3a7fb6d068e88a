#pragma once

#include <array>
#include <cstdint>

#include "core/message/connection_extras.h"
#include "core/message/roles.h"
#include "core/net/flow_key.h"

namespace tcp_sniffer {

// What the lines of a connection's messages contain about it.
struct ConnectionIdentity {
  FlowKey key;
  Roles roles;
  uint16_t vlan = 0;
  uint64_t id = 0;                     // XXH3 of the public key and the first packet's time
  std::array<uint16_t, 2> link_ids{};  // by Side: the interface it was seen on; 0 = unknown
  int32_t connect_us = -1;             // SYN to the handshake's ACK; -1 = not seen
  ConnectionExtras* extras = nullptr;

  // The extras, made when there are none; nullptr: no memory.
  ConnectionExtras* make_extras(BufferPool& pool);
  void release_unused_extras(BufferPool& pool) {
    if (extras != nullptr && !extras->is_used()) release_extras(pool);
  }
  void release_extras(BufferPool& pool);

  // A packet of `side` came from that interface.
  void see(Side side, uint32_t link_id) {
    link_ids[static_cast<size_t>(side)] = static_cast<uint16_t>(link_id);
  }

  const ProxiedEndpoints* proxied() const {
    return extras != nullptr && extras->is_proxied ? &extras->proxied : nullptr;
  }
};

}  // namespace tcp_sniffer
