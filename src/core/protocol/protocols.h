#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/http/direction.h"
#include "core/http/engine.h"
#include "core/message/connection_identity.h"
#include "core/message/event_record.h"
#include "core/message/message_emitter.h"
#include "core/message/message_output.h"
#include "core/net/proxy_protocol.h"
#include "core/net/segment.h"
#include "core/protocol/table.h"

namespace tcp_sniffer {

struct ProtocolSettings {
  HttpSettings http;                                        // body_max is that of every protocol
  std::array<bool, kProtocolNames.size()> spoken = {true};  // protocols, by number

  void speak(std::string_view name, bool yes = true) { spoken[protocol_number(name)] = yes; }
  // Whether a message may leave in parts while it arrives.
  bool gives_parts() const { return http.part_after_ns > 0; }
};

// How far a connection's protocol is known. Part of the connection object, apart from the state,
// because a byte is free there.
class ProtocolChoice {
 private:
  friend class Protocols;
  friend class ProtocolCall;

  static constexpr uint8_t kOpened = 1;  // flags by side: the stream's first bytes were looked at
  static constexpr uint8_t kMidstream = 4;  // … its beginning was not captured, or is lost
  static constexpr uint8_t kChosen = 16;    // the first bytes have decided about the protocol

  bool has(uint8_t which, Side side = Side::kLow) const {
    return (flags_ & flag(which, side)) != 0;
  }
  void set(uint8_t which, Side side = Side::kLow) { flags_ |= flag(which, side); }
  void clear(uint8_t which, Side side) { flags_ &= static_cast<uint8_t>(~flag(which, side)); }
  static uint8_t flag(uint8_t which, Side side) {
    return static_cast<uint8_t>(which << static_cast<uint8_t>(side));
  }

  uint8_t flags_ = 0;
};

// What is remembered of the protocol that a connection speaks: part of the connection object. The
// state of another protocol than HTTP, and the first bytes of a stream while they may become a
// PROXY header, are memory of the pool (ConnectionExtras).
class ConnectionProtocol {
 private:
  friend class Protocols;
  friend class ProtocolCall;

  HttpConnection http_;
};

// The engines of all protocols, and the choice among them. One per shard, used by its thread; all
// memory from the pool, which outlives it.
class Protocols {
 public:
  Protocols(const ProtocolSettings& settings, BufferPool& pool, ShardCounters& counters,
            MessageOutput& output, EventSink& events);

  // Takes what a run may be given others of (HttpEngine::change), for all engines.
  void change(const ProtocolSettings& settings);

  // Whether a connection that is met with this segment begins with a message, or may.
  bool begins_message(const Segment& segment) const;

  static bool holds_memory(const ConnectionProtocol& protocol, const ConnectionIdentity& identity);
  // How many of the next bytes of a stream are not needed.
  uint64_t unread_bytes(const ConnectionProtocol& protocol, Side side) const {
    return http_.unread_bytes(protocol.http_, side);
  }
  // Memory of the pool that a connection holds, without the texts of its waiting exchanges, which
  // are small.
  size_t held_bytes(const ConnectionProtocol& protocol, const ConnectionIdentity& identity) const;
  // As HttpEngine's; other protocols take no memory ahead, and give out no parts.
  void take_memory_back() { http_.take_memory_back(); }
  static int64_t part_due_ns(const ConnectionProtocol& protocol) {
    return HttpEngine::part_due_ns(protocol.http_);
  }
  ConnectionIdentity* with_part_due(int64_t clock_ns) const {
    return http_.with_part_due(clock_ns);
  }

 private:
  friend class ProtocolCall;
  using Engines = ProtocolTable::EngineTuple;

  // Calls act(engine, state) of the protocol that was chosen. False: there is none but HTTP.
  template <class Act>
  static bool with_chosen(auto& engines, const ConnectionExtras* extras, const Act& act) {
    if (extras == nullptr || extras->protocol_state == nullptr) [[likely]]
      return false;
    size_t number = kHttpNumber;
    const auto try_one = [&](auto& engine) {
      if (extras->protocol != ++number) return false;
      using State = typename std::remove_cvref_t<decltype(engine)>::State;
      act(engine, *static_cast<State*>(extras->protocol_state));
      return true;
    };
    return std::apply([&](auto&... engine) { return (try_one(engine) || ...); }, engines);
  }

  void choose(ProtocolChoice& choice, ConnectionIdentity& identity,
              std::span<const uint8_t> first_bytes);

