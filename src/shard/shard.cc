#include "shard/shard.h"

#include <algorithm>
#include <memory>
#include <span>

#include "shard/shard_handler.h"

namespace tcp_sniffer {
namespace {

LineOutput::Settings output_settings(const ShardSettings& settings, bool may_wait) {
  const LineOptions& lines = settings.lines;
  return {.may_wait = may_wait,
          .blocks_max = settings.line_blocks_max,
          .notes_records = lines.by_exchange || lines.format == LineOptions::kPretty ||
                           settings.protocols.gives_parts(),
          .framed = lines.format == LineOptions::kFramed || lines.format == LineOptions::kPacked,
          .marks_lines = settings.marks_lines};
}

}  // namespace

Shard::Shard(uint32_t index, const ShardSettings& settings, ConnectionCensus& census,
             LineQueue& lines, bool may_wait_for_output, EventSink& events)
    : index_(index),
      settings_(settings),
      gives_parts_(settings.protocols.gives_parts()),
      census_(census),
      events_(events),
      pool_(settings.memory_bytes_max),
      output_(lines, pool_, output_settings(settings, may_wait_for_output)),
      lines_(settings.lines, settings.number_frames, settings.bodies, settings.redaction,
             settings.choice, settings.limit, pool_, output_, counters_),
      protocols_(settings.protocols, pool_, counters_, lines_, events),
      reassembler_(pool_, counters_, settings.reassembly) {}

Shard::~Shard() {
  delete change_.load(std::memory_order_acquire);
}

void Shard::change(const ShardSettings& settings) {
  auto change = std::make_unique<Change>(Change{
      settings.protocols,
      LineChange(settings.lines, settings.bodies, settings.redaction, settings.choice, pool_)});
  delete change_.exchange(change.release(), std::memory_order_acq_rel);
}

void Shard::take_change() {
  const std::unique_ptr<Change> change(change_.exchange(nullptr, std::memory_order_acq_rel));
  protocols_.change(change->protocols);
  lines_.change(change->lines, clock_ns_);
}

void Shard::begin(const PacketBlock& block) {
  if (change_.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
    take_change();
  if (block.order == BlockOrder::kRebase) rebase(block.rebase_from_ns, block.clock_ns);
  if (!block.drops.empty()) [[unlikely]]
    note_drops(block.drops);
}

void Shard::take(std::span<const Segment> segments) {
  // Far enough ahead that the slot and then the connection arrive before they are needed.
  constexpr size_t kSlotAhead = 16;
  constexpr size_t kConnectionAhead = 8;
  for (size_t i = 0; i < std::min(kSlotAhead, segments.size()); i++) {
    table_.prefetch(segments[i].flow_hash);
  }
  for (size_t i = 0; i < segments.size(); i++) {
    if (i + kSlotAhead < segments.size()) {
      const Segment& ahead = segments[i + kSlotAhead];
      table_.prefetch(ahead.flow_hash);
      if ((ahead.flags & (kTcpSyn | kTcpFin)) != 0) tombstones_.prefetch(ahead.flow_hash);
    }
    if (i + kConnectionAhead < segments.size()) {
      table_.prefetch_connection(segments[i + kConnectionAhead].flow_hash);
    }
    if (settings_.trace == nullptr) [[likely]] {
      handle(segments[i]);
    } else {
      handle_traced(segments[i]);
    }
    if (counters_.get(ShardCounter::duplicate) != duplicate_bytes_) [[unlikely]] {
      const uint64_t again = counters_.get(ShardCounter::duplicate) - duplicate_bytes_;
      duplicate_bytes_ += again;
      const uint32_t size = segments[i].payload_size;
      if (size > 0 && again >= size && recent_.is_copy(segments, i)) {
        counters_.add(ShardCounter::duplicate_frames);
      }
      // Bytes that wait are compared where they are.
      if (counters_.get(ShardCounter::conflicting) == conflicting_bytes_) {
        counters_.add(ShardCounter::conflicting, recent_.conflicting_bytes(segments, i));
      }
      conflicting_bytes_ = counters_.get(ShardCounter::conflicting);
    }
  }
  recent_.remember(segments);
  if (settings_.trace != nullptr) settings_.trace->flush();
}

void Shard::finish(const PacketBlock& block, int64_t clock_ns) {
  clock_ns_ = std::max(clock_ns_, clock_ns);
  sweep(clock_ns_);
  output_.collect();
  if (pool_.is_short() || pool_.is_tight()) [[unlikely]]
    relieve_memory();
  if (block.order == BlockOrder::kDrain) drain();
  publish();
}

void Shard::drain() {
  sweep(clock_ns_);
  while (Connection* connection = next_to_drain()) {
    close(connection, Incomplete::kShutdown,
          is_ending(*connection) ? ShardCounter::connections_closed
                                 : ShardCounter::connections_drained,
          clock_ns_);
  }
  tombstones_.clear();
  lines_.release_memory();
  clock_ns_ = 0;
  publish();
}

// Those that were ending, then all in the order of their last segments, then those with a SYN only.
Connection* Shard::next_to_drain() {
  for (const ConnectionState state : {ConnectionState::kEnding, ConnectionState::kClosing}) {
    if (Connection* connection = list_of(state).front()) return connection;
  }
  Connection* one_sided = list_of(ConnectionState::kOneSided).front();
  Connection* established = list_of(ConnectionState::kEstablished).front();
  if (established == nullptr && one_sided == nullptr) {
    return list_of(ConnectionState::kHandshake).front();
  }
  const bool one_sided_next =
      established == nullptr ||
      (one_sided != nullptr && one_sided->last_clock_ns < established->last_clock_ns);
  return one_sided_next ? one_sided : established;
}

void Shard::publish() {
  counters_.set(ShardCounter::connections_open, table_.size());
  counters_.set(ShardCounter::connections_half_open, list_of(ConnectionState::kHandshake).size());
  // Lines are on their way, and are not this shard's memory when it has ended.
  counters_.set(ShardCounter::memory_bytes, pool_.used_bytes() - output_.charged_bytes());
  counters_.set(ShardCounter::memory_refusals, pool_.refusals());
  counters_.set(ShardCounter::tombstones_forgotten, tombstones_.forgotten_early());
  counters_.set(ShardCounter::line_bytes, output_.line_bytes());
  counters_.publish();
  lines_.publish();
  census_.publish(index_, table_.size());
}

void Shard::count_dropped(ShardCounter reason, ShardCounter bytes, const Segment& segment) {
  counters_.add(reason);
  counters_.add(bytes, segment.payload_size);
}

// ---------------------------------------------------------------- one segment

void Shard::handle(const Segment& segment) {
  counters_.add(ShardCounter::segments);
  counters_.add(ShardCounter::captured, segment.payload_size);
  clock_ns_ = std::max(clock_ns_, segment.clock_ns);
  Connection* connection = table_.find(segment.flow_hash, segment.key);
  if (connection != nullptr) {
    if (gives_parts_ && !pass_time(connection, segment.clock_ns)) [[unlikely]] {
      connection = nullptr;
    } else if (expired(*connection, segment.clock_ns)) {
      close_expired(connection);
      connection = nullptr;
    } else if (connection->hole_list != HoleList::kNone) {
      if (judge_holes(connection, segment.clock_ns)) connection = nullptr;
    }
  }
  if (connection == nullptr) {
    connection = open(segment);
  } else if ((segment.flags & kTcpSyn) != 0 || connection->pending.is_set) [[unlikely]] {
    connection = judge_syn(connection, segment);
  }
  if (connection == nullptr) return;
  if (!accepts(*connection, segment)) return;

  TcpStream& stream = connection->streams[static_cast<size_t>(segment.side)];
  if ((segment.flags & kTcpSyn) != 0 && !stream.syn_seen) {
    stream.window_scale = segment.window_scale;
    stream.maximum_segment_size = segment.maximum_segment_size;
    connection->identity.see(segment.side, segment.link_id);
  }
  Handler handler(*this, *connection, segment.clock_ns, segment.frame);
  if (reassembler_.on_segment(connection->streams, handler, segment)) [[likely]] {
    if (settings_.notes_unread && segment.payload_size >= kPayloadHeadBytes) [[unlikely]]
      note_unread(*connection, segment);
    settle(connection, segment);
  } else {
    // Nobody has to believe that it came from either end.
    track_hole(connection);
  }
}

// Both ends are final; or a SYN was refused. Nothing else ends at once: what is under way may still
// pass the tap, or prove a RST forged.
bool Shard::is_over(const Connection& connection) {
  const TcpStream& low = connection.streams[0];
  const TcpStream& high = connection.streams[1];
  if (low.end_reported && high.end_reported) return true;
  return connection.state == ConnectionState::kHandshake &&
         ((low.was_reset() && !low.syn_seen) || (high.was_reset() && !high.syn_seen));
}

// A RST stands, or both ends do, and only what they may still be proven wrong by is waited for.
bool Shard::is_ending(const Connection& connection) {
  const TcpStream& low = connection.streams[0];
  const TcpStream& high = connection.streams[1];
  return low.was_reset() || high.was_reset() || (low.end_stands() && high.end_stands());
}

// After a segment: state, place in the lists, end.
void Shard::settle(Connection* connection, const Segment& segment) {
  connection->last_clock_ns = segment.clock_ns;
  if (connection->state == ConnectionState::kHandshake &&
      (segment.flags & (kTcpSyn | kTcpRst)) == 0) {
    if (connection->syn_seen && connection->streams[0].syn_seen &&
        connection->streams[1].syn_seen) {
      const int64_t took_us = (segment.time_ns - connection->syn_time_ns) / 1000;
      connection->identity.connect_us =
          static_cast<int32_t>(std::clamp<int64_t>(took_us, 0, INT32_MAX));
    }
    connection->identity.see(segment.side, segment.link_id);
    set_state(connection, has_two_sides(*connection) ? ConnectionState::kEstablished
                                                     : ConnectionState::kOneSided);
  } else if (connection->state == ConnectionState::kOneSided && has_two_sides(*connection)) {
    connection->identity.see(segment.side, segment.link_id);
    set_state(connection, ConnectionState::kEstablished);
  } else {
    list_of(connection->state).move_to_back(connection);
  }
  // An end is claimed, or was and is taken back.
  const TcpStreams& streams = connection->streams;
  if ((streams[0].fin_offset & streams[1].fin_offset) != kNoOffset ||
      connection->state >= ConnectionState::kClosing) [[unlikely]] {
    if (is_over(*connection)) {
      close(connection, Incomplete::kClosed, ShardCounter::connections_closed, clock_ns_);
      return;
    }
    ConnectionState state = connection->state;
    if (state >= ConnectionState::kClosing) {
      state =
          has_two_sides(*connection) ? ConnectionState::kEstablished : ConnectionState::kOneSided;
    }
    if (streams[0].ended || streams[1].ended) state = ConnectionState::kClosing;
    if (is_ending(*connection)) state = ConnectionState::kEnding;
    if (connection->state != state) set_state(connection, state);
  }
  if (connection->hole_list != HoleList::kNone || Reassembler::timed(streams)) [[unlikely]]
    track_hole(connection);
}

void Shard::set_state(Connection* connection, ConnectionState state) {
  list_of(connection->state).remove(connection);
  connection->state = state;
  list_of(state).push_back(connection);
}

// checkTcpOptions and ignoreFsmErrors: what a receiver would have refused.
bool Shard::accepts(const Connection& connection, const Segment& segment) {
  if (settings_.ignore_fsm_errors && !settings_.check_tcp_options) [[likely]]
    return true;
  const TcpStream& stream = connection.streams[static_cast<size_t>(segment.side)];
  const TcpStream& peer = connection.streams[static_cast<size_t>(other(segment.side))];
  if (segment.payload_wire_size == 0) return true;
  if (!settings_.ignore_fsm_errors) {
    // RFC 9293 section 3.10.7: data needs an ACK except with a SYN (RFC 7413), nothing follows a
    // FIN, and a server speaks only after its SYN.
    const bool behind_end =
        stream.seen && stream.fin_offset != kNoOffset &&
        stream.offset_of(segment.sequence) + segment.payload_wire_size > stream.fin_offset;
    const bool without_ack = (segment.flags & (kTcpAck | kTcpSyn)) == 0;
    const bool before_syn =
        connection.syn_seen && !stream.syn_seen && (segment.flags & kTcpSyn) == 0;
    if (behind_end || without_ack || before_syn) {
      count_dropped(ShardCounter::fsm_refused, ShardCounter::refused, segment);
      return false;
    }
  }
  if (settings_.check_tcp_options && stream.syn_seen && peer.syn_seen) {
    // The peer announces what it takes: RFC 9293 section 3.7.1 (MSS), section 3.8.6 (window).
    const bool too_large =
        peer.maximum_segment_size != 0 && segment.payload_wire_size > peer.maximum_segment_size;
    const uint64_t end = stream.offset_of(segment.sequence) + segment.payload_wire_size;
    const bool beyond_window =
        stream.window != 0 && end > std::max(stream.acked, stream.head) + stream.window;
    if (too_large || beyond_window) {
      count_dropped(ShardCounter::options_refused, ShardCounter::refused, segment);
      return false;
    }
  }
  return true;
}

// ---------------------------------------------------------------- end

// Everything that the end decides is judged at `clock_ns`.
void Shard::close(Connection* connection, Incomplete cause, ShardCounter reason, int64_t clock_ns) {
  // What is missing then was never sent, whatever made us look.
  if (cause != Incomplete::kClosed && is_ending(*connection)) cause = Incomplete::kClosed;
  Handler handler(*this, *connection, clock_ns, 0, cause);
  reassembler_.flush(connection->streams, handler, clock_ns);
  handler.protocol.close();
  reassembler_.release(connection->streams);
  counters_.add(reason);
  const TcpStreams& streams = connection->streams;
  if (connection->state != ConnectionState::kHandshake && streams[0].seen != streams[1].seen) {
    counters_.add(ShardCounter::connections_one_sided);
  }
  if (cause == Incomplete::kClosed) tombstones_.bury(*connection, clock_ns);
  if (connection->hole_list != HoleList::kNone) holes_of(connection->hole_list).remove(connection);
  list_of(connection->state).remove(connection);
  overload_.forget(*connection);
  table_.erase(connection);
}

}  // namespace tcp_sniffer
