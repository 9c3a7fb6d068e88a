#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/defaults.h"
#include "core/base/growing_text.h"
#include "core/http/bodies_ahead.h"
#include "core/http/body_memory.h"
#include "core/http/connection.h"
#include "core/http/head.h"
#include "core/http/open_parts.h"
#include "core/message/client_address.h"
#include "core/message/connection_identity.h"
#include "core/message/event_record.h"
#include "core/message/message_emitter.h"
#include "core/message/message_output.h"
#include "core/metrics/request_meter.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

struct Exchange;

// A run may be given others of body_max, drop_binary_bodies, client and request_target_max
// (HttpEngine::change).
struct HttpSettings {
  uint64_t body_max = defaults::kMaxBodySize;                    // maxBodySize: bytes of body kept
  uint32_t header_bytes_max = defaults::kMaxHeaderBytes;         // maxHeaderBytes
  uint32_t headers_max = defaults::kMaxHeaders;                  // maxHeaders
  uint32_t outstanding_max = defaults::kMaxOutstandingRequests;  // maxOutstandingRequests
  // Nobody will see bodies that are not UTF-8 (binaryBody: omit): they are counted, not kept.
  bool drop_binary_bodies = false;
  // The output takes the memory of large bodies over (Message::body_memory).
  bool hands_bodies_over = false;
  ClientRules client{};  // clientHeader, trustedProxies
  // The response's line names its request: of a longer target, as much is kept. 0: nothing is.
  uint32_t request_target_max = 0;
  // partialAfterMs: a body that takes longer to arrive is given out in parts. 0: none is.
  int64_t part_after_ns = 0;
  // The body of a response is needed as a whole with its last part, too (extractDir).
  bool keep_parts = false;
  // metricsListen: counts requests; outlives the engine. nullptr: nobody does.
  RequestMeter* meter = nullptr;
};

// One connection, for the length of a call.
struct HttpContext {
  HttpConnection& http;
  ConnectionIdentity& identity;
  int64_t clock_ns;
  uint64_t frame = 0;                   // of the segment that is the reason for the call; 0 = none
  Incomplete ending = Incomplete::kNo;  // the connection is over, for this reason
};

// Follows HTTP/1.x in both directions of a connection (RFC 9112) and hands finished messages to
// the output: once each, in the order they completed, a request before its response. An observer:
// whatever two ends agree on is right, so nothing is refused that can be understood.
//
// 1. A message that lies in one segment is put together from views of the packet; nothing is
//    copied and no memory is taken. Any other is an OpenMessage, in memory of the pool.
// 2. Every byte of the stream is counted once: parsed, tunnel, ignored_stream or
//    skipped_in_resync. Bytes of an unfinished head are counted when its fate is known.
// 3. Three things are refused (StreamProtocol): a response, while the request it would answer is
//    incomplete (when they have to be taken nevertheless, the request is given out first, as far
//    as it was captured); a client's next message, while such a response waits for the request
//    before it; and the first bytes of a stream met in its middle that begin no message,
//    until the connection's next segment: capture reorders, and what comes before them may still
//    come.
// 4. With part_after_ns a message is also handed out in parts while its body arrives
// (open_parts.h).
//    When a part is due is asked by the shard, which knows the time.
// 5. Pairing: a response has the exchange of a request only where no other can have been before it.
//    a. Without a loss, requests and responses are in the same order.
//    b. A gap in the client's stream hides requests, unless it lies in a body of known length: as
//       many as fit, if none is smaller than three quarters of the smallest one seen. Each response
//       that comes without a known request, and each gap where a response begins, answers one.
//    c. After a loss the order is known again when a request begins alone: its client was never
//       seen to send one while another waited, and no more can have been hidden than were answered
//       (or the client waited for some responses before anything was lost); or nobody has sent
//       anything for two to three seconds. Its response starts where the client had received all,
//       and acknowledges it; any other response has no exchange.
//    d. A stream met in its middle is taken for that of a client that waits, until it is seen not
//       to. One that has several requests under way in lockstep looks the same.
//
// This class holds what all connections of a shard share; the bytes of a stream are taken by its
// HttpDirection. One per shard, used by its thread; all memory from the pool, which outlives it.
class HttpEngine {
 public:
  HttpEngine(const HttpSettings& settings, BufferPool& pool, ShardCounters& counters,
             MessageOutput& output, EventSink& events);

  // Takes from these settings what may change. A message that has begun without its body, or with a
  // smaller body_max, does not get more of it.
  void change(const HttpSettings& settings);

  // A stream whose beginning was not captured: its first message must be searched.
  static void start_midstream(HttpConnection& http, Side side);
  // It was, after all, and nothing of it was consumed yet.
  static void start_at_beginning(HttpConnection& http, Side side) {
    http.streams[static_cast<size_t>(side)] = HttpStream{};
  }

  // The StreamProtocol functions that need no HttpDirection, see there.
  static bool in_message(const HttpConnection& http, Side side);
  static bool ends_with_stream(const HttpConnection& http, Side side);
  bool pass_over(HttpConnection& http, Side side, uint64_t length, const SegmentMeta& meta);

  // How many of the next bytes are body that nobody will look at: all but the last one of it.
  uint64_t unread_bytes(const HttpConnection& http, Side side) const;
  // Memory of the pool, without the texts that wait beside the exchanges, which are small.
  static size_t held_bytes(const HttpConnection& http);

  // Memory is short: bodies that took memory before their bytes came give back what they do not
  // need yet.
  void take_memory_back();

  // part_after_ns: when the next part of one of its messages is due; OpenParts::kNever: none is.
  static int64_t part_due_ns(const HttpConnection& http);
  // A connection with a part that is due by then; nullptr: there is none.
  ConnectionIdentity* with_part_due(int64_t clock_ns) const;
  // The side of the next part.
  static Side side_of_part(const HttpConnection& http);

  // The connection is over: open messages are given out with this cause, memory is released.
  void close(HttpContext& context, Incomplete cause);

 private:
  friend class HttpDirection;

  // A small body gets what has come of it, a larger one up to four times as much.
  static constexpr size_t kSmallBody = 16384;

  // How large the kept body will be when so much of it has come, as far as that is announced.
  size_t announced_size(const OpenMessage& open, size_t come) const;
  // For how much of it there is memory when memory is not plentiful.
  size_t body_step(const OpenMessage& open, size_t come) const;
  bool reserve_body(OpenMessage& open, size_t size, size_t announced, bool may_be_ahead);
  void close_open_messages(HttpContext& context, Incomplete cause);
  void settle_unanswered(HttpContext& context);
  void emit_unanswered(HttpContext& context, const Exchange& exchange, Orphan orphan);
  void meter_unanswered(uint32_t row, Orphan orphan) {
    if (settings_.meter != nullptr) [[unlikely]]
      settings_.meter->add_unanswered(row, orphan);
  }

  HttpSettings settings_;
  BufferPool& pool_;
  ShardCounters& counters_;
  MessageEmitter emitter_;
  EventSink& events_;
  HeadReader heads_;
  HeadReader trailers_;
  PartTimers part_timers_;
  BodiesAhead bodies_ahead_;
  GrowingText replay_;          // bytes of a failed candidate that must be searched again
  size_t replay_from_ = 0;      // the first of them
  uint64_t replay_offset_ = 0;  // its place in the stream
};

}  // namespace tcp_sniffer
