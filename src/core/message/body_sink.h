#pragma once

#include "core/message/message.h"

namespace tcp_sniffer {

// Where response bodies go that are to become files (extractDir). Called on a shard's thread; the
// message's views are valid during the call only, so what is wanted of them is copied.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // `message.body` is decoded when decodeBodies is on. When there is no room, waits with `overload:
  // block`; else the sink drops the body and counts it.
  virtual void put(const Message& message) = 0;
};

}  // namespace tcp_sniffer
