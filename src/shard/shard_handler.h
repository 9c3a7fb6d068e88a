#pragma once

#include <cstdint>
#include <span>

#include "shard/shard.h"

namespace tcp_sniffer {

// The StreamProtocol (core/reassembler.h) of one connection: hands its bytes, gaps and ends to the
// engine of the protocol it speaks. Lives for one call of the reassembler, on the thread that runs
// the shard.
struct Shard::Handler {
  Shard& shard;
  Connection& connection;
  HttpContext context;

  // `frame` is that of the segment being handled, 0 when time is the reason.
  Handler(Shard& owner, Connection& of, int64_t clock_ns, uint64_t frame = 0)
      : shard(owner), connection(of), context{of.http, of.identity, clock_ns, frame} {}

  uint32_t try_consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force) {
    if (shard.settings_.parse_pop3) [[unlikely]] {
      decide(bytes);
      if (connection.pop3 != nullptr) {
        shard.pop3_.consume(*connection.pop3, connection.identity, side, bytes, meta);
        return static_cast<uint32_t>(bytes.size());
      }
      if (!shard.settings_.parse_http) {
        shard.counters_.add(ShardCounter::ignored_stream, bytes.size());
        return static_cast<uint32_t>(bytes.size());
      }
    }
    return shard.http_.consume(context, side, offset, bytes, meta, force);
  }
  void on_gap(Side side, uint64_t, uint64_t length, GapCause cause) {
    shard.http_.say_gap(context, side, length, shard.cause_of_gap(connection, side, length, cause));
    if (connection.pop3 != nullptr) {
      shard.pop3_.gap(*connection.pop3, connection.identity, side, length, cause);
      return;
    }
    shard.http_.gap(context, side, length, cause);
  }
  void on_end(Side side) {
    if (connection.pop3 != nullptr) {
      shard.pop3_.end_of_stream(*connection.pop3, connection.identity, side);
      return;
    }
    const TcpStream& stream = connection.streams[static_cast<size_t>(side)];
    shard.http_.end_of_stream(context, side, stream.reset);
  }
  bool in_message(Side side) const {
    return connection.pop3 != nullptr ? Pop3Engine::in_message(*connection.pop3, side)
                                      : HttpEngine::in_message(connection.http, side);
  }

  // The first bytes of a connection, of whichever side, say which protocol it speaks.
  void decide(std::span<const uint8_t> bytes) {
    if (connection.protocol_decided) return;
    connection.protocol_decided = true;
    if (!Pop3Engine::recognises(connection.identity.key, bytes)) return;
    connection.pop3 = shard.pop3_.open();
    if (connection.pop3 == nullptr) return;
    for (const Side side : {Side::kLow, Side::kHigh}) {
      const HttpStream& stream = connection.http.streams[static_cast<size_t>(side)];
      if (stream.phase == HttpPhase::kSearch) Pop3Engine::start_midstream(*connection.pop3, side);
    }
  }
};

}  // namespace tcp_sniffer
