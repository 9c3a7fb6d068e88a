#pragma once

#include <cstdint>
#include <span>

#include "shard/shard.h"

namespace tcp_sniffer {

// The StreamProtocol (core/tcp/reassembler.h) of one connection: hands its bytes, gaps and ends to the
// engine of the protocol it speaks, without the PROXY header that may stand in front of them. Lives
// for one call of the reassembler, on the thread that runs the shard.
struct Shard::Handler {
  Shard& shard;
  Connection& connection;
  HttpContext context;

  // `frame` is that of the segment being handled, 0 when time is the reason.
  Handler(Shard& owner, Connection& of, int64_t clock_ns, uint64_t frame = 0)
      : shard(owner), connection(of), context{of.http, of.identity, clock_ns, frame} {}

  uint32_t try_consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force) {
    if (!is_opened(side)) {
      if (is_opening(side) || may_begin_with_header(side, bytes)) [[unlikely]]
        return open_stream(side, offset, bytes, meta, force);
      connection.opened |= bit(side);
    }
    return pass_on(side, offset, bytes, meta, force);
  }
  void on_gap(Side side, uint64_t offset, uint64_t length, GapCause cause) {
    if (!is_opened(side)) end_opening(side);
    shard.report_gap(connection, side, length, cause, context.clock_ns);
    if (Pop3Connection* pop3 = connection.pop3()) {
      shard.pop3_.gap(*pop3, connection.identity, side, length, cause);
      return;
    }
    shard.http_.gap(context, side, offset, length, cause);
  }
  void on_midstream(Side side) {
    HttpEngine::start_midstream(connection.http, side);
    if (Pop3Connection* pop3 = connection.pop3()) Pop3Engine::start_midstream(*pop3, side);
  }
  void on_end(Side side) {
    if (!is_opened(side)) end_opening(side);
    if (Pop3Connection* pop3 = connection.pop3()) {
      shard.pop3_.end_of_stream(*pop3, connection.identity, side);
      return;
    }
    const TcpStream& stream = connection.streams[static_cast<size_t>(side)];
    shard.http_.end_of_stream(context, side, stream.reset);
  }
  bool in_message(Side side) const {
    if (is_opening(side)) return true;
    const Pop3Connection* pop3 = connection.pop3();
    return pop3 != nullptr ? Pop3Engine::in_message(*pop3, side)
                           : HttpEngine::in_message(connection.http, side);
  }
  bool ends_with_stream(Side side) const {
    return connection.pop3() == nullptr && HttpEngine::ends_with_stream(connection.http, side);
  }
  bool pass_over(Side side, uint64_t length, const SegmentMeta& meta) {
    return shard.http_.pass_over(connection.http, side, length, meta);
  }
  // The connection is over: what was kept of a header goes on to the protocol.
  void end_openings() {
    if (connection.identity.extras == nullptr) return;
    for (const Side side : {Side::kLow, Side::kHigh}) end_opening(side);
  }

 private:
  static constexpr uint8_t kProtocolKnown = 4;  // Connection::opened

  static uint8_t bit(Side side) { return static_cast<uint8_t>(1u << static_cast<uint8_t>(side)); }
  bool is_opened(Side side) const { return (connection.opened & bit(side)) != 0; }
  bool is_opening(Side side) const {
    const ConnectionExtras* extras = connection.identity.extras;
    return extras != nullptr && extras->opening.size > 0 && extras->opening_side == side;
  }

  bool may_begin_with_header(Side side, std::span<const uint8_t> bytes) const {
    return may_begin_proxy_header(bytes[0]) && may_send_header(side);
  }

  uint32_t pass_on(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                   const SegmentMeta& meta, bool force) {
    if (shard.settings_.parse_pop3) [[unlikely]] {
      decide(bytes);
      if (Pop3Connection* pop3 = connection.pop3()) {
        shard.pop3_.consume(*pop3, connection.identity, side, bytes, meta);
        return static_cast<uint32_t>(bytes.size());
      }
      if (!shard.settings_.parse_http) {
        shard.counters_.add(ShardCounter::ignored_stream, bytes.size());
        return static_cast<uint32_t>(bytes.size());
      }
    }
    return shard.http_.consume(context, side, offset, bytes, meta, force);
  }

  // ---- shard_opening.cc: the first bytes of a stream
  uint32_t open_stream(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force);
  uint32_t continue_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                            const SegmentMeta& meta, bool force);
  bool keep_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                    const SegmentMeta& meta);
  void end_opening(Side side);
  bool may_send_header(Side side) const;
  void take_header(Side side, const ProxyHeader& header);
  void decide(std::span<const uint8_t> bytes);
};

}  // namespace tcp_sniffer
