#pragma once

#include <array>
#include <cstdint>

#include "core/base/limits.h"
#include "core/message/message.h"
#include "core/net/flow_key.h"

namespace tcp_sniffer {

enum class EventKind : uint8_t {
  kConnectionEvicted,
  kReassemblyGap,
  kNotHttp,
  kParseError,
  kLimit,
};

// What a stream turned out to be when it is not HTTP/1.x.
enum class StreamNature : uint8_t { kUnknown, kTls, kHttp2 };

// An event of a shard, of a fixed size so that reporting it costs one copy into a bounded queue.
// The control thread makes the text. Bytes are only from the start of a stream that is not HTTP,
// never from headers or bodies.
struct EventRecord {
  EventKind kind = EventKind::kReassemblyGap;
  StreamNature nature = StreamNature::kUnknown;
  Side side = Side::kLow;  // the sender
  uint8_t sample_size = 0;
  FlowKey key;
  uint64_t connection_id = 0;
  int64_t time_ns = 0;      // packet clock
  uint64_t bytes = 0;       // missing (gap), buffered (evicted), limit's size
  const char* detail = "";  // a literal: which list, which limit, which cause
  std::array<uint8_t, kSampleMax> sample{};
};

// Where shards put their events: bounded, never blocks, counts what it has no room for.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // False: no room, the event is lost.
  virtual bool put(const EventRecord& record) = 0;
};

}  // namespace tcp_sniffer
