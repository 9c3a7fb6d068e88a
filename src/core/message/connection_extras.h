#pragma once

#include <cstdint>

#include "core/base/growing_text.h"
#include "core/net/flow_key.h"
#include "core/net/proxy_protocol.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

struct Pop3Connection;  // core/pop3/engine.h

// What few connections have beside their object. Memory of the shard's pool, taken when the first
// of it comes and given back with the connection.
struct ConnectionExtras {
  bool is_proxied = false;
  ProxiedEndpoints proxied;        // what its PROXY header said
  Pop3Connection* pop3 = nullptr;  // when it speaks POP3; memory of the shard's pool

  // The first bytes of a stream, while they may become a PROXY header.
  GrowingText opening;
  uint64_t opening_offset = 0;
  SegmentMeta opening_first;  // brought the first of them
  Side opening_side = Side::kLow;
};
static_assert(sizeof(ConnectionExtras) <= BufferPool::kSizeMin);  // README.md says so

}  // namespace tcp_sniffer
