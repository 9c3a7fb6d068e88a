#pragma once

#include <cstdint>
#include <span>

#include "shard/shard.h"

namespace tcp_sniffer {

// The StreamProtocol (core/tcp/stream_protocol.h) of one connection. Lives for one call of the
// reassembler, on the thread that runs the shard.
struct Shard::Handler {
  Shard& shard;
  Connection& connection;
  ProtocolCall protocol;

  // `frame` is that of the segment being handled, 0 when time is the reason. `ending` is why the
  // connection is over, if it is.
  Handler(Shard& owner, Connection& of, int64_t clock_ns, uint64_t frame = 0,
          Incomplete ending = Incomplete::kNo)
      : shard(owner),
        connection(of),
        protocol(owner.protocols_, of.protocol, of.choice, of.identity, clock_ns, frame, ending) {}

  uint32_t try_consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force) {
    return protocol.consume(side, offset, bytes, meta, force);
  }
  void on_gap(Side side, uint64_t offset, uint64_t length, GapCause cause) {
    protocol.end_opening(side);
    shard.report_gap(connection, side, length, cause, protocol.clock_ns());
    protocol.gap(side, offset, length, cause);
  }
  void on_midstream(Side side) { protocol.start_midstream(side); }
  void on_beginning(Side side) { protocol.start_at_beginning(side); }
  void on_end(Side side) {
    protocol.end_of_stream(side, connection.streams[static_cast<size_t>(side)].reset);
  }
  bool in_message(Side side) const { return protocol.in_message(side); }
  bool pass_over(Side side, uint64_t length, const SegmentMeta& meta) {
    return protocol.pass_over(side, length, meta);
  }
  bool begins_message(std::span<const uint8_t> bytes) const {
    return protocol.begins_message(bytes);
  }
  bool ends_with_stream(Side side) const { return protocol.ends_with_stream(side); }
};

}  // namespace tcp_sniffer
