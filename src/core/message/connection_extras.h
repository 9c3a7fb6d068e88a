#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/growing_text.h"
#include "core/net/flow_key.h"
#include "core/net/proxy_protocol.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

struct HeldExchange;

// Requests that the output holds until their responses come, in the order of exchanges
// (`records: exchange`). Only the output uses it; all of it is gone when the connection is over.
struct WaitingRequests {
  HeldExchange* first = nullptr;
  HeldExchange* last = nullptr;
  size_t held_bytes = 0;  // of the shard's pool
};

// What few connections have beside their object. Memory of the shard's pool, taken when the first
// of it comes and given back with the connection.
struct ConnectionExtras {
  bool is_proxied = false;
  uint8_t protocol = 0;            // the number of the protocol that `protocol_state` belongs to
  ProxiedEndpoints proxied;        // from its PROXY header
  void* protocol_state = nullptr;  // when it does not speak HTTP; memory of the shard's pool

  // The first bytes of a stream, while they may become a PROXY header.
  GrowingText opening;
  uint64_t opening_offset = 0;
  SegmentMeta opening_first;  // brought the first of them
  Side opening_side = Side::kLow;

  WaitingRequests waiting;

  bool is_used() const {
    return is_proxied || protocol_state != nullptr || opening.size > 0 || waiting.first != nullptr;
  }
};
static_assert(sizeof(ConnectionExtras) <= BufferPool::kSizeMin);  // docs/memory.md says so

}  // namespace tcp_sniffer
