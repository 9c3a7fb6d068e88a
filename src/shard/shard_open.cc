// Shard: which segments begin a connection, and when a SYN on a living one begins the next.

#include <xxhash.h>

#include <algorithm>
#include <array>

#include "core/base/limits.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// The segment of a key without a connection: nullptr when it begins none.
Connection* Shard::open(const Segment& segment) {
  const bool syn = (segment.flags & kTcpSyn) != 0;
  if ((segment.flags & kTcpRst) != 0) {
    counters_.add(ShardCounter::out_of_window, segment.payload_size);
    return nullptr;
  }
  if (!syn && (segment.payload_wire_size == 0 || Reassembler::seems_probe(segment))) {
    // Nothing, or a byte that was sent before.
    counters_.add(ShardCounter::duplicate, segment.payload_size);
    return nullptr;
  }
  if (syn) {
    // Of several interfaces one may be later than packets wait for it. Then the whole connection
    // comes again when both have seen it.
    const bool may_be_late = settings_.reassembly.late_wait_ns != 0;
    if (may_be_late && tombstones_.is_before_the_end(segment)) {
      count_dropped(ShardCounter::tombstone_segments, ShardCounter::duplicate, segment);
      return nullptr;
    }
    tombstones_.forget(segment);
  } else if (tombstones_.covers(segment)) {
    count_dropped(ShardCounter::tombstone_segments, ShardCounter::duplicate, segment);
    return nullptr;
  }
  if (!syn && !settings_.allow_missing_init) {
    count_dropped(ShardCounter::missing_init_refused, ShardCounter::refused, segment);
    return nullptr;
  }
  return insert(segment);
}

Connection* Shard::insert(const Segment& segment) {
  const bool is_full = table_.size() + census_.others(index_) >= settings_.connections_max;
  const bool no_place = is_full && !make_room(segment);
  const bool no_memory = pool_.exhausted();
  if (no_memory) pool_.refuse();
  Connection* connection =
      no_place || no_memory ? nullptr : table_.insert(segment.flow_hash, segment.key);
  if (connection == nullptr) {
    count_dropped(ShardCounter::connections_refused, ShardCounter::refused, segment);
    return nullptr;
  }
  census_.publish(index_, table_.size());
  counters_.add(ShardCounter::connections_opened);
  const bool syn = (segment.flags & kTcpSyn) != 0;
  if (!syn) counters_.add(ShardCounter::connections_midstream);
  connection->last_clock_ns = segment.clock_ns;
  connection->syn_seen = syn;
  if (settings_.reassembly.late_wait_ns != 0) {
    // Until the other direction announces its window.
    for (TcpStream& stream : connection->streams) stream.window = kLateLegBytes;
  }
  connection->syn_time_ns = segment.time_ns;
  connection->state = syn ? ConnectionState::kHandshake : ConnectionState::kOneSided;
  list_of(connection->state).push_back(connection);
  decide_receiver(*connection, segment);
  struct {
    FlowKey key;
    uint32_t padding = 0;
    int64_t time_ns;
  } const named{public_key(segment), 0, segment.time_ns};
  static_assert(sizeof(named) == 56);
  connection->identity.id = XXH3_64bits(&named, sizeof(named));
  connection->identity.vlan = segment.vlan;
  connection->identity.see(segment.side, segment.link_id);
  return connection;
}

// The field `receiver` (docs/messages.md): by port, else by the SYN; the first message decides the
// rest. The configured port may be the client's, too. Which side is the server is then decided by
// the SYN, or by which port is larger.
void Shard::decide_receiver(Connection& connection, const Segment& segment) {
  ConnectionIdentity& identity = connection.identity;
  const bool syn = (segment.flags & kTcpSyn) != 0;
  const Side server = (segment.flags & kTcpAck) != 0 ? segment.side : other(segment.side);
  if (!settings_.ports.matches_all()) {
    const bool low = settings_.ports.contains(identity.key.low_port);
    const bool high = settings_.ports.contains(identity.key.high_port);
    if (low != high) {
      const Side receiver = low ? Side::kLow : Side::kHigh;
      const bool is_larger = low == (identity.key.low_port > identity.key.high_port);
      identity.roles.know_port(receiver, syn ? server : receiver, !syn && is_larger);
      return;
    }
  }
  if (syn) identity.roles.know(server);
}

// The SYN of the connection itself. After its data it is captured soon, if at all. A new
// connection on the same ports begins elsewhere (RFC 9293 section 3.4.1: its number is beyond those
// of the old one).
bool Shard::owns_syn(const Connection& connection, const Segment& segment) {
  const TcpStream& stream = connection.streams[static_cast<size_t>(segment.side)];
  const TcpStream& peer = connection.streams[static_cast<size_t>(other(segment.side))];
  if (!Reassembler::owns_syn(stream, peer, segment)) return false;
  return !stream.placed || stream.origin_sequence == segment.sequence + 1 ||
         Reassembler::answers_syn(peer, segment) ||
         segment.time_ns - connection.syn_time_ns <= kLateSynNs;
}

