#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/growing_text.h"
#include "core/base/histogram.h"
#include "core/message/connection_identity.h"
#include "core/message/message.h"
#include "core/where/exchange_choice.h"
#include "shard/exchange_limit.h"
#include "shard/line_output.h"
#include "shard/line_room.h"
#include "shard/line_rules.h"

namespace tcp_sniffer {

// A request that waits for its response as finished text. Stands at the beginning of its memory,
// with the texts after it:
//
//     | HeldExchange | the request's line, or part of it | format framed: the part's body |
//
// Or the fate alone of an exchange whose request waits no more. Known by its connection
// (WaitingRequests) and, in the order in which they came, by the shard.
struct HeldExchange {
  Buffer memory;                     // this and the texts
  HeldExchange* previous = nullptr;  // of the connection
  HeldExchange* next = nullptr;
  HeldExchange* older = nullptr;  // of the shard
  HeldExchange* younger = nullptr;
  ConnectionIdentity* connection = nullptr;
  LineRules* rules = nullptr;  // by which it was judged and written
  uint64_t exchange = 0;
  ClientAddress client;
  std::string_view protocol;  // one of the program's own words
  int64_t first_byte_ns = 0;
  int64_t last_byte_ns = 0;
  size_t text_size = 0;
  size_t body_size = 0;
  GrowingText interim;    // interim responses, as the writer puts their parts together
  uint32_t messages = 1;  // that wait; 0: only the fate is remembered
  ExchangeChoice::Fate fate = ExchangeChoice::Fate::kWritten;
  ExchangeChoice::Asked asked;  // kOpen: what the request has answered

  std::string_view text() const { return {texts(), text_size}; }
  std::string_view body() const { return {texts() + text_size, body_size}; }
  char* texts() const { return reinterpret_cast<char*>(memory.data) + sizeof(HeldExchange); }
  bool has_interim() const { return messages > 1; }
  size_t held_bytes() const { return memory.capacity + interim.memory.capacity; }
};

// Messages that wait for others of their exchange. With `records: exchange` they become one line,
// in the order in which exchanges end. With a choice among exchanges (`where`, `sampleExchanges`)
// all messages of an exchange are written, or none.
//
// 1. A request waits as text, redacted and escaped, until its final response comes, or until the
//    engine reports that none will come that can be distinguished from others: so what waits is
//    bounded by maxOutstandingRequests for each connection. Interim responses wait with it. With
//    `records: message` only a request waits that does not decide the fate of its exchange; of
//    others the fate is remembered.
// 2. The text is memory of the shard's pool. A request for which there is none, and the oldest that
//    wait when memory is tight (make_room), leave alone, with the cause "limit"; so does the
//    response when it comes. Each is judged by itself then.
// 3. Every message is written once, held, or counted as left out or dropped.
// 4. The fate of an exchange, and the form of its line, are decided by the rules that its request
//    met, also when its response meets others (change). The messages of an exchange that was not
//    judged, because its request met rules without a choice, are all written.
//
// Part of its shard: same thread, same lifetime.
class ExchangeLines {
 public:
  // `limit`: nullptr without `count`.
  ExchangeLines(bool by_exchange, std::unique_ptr<LineRules> rules, ExchangeLimit* limit,
                LineRoom& room, BufferPool& pool, LineOutput& output, ShardCounters& counters,
                Histogram& latencies)
      : by_exchange_(by_exchange),
        rules_(std::move(rules)),
        limit_(limit),
        room_(room),
        pool_(pool),
        output_(output),
        counters_(counters),
        latencies_(latencies) {}

  const LineRules& rules() const { return *rules_; }
  // Messages from here on meet these rules. `clock_ns`: the time that the shard has reached.
  void change(std::unique_ptr<LineRules> rules, int64_t clock_ns);
  // Whether exchanges wait by rules before these: then every message is admitted before it is
  // taken.
  bool has_earlier_rules() const { return !earlier_rules_.empty(); }
  // Whether a choice asks for bodies.
  bool needs_body() const;
  // What comes is not admitted any more, but only taken.
  void end_admission() {
    fate_ = Fate::kWritten;
    asked_ = {};
    answered_.reset();
  }

  // With a choice, before take: false when the message is left out, which is counted. It is judged
  // as it will be written, except what the choice does not ask for.
  bool admit(const Message& message, ConnectionIdentity& connection);
  // The same of a part of a message that is written before its end: false when the exchange is left
  // out, or when only the rest of the message decides. What waits for a response of which a part is
  // written is written before it.
  bool admit_part(const Message& part, ConnectionIdentity& connection);
  void take(const Message& message, ConnectionIdentity& connection);
  // Whether the line is written that format pretty has for a request without a response.
  bool admits_unanswered(const Message& request, const ConnectionIdentity& connection,
                         Orphan orphan) const;
  // As MessageOutput's.
  void on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan);
  void on_connection_over(ConnectionIdentity& connection, Incomplete cause);

  // The oldest requests leave alone until a quarter of the pool is free, or none is left.
  void make_room();

 private:
  using Fate = ExchangeChoice::Fate;

  // ---- exchange_admission.cc, with what of the public functions is about rules and admission

  bool admit_request(const Message& request, ConnectionIdentity& connection);
  bool was_written(const Message& response) const;
  void leave_out(Fate fate, uint64_t messages);

  // ---- exchange_lines.cc

  // Why a response is alone.
  static Orphan orphan_of(const Message& response);
  void take_request(const Message& request, ConnectionIdentity& connection);
  void take_response(const Message& response, HeldExchange* held);
  void take_interim(const Message& interim, HeldExchange* held);
  bool hold(const Message& request, ConnectionIdentity& connection);
  bool append_interim(const Message& interim, HeldExchange& held);
  void remember_fate(const Message& request, ConnectionIdentity& connection);
  HeldExchange* make_held(const Message& request, ConnectionIdentity& connection, size_t text_size,
                          size_t body_size);
  void link(HeldExchange& held, ConnectionIdentity& connection);
  void release(HeldExchange& held);
  HeldExchange* find(const ConnectionIdentity& connection, uint64_t exchange) const;
  HeldExchange* find_answered(const Message& response, ConnectionIdentity& connection);
  void release_before(const Message& response, ConnectionIdentity& connection);
  bool join(const HeldExchange& held, const Message& response);
  void write_alone(const Message& message, Orphan orphan);
  void write_held(const HeldExchange& held, Orphan orphan);
  void write_early(HeldExchange& held);
  Fate leave_alone(HeldExchange& held, Orphan orphan);
  bool admits(uint64_t messages, bool is_exchange);
  void end_line(uint64_t messages, int64_t last_byte_ns, uint64_t connection_id, Orphan orphan);

  const bool by_exchange_;  // LineOptions
  std::unique_ptr<LineRules> rules_;
  std::vector<std::unique_ptr<LineRules>> earlier_rules_;  // by which exchanges wait
  ExchangeLimit* const limit_;
  LineRoom& room_;
  BufferPool& pool_;
  LineOutput& output_;
  ShardCounters& counters_;
  Histogram& latencies_;
  // Of the message that was admitted last.
  Fate fate_ = Fate::kWritten;
  ExchangeChoice::Asked asked_;
  std::optional<HeldExchange*> answered_;  // of a response, until it is taken: find_answered's
  // Requests up to here may have been written without being judged and remembered.
  int64_t written_until_ns_ = INT64_MIN;
  HeldExchange* oldest_ = nullptr;
  HeldExchange* youngest_ = nullptr;
};
static_assert(sizeof(HeldExchange) <= BufferPool::kSizeMin);  // docs/memory.md says so

}  // namespace tcp_sniffer