  const std::array<bool, kProtocolNames.size()> spoken_;
  bool is_http_alone_;
  BufferPool& pool_;
  ShardCounters& counters_;
  HttpEngine http_;
  MessageEmitter emitter_;
  Engines engines_;
};

// One connection, for the length of a call. It passes what the reassembler delivers, without a
// PROXY header at its beginning, to the engine of the protocol that the connection speaks. The
// functions are those of StreamProtocol.
class ProtocolCall {
 public:
  // `frame` is that of the segment being handled, 0 when time is the reason. `ending` is why the
  // connection is over, if it is.
  ProtocolCall(Protocols& protocols, ConnectionProtocol& protocol, ProtocolChoice& choice,
               ConnectionIdentity& identity, int64_t clock_ns, uint64_t frame, Incomplete ending)
      : protocols_(protocols),
        protocol_(protocol),
        choice_(choice),
        http_{protocol.http_, identity, clock_ns, frame, ending} {}

  int64_t clock_ns() const { return http_.clock_ns; }

  uint32_t consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                   const SegmentMeta& meta, bool force) {
    if (!is_opened(side)) {
      if (is_opening(side) || may_begin_with_header(side, bytes)) [[unlikely]]
        return open_stream(side, offset, bytes, meta, force);
      choice_.set(ProtocolChoice::kOpened, side);
    }
    return pass_on(side, offset, bytes, meta, force);
  }
  // No header will come of the stream's first bytes: what was kept of them is the protocol's.
  void end_opening(Side side) {
    if (!is_opened(side)) take_opening(side);
  }
  void gap(Side side, uint64_t offset, uint64_t length, GapCause cause);
  void start_midstream(Side side);
  void start_at_beginning(Side side);
  void end_of_stream(Side side, bool reset);
  bool in_message(Side side) const {
    if (identity().extras != nullptr) [[unlikely]]
      return in_other_message(side);
    return HttpEngine::in_message(protocol_.http_, side);
  }
  bool begins_message(std::span<const uint8_t> bytes) const;
  bool ends_with_stream(Side side) const {
    if (identity().extras != nullptr) [[unlikely]]
      return other_ends_with_stream(side);
    return HttpEngine::ends_with_stream(protocol_.http_, side);
  }
  bool pass_over(Side side, uint64_t length, const SegmentMeta& meta) {
    return protocols_.http_.pass_over(protocol_.http_, side, length, meta);
  }
  // Gives out the connection's part that is due first; there is one.
  void give_out_part() { http(HttpEngine::side_of_part(protocol_.http_)).give_out_part(); }
  // The connection is over, all its bytes were delivered: open messages are given out with the
  // cause `ending`, memory is released.
  void close();

 private:
  ConnectionIdentity& identity() const { return http_.identity; }
  HttpDirection http(Side side) { return {protocols_.http_, http_, side}; }
  bool is_opened(Side side) const { return choice_.has(ProtocolChoice::kOpened, side); }
  bool is_opening(Side side) const {
    const ConnectionExtras* extras = identity().extras;
    return extras != nullptr && extras->opening.size > 0 && extras->opening_side == side;
  }
  bool may_begin_with_header(Side side, std::span<const uint8_t> bytes) const {
    return may_begin_proxy_header(bytes[0]) && may_send_header(side);
  }
  template <class Act>
  bool with_chosen(const Act& act) const {
    return Protocols::with_chosen(protocols_.engines_, identity().extras, act);
  }

  uint32_t pass_on(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                   const SegmentMeta& meta, bool force) {
    if (!protocols_.is_http_alone_) [[unlikely]]
      return choose_and_pass_on(side, offset, bytes, meta, force);
    return http(side).consume(offset, bytes, meta, force);
  }
  uint32_t choose_and_pass_on(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                              const SegmentMeta& meta, bool force);
  bool in_other_message(Side side) const;
  bool other_ends_with_stream(Side side) const;

  // ---- opening.cc: the first bytes of a stream
  uint32_t open_stream(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force);
  uint32_t continue_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                            const SegmentMeta& meta, bool force);
  bool keep_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                    const SegmentMeta& meta);
  void take_opening(Side side);
  bool may_send_header(Side side) const;
  void take_header(Side side, const ProxyHeader& header);

  Protocols& protocols_;
  ConnectionProtocol& protocol_;
  ProtocolChoice& choice_;
  HttpContext http_;
};

}  // namespace tcp_sniffer