// A SYN on a living connection, or the segment that may confirm one. Returns the connection the
// segment belongs to, nullptr when the segment is done with.
Connection* Shard::judge_syn(Connection* connection, const Segment& segment) {
  if (connection->pending.is_set) {
    Connection* judged = judge_pending(connection, segment);
    if (judged != connection) return judged;
  }
  if ((segment.flags & kTcpSyn) == 0) return connection;
  if (owns_syn(*connection, segment)) return connection;
  PendingSyn& pending = connection->pending;
  counters_.add(ShardCounter::out_of_window, segment.payload_size);
  const bool again =
      pending.is_set && pending.side == segment.side && pending.sequence == segment.sequence;
  if (again) return nullptr;
  pending.is_set = true;
  pending.side = segment.side;
  pending.sequence = segment.sequence;
  pending.acknowledgment = segment.acknowledgment;
  pending.time_ns = segment.time_ns;
  pending.window_scale = segment.window_scale;
  pending.maximum_segment_size = segment.maximum_segment_size;
  pending.with_ack = (segment.flags & kTcpAck) != 0;
  pending.payload_size =
      static_cast<uint16_t>(std::min<uint32_t>(segment.payload_wire_size, UINT16_MAX));
  return nullptr;
}

// Ends the old connection when this segment fits the pending SYN: the other side acknowledges it,
// or its own side goes on after it. Not when it goes on where the old connection is: a SYN is
// forged if the stream later passes its number, or if its sender goes on as if it had not sent it.
Connection* Shard::judge_pending(Connection* connection, const Segment& segment) {
  const PendingSyn pending = connection->pending;
  if ((segment.flags & kTcpRst) != 0) return connection;
  const bool syn = (segment.flags & kTcpSyn) != 0;
  const TcpStream& stream = connection->streams[static_cast<size_t>(segment.side)];
  const TcpStream& peer = connection->streams[static_cast<size_t>(other(segment.side))];
  if (!syn && Reassembler::continues(stream, peer, segment)) {
    if (segment.side == pending.side) connection->pending.is_set = false;
    return connection;
  }
  // What the SYN itself carried (RFC 7413) may have been taken or not.
  const auto behind_syn = [&](uint32_t sequence) {
    return sequence - (pending.sequence + 1) <= pending.payload_size;
  };
  const bool answered = segment.side != pending.side && (segment.flags & kTcpAck) != 0 &&
                        behind_syn(segment.acknowledgment);
  const bool goes_on = segment.side == pending.side && !syn && behind_syn(segment.sequence);
  if (!answered && !goes_on) return connection;
  Segment first = segment;
  first.flags = static_cast<uint8_t>(kTcpSyn | (pending.with_ack ? kTcpAck : 0));
  first.side = pending.side;
  first.sequence = pending.sequence;
  first.time_ns = pending.time_ns;
  Connection* fresh = replace(connection, first);
  if (fresh != nullptr) take_pending(*fresh, pending);
  return fresh;
}

// The new connection begins with the SYN that was pending. Its acknowledgment, if it has one, is
// where the other side begins.
void Shard::take_pending(Connection& connection, const PendingSyn& pending) {
  TcpStream& stream = connection.streams[static_cast<size_t>(pending.side)];
  stream.set_origin(pending.sequence + 1);
  stream.seen = stream.placed = stream.syn_seen = true;
  stream.window_scale = pending.window_scale;
  stream.maximum_segment_size = pending.maximum_segment_size;
  if (!pending.with_ack) return;
  TcpStream& peer = connection.streams[static_cast<size_t>(other(pending.side))];
  peer.set_origin(pending.acknowledgment);
  peer.hinted = peer.hint_is_start = true;
}

Connection* Shard::replace(Connection* connection, const Segment& segment) {
  const bool had_data = connection->state != ConnectionState::kHandshake;
  // The segment that confirms a SYN may have come from the other direction's interface.
  const std::array<uint16_t, 2> link_ids = connection->identity.link_ids;
  close(connection, Incomplete::kClosed,
        had_data && !is_ending(*connection) ? ShardCounter::connections_reused
                                            : ShardCounter::connections_closed,
        clock_ns_);
  tombstones_.forget(segment);
  Connection* fresh = insert(segment);
  const auto from = static_cast<size_t>(segment.side);
  if (fresh != nullptr && link_ids[from] != 0) fresh->identity.link_ids[from] = link_ids[from];
  return fresh;
}

}  // namespace tcp_sniffer
