#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>

#include "core/message/connection_identity.h"
#include "core/message/message.h"
#include "core/pop3/engine.h"
#include "core/tcp/stream_protocol.h"

namespace tcp_sniffer {

// What the engine of a protocol offers: the functions of StreamProtocol, and a few more. There is
// one engine per shard, made from (bytes of body kept, pool, counters, emitter). What it remembers
// of one connection is its State, in memory of the shard's pool. A State is made when `recognises`
// returns true, and given back after `close`.
//
// kName: the word in the configuration key `protocols` and in the messages' field `protocol`.
// change_body_max: of the messages that begin from here on.
// recognises: whether a connection that begins with these captured bytes speaks this protocol.
// start_midstream, start_at_beginning: as HttpEngine's.
// held_bytes: memory of the pool that the state refers to.
// close: the connection is over. Open messages are emitted with this cause, memory is released.
template <class Engine>
concept ProtocolEngine = requires(Engine engine, typename Engine::State& state,
                                  const typename Engine::State& known, ConnectionIdentity& identity,
                                  Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                  const SegmentMeta& meta, GapCause gap_cause, Incomplete cause,
                                  bool flag) {
  { Engine::kName } -> std::convertible_to<std::string_view>;
  {engine.change_body_max(offset)};
  { Engine::recognises(identity.key, bytes) } -> std::same_as<bool>;
  requires std::constructible_from<typename Engine::State, const ConnectionIdentity&>;
  {Engine::start_midstream(state, side)};
  {Engine::start_at_beginning(state, side)};
  { engine.consume(state, identity, side, offset, bytes, meta, flag) } -> std::same_as<uint32_t>;
  {engine.gap(state, identity, side, offset, gap_cause)};
  {engine.end_of_stream(state, identity, side, flag)};
  { Engine::in_message(known, side) } -> std::same_as<bool>;
  { Engine::ends_with_stream(known, side) } -> std::same_as<bool>;
  { Engine::held_bytes(known) } -> std::same_as<size_t>;
  {engine.close(state, identity, cause)};
};

template <ProtocolEngine... Engines>
struct ProtocolList {
  using EngineTuple = std::tuple<Engines...>;
  // Their places in this list are the protocols' numbers.
  static constexpr std::array<std::string_view, 1 + sizeof...(Engines)> kNames = {
      "http", Engines::kName...};
};

// The protocols besides HTTP, one line each, in the order in which they are asked whether they
// recognise a connection. If none of them does, the connection is HTTP's, whose state is part of
// every connection object.
using ProtocolTable = ProtocolList<  //
    Pop3Engine>;

inline constexpr auto kProtocolNames = ProtocolTable::kNames;
constexpr size_t kHttpNumber = 0;

// `name` is one of them.
constexpr size_t protocol_number(std::string_view name) {
  size_t number = 0;
  while (kProtocolNames[number] != name) number++;
  return number;
}

}  // namespace tcp_sniffer
