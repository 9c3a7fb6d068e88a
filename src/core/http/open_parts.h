#pragma once

#include <cstddef>
#include <cstdint>

#include "core/message/connection_identity.h"

namespace tcp_sniffer {

// A message that is given out in parts while its body arrives (partialAfterMs). Plain data in
// memory of the shard's pool, beside its OpenMessage.
struct OpenParts {
  static constexpr int64_t kNever = INT64_MAX;

  OpenParts* previous = nullptr;  // in PartTimers
  OpenParts* next = nullptr;
  ConnectionIdentity* connection = nullptr;
  int64_t due_ns = kNever;       // by the shard's clock: when a part is given out
  uint64_t freed_size = 0;       // bytes of the kept body that were given out and are gone
  size_t begin = 0;              // where the next part begins in those that are not
  uint64_t body_end = 0;         // where the latest part ended, in the body as sent
  size_t searched = 0;           // event streams: where in it the search for an event's end goes on
  uint32_t count = 0;            // parts that were given out
  bool is_event_stream = false;  // a part ends where an event does
};

// Those that have a due time, in its order: a list through its members, which owns nothing. All
// wait equally long, so a new one belongs at the back, or close to it.
class PartTimers {
 public:
  // nullptr: none.
  OpenParts* front() const { return front_; }
  // `parts` has no due time yet.
  void start(OpenParts& parts, int64_t due_ns);
  // Nothing happens when it has none.
  void stop(OpenParts& parts);

 private:
  OpenParts* front_ = nullptr;
  OpenParts* back_ = nullptr;
};

}  // namespace tcp_sniffer
