#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/growing_text.h"
#include "core/base/histogram.h"
#include "core/line/message_line.h"
#include "core/message/connection_identity.h"
#include "core/message/message.h"
#include "shard/line_output.h"
#include "shard/line_room.h"

namespace tcp_sniffer {

// A request that waits for its response as finished text. Stands at the beginning of its memory,
// with the texts behind it:
//
//     | HeldExchange | the request's part of the line | format framed: its body |
//
// Known by its connection (WaitingRequests) and, in the order in which they came, by the shard.
struct HeldExchange {
  Buffer memory;                     // this and the texts
  HeldExchange* previous = nullptr;  // of the connection
  HeldExchange* next = nullptr;
  HeldExchange* older = nullptr;  // of the shard
  HeldExchange* younger = nullptr;
  ConnectionIdentity* connection = nullptr;
  uint64_t exchange = 0;
  ClientAddress client;
  std::string_view protocol;  // one of the program's own words
  int64_t first_byte_ns = 0;
  int64_t last_byte_ns = 0;
  size_t text_size = 0;
  size_t body_size = 0;
  GrowingText interim;  // the parts of the interim responses, apart by commas
  uint32_t messages = 1;

  std::string_view text() const { return {texts(), text_size}; }
  std::string_view body() const { return {texts() + text_size, body_size}; }
  char* texts() const { return reinterpret_cast<char*>(memory.data) + sizeof(HeldExchange); }
  size_t held_bytes() const { return memory.capacity + interim.memory.capacity; }
};

// `records: exchange`: joins messages to exchanges, one line each, in the order in which exchanges
// end.
//
// 1. A request waits as text, redacted and escaped, until its final response comes, or until the
//    engine says that none will come that can be told from others: so what waits is bounded by
//    maxOutstandingRequests for each connection. Interim responses wait with it.
// 2. The text is memory of the shard's pool. A request for which there is none, and the oldest that
//    wait when memory is tight (make_room), leave alone, with the cause "limit"; so does the
//    response when it comes.
// 3. Every message is written once, held, or counted as dropped.
//
// Part of its shard: same thread, same lifetime.
class ExchangeLines {
 public:
  ExchangeLines(MessageLineWriter& writer, LineRoom& room, BufferPool& pool, LineOutput& output,
                ShardCounters& counters, Histogram& latencies)
      : writer_(writer),
        room_(room),
        pool_(pool),
        output_(output),
        counters_(counters),
        latencies_(latencies) {}

  void take(const Message& message, ConnectionIdentity& connection);
  // As MessageOutput's.
  void on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan);
  void on_connection_over(ConnectionIdentity& connection, Incomplete cause);

  // The oldest requests leave alone until a quarter of the pool is free, or none is left.
  void make_room();

 private:
  void take_request(const Message& request, ConnectionIdentity& connection);
  void take_response(const Message& response, ConnectionIdentity& connection);
  void take_interim(const Message& interim, ConnectionIdentity& connection);
  bool hold(const Message& request, ConnectionIdentity& connection);
  void link(HeldExchange& held, ConnectionIdentity& connection);
  void release(HeldExchange& held);
  HeldExchange* find(const ConnectionIdentity& connection, uint64_t exchange) const;
  void release_before(const Message& response, ConnectionIdentity& connection);
  bool join(const HeldExchange& held, const Message& response);
  void write_alone(const Message& message, Orphan orphan);
  void leave_alone(HeldExchange& held, Orphan orphan);
  void end_line(uint64_t messages, int64_t time_ns, Orphan orphan);

  MessageLineWriter& writer_;
  LineRoom& room_;
  BufferPool& pool_;
  LineOutput& output_;
  ShardCounters& counters_;
  Histogram& latencies_;
  HeldExchange* oldest_ = nullptr;
  HeldExchange* youngest_ = nullptr;
};

}  // namespace tcp_sniffer
