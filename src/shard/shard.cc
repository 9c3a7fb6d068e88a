#include "shard/shard.h"

#include <xxhash.h>

#include <algorithm>
#include <span>
#include <utility>

namespace tcp_sniffer {

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

Shard::Shard(uint32_t index, const ShardSettings& settings, ConnectionCensus& census,
             LineQueue& lines, bool may_wait_for_output, EventSink& events)
    : index_(index),
      settings_(settings),
      census_(census),
      events_(events),
      pool_(settings.memory_bytes_max),
      output_(lines, may_wait_for_output),
      lines_(settings.lines, settings.number_frames, settings.bodies, pool_, output_, counters_),
      http_(settings.http, pool_, counters_, lines_, events),
      emitter_(counters_, lines_),
      pop3_({settings.http.body_max}, pool_, counters_, emitter_),
      reassembler_(pool_, counters_, settings.reassembly) {}

void Shard::process(const PacketBlock& block) {
  if (block.order == BlockOrder::kRebase) rebase(block.rebase_from_ns, block.clock_ns);
  if (!block.drops.empty()) [[unlikely]]
    note_drops(block.drops);
  const std::span<const Segment> segments(block.segments.data(), block.count);
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
    }
  }
  recent_.remember(segments);
  if (settings_.trace != nullptr) settings_.trace->flush();
  clock_ns_ = std::max(clock_ns_, block.clock_ns);
  sweep(clock_ns_);
  if (pool_.is_short()) [[unlikely]]
    relieve_memory();
  if (block.order == BlockOrder::kDrain) drain();
  publish();
}

void Shard::drain() {
  sweep(clock_ns_);
  for (const ConnectionState state : {ConnectionState::kReset, ConnectionState::kClosing,
                                      ConnectionState::kEstablished, ConnectionState::kHandshake}) {
    while (Connection* connection = list_of(state).front()) {
      close(connection, Incomplete::kShutdown, ShardCounter::connections_drained);
    }
  }
  tombstones_.clear();
  lines_.release_memory();
  clock_ns_ = 0;
  publish();
}

void Shard::publish() {
  counters_.set(ShardCounter::connections_open, table_.size());
  counters_.set(ShardCounter::connections_half_open, list_of(ConnectionState::kHandshake).size());
  counters_.set(ShardCounter::memory_bytes, pool_.used_bytes());
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

// ---------------------------------------------------------------- overload

// What the capture thread had to drop of connections that live. Bytes that had come before leave no
// hole; a connection that nothing is known of begins in its middle.
void Shard::note_drops(std::span<const DropNote> drops) {
  for (const DropNote& note : drops) {
    Connection* connection = table_.find(note.flow_hash, note.key);
    if (connection == nullptr) continue;
    const auto side = static_cast<size_t>(note.side);
    const TcpStream& stream = connection->streams[side];
    if (stream.seen && stream.offset_of(note.end_sequence) <= stream.head) continue;
    uint32_t& bytes = dropped_bytes_[connection][side];
    bytes = static_cast<uint32_t>(std::min<uint64_t>(bytes + note.bytes, UINT32_MAX));
  }
}

// For the event, empty where nothing is known of it; bytes that this program dropped are counted as
// such, once.
const char* Shard::cause_of_gap(const Connection& connection, Side side, uint64_t length,
                                GapCause cause) {
  if (dropped_bytes_.empty() || cause == GapCause::kSnaplen) return "";
  const auto found = dropped_bytes_.find(&connection);
  if (found == dropped_bytes_.end()) return "";
  uint32_t& dropped = found->second[static_cast<size_t>(side)];
  if (dropped == 0) return "";
  const auto of_gap = static_cast<uint32_t>(std::min<uint64_t>(dropped, length));
  dropped -= of_gap;
  counters_.add(ShardCounter::missing_overload, of_gap);
  return "overload";
}

// ---------------------------------------------------------------- one segment

void Shard::handle(const Segment& segment) {
  counters_.add(ShardCounter::segments);
  counters_.add(ShardCounter::captured, segment.payload_size);
  clock_ns_ = std::max(clock_ns_, segment.clock_ns);
  Connection* connection = table_.find(segment.flow_hash, segment.key);
  if (connection != nullptr) {
    if (expired(*connection, segment.clock_ns)) {
      close_expired(connection);
      connection = nullptr;
    } else if (connection->in_hole_list) {
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
  if (!stream.seen && !Reassembler::knows_start(stream, segment)) {
    HttpEngine::start_midstream(connection->http, segment.side);
    if (connection->pop3 != nullptr) Pop3Engine::start_midstream(*connection->pop3, segment.side);
  }
  if ((segment.flags & kTcpSyn) != 0) {
    stream.window_scale = segment.window_scale;
    stream.maximum_segment_size = segment.maximum_segment_size;
  }
  Handler handler(*this, *connection, segment.clock_ns, segment.frame);
  reassembler_.on_segment(connection->streams, handler, segment);
  settle(connection, segment);
}

// Both ends are reached, or one by a RST with nothing under way from the other: that may still
// pass the tap.
bool Shard::is_over(const Connection& connection) {
  const TcpStream& low = connection.streams[0];
  const TcpStream& high = connection.streams[1];
  if (low.ended && high.ended) return true;
  const TcpStream& ended = low.ended ? low : high;
  if (!ended.ended || !ended.reset) return false;
  const TcpStream& open = low.ended ? high : low;
  const Side open_side = low.ended ? Side::kHigh : Side::kLow;
  return !open.has_waiting() && !HttpEngine::in_message(connection.http, open_side) &&
         connection.http.streams[static_cast<size_t>(open_side)].phase !=
             HttpPhase::kBodyUntilClose;
}

// The verdicts on the connection's holes up to `clock_ns`. True: they ended the connection.
bool Shard::judge_holes(Connection* connection, int64_t clock_ns) {
  Handler handler(*this, *connection, clock_ns);
  reassembler_.advance_clock(connection->streams, handler, clock_ns);
  if (!is_over(*connection)) return false;
  // By the connection's own time, so that it does not matter who notices.
  const int64_t now_ns = std::exchange(clock_ns_, connection->last_clock_ns);
  close(connection, Incomplete::kClosed, ShardCounter::connections_closed);
  clock_ns_ = now_ns;
  return true;
}

// After a segment: state, place in the lists, end.
void Shard::settle(Connection* connection, const Segment& segment) {
  connection->last_clock_ns = segment.clock_ns;
  if (connection->state == ConnectionState::kHandshake && (segment.flags & kTcpSyn) == 0) {
    if (connection->syn_seen && connection->streams[0].syn_seen &&
        connection->streams[1].syn_seen) {
      const int64_t took_us = (segment.time_ns - connection->syn_time_ns) / 1000;
      connection->identity.connect_us =
          static_cast<int32_t>(std::clamp<int64_t>(took_us, 0, INT32_MAX));
    }
    set_state(connection, ConnectionState::kEstablished);
  } else {
    list_of(connection->state).move_to_back(connection);
  }
  const TcpStreams& streams = connection->streams;
  if (streams[0].ended || streams[1].ended) [[unlikely]] {
    if (is_over(*connection)) {
      close(connection, Incomplete::kClosed, ShardCounter::connections_closed);
      return;
    }
    const bool reset = streams[0].reset || streams[1].reset;
    const ConnectionState state = reset ? ConnectionState::kReset : ConnectionState::kClosing;
    if (connection->state != state) set_state(connection, state);
  }
  track_hole(connection);
}

void Shard::set_state(Connection* connection, ConnectionState state) {
  list_of(connection->state).remove(connection);
  connection->state = state;
  list_of(state).push_back(connection);
}

void Shard::track_hole(Connection* connection) {
  const bool timed = Reassembler::timed(connection->streams);
  if (timed == connection->in_hole_list) return;
  connection->in_hole_list = timed;
  if (timed) {
    holes_.push_back(connection);
  } else {
    holes_.remove(connection);
  }
}

// netcap's options: what a receiver would have refused.
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

// ---------------------------------------------------------------- beginning and end

// The segment of a key without a connection: nullptr when it begins none.
Connection* Shard::open(const Segment& segment) {
  const bool syn = (segment.flags & kTcpSyn) != 0;
  if (!syn && segment.payload_wire_size <= 1) {
    // Nothing, or the byte of a keep-alive probe (RFC 9293 section 3.8.4), which was sent before.
    counters_.add(ShardCounter::duplicate, segment.payload_size);
    return nullptr;
  }
  if (syn) {
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
  if (table_.size() + census_.others(index_) >= settings_.connections_max) {
    make_room(segment.clock_ns);
  }
  const bool no_memory = pool_.exhausted();
  if (no_memory) pool_.refuse();
  Connection* connection = no_memory ? nullptr : table_.insert(segment.flow_hash, segment.key);
  if (connection == nullptr) {
    count_dropped(ShardCounter::connections_refused, ShardCounter::refused, segment);
    return nullptr;
  }
  counters_.add(ShardCounter::connections_opened);
  const bool syn = (segment.flags & kTcpSyn) != 0;
  if (!syn) counters_.add(ShardCounter::connections_midstream);
  connection->last_clock_ns = segment.clock_ns;
  connection->syn_seen = syn;
  connection->syn_time_ns = segment.time_ns;
  connection->state = syn ? ConnectionState::kHandshake : ConnectionState::kEstablished;
  list_of(connection->state).push_back(connection);
  decide_receiver(*connection, segment);
  struct {
    FlowKey key;
    uint32_t padding = 0;
    int64_t time_ns;
  } const named{segment.key, 0, segment.time_ns};
  static_assert(sizeof(named) == 56);
  connection->identity.id = XXH3_64bits(&named, sizeof(named));
  connection->identity.vlan = segment.vlan;
  connection->identity.link_id = segment.link_id;
  return connection;
}

// CONTRACT, field `receiver`: by port, else by the SYN; the first message decides the rest.
void Shard::decide_receiver(Connection& connection, const Segment& segment) {
  ConnectionIdentity& identity = connection.identity;
  if (!settings_.ports.matches_all()) {
    const bool low = settings_.ports.contains(identity.key.low_port);
    const bool high = settings_.ports.contains(identity.key.high_port);
    if (low != high) {
      identity.receiver = low ? Side::kLow : Side::kHigh;
      identity.receiver_known = true;
      return;
    }
  }
  if ((segment.flags & kTcpSyn) == 0) return;
  identity.receiver = (segment.flags & kTcpAck) != 0 ? segment.side : other(segment.side);
  identity.receiver_known = true;
}

// The SYN of a connection that was met by its data: captured behind them, and in front of them in
// the stream. A new connection on the same ports begins elsewhere (RFC 9293 section 3.4.1: its
// number is beyond those of the old one).
bool Shard::is_late_syn(const Connection& connection, const TcpStream& stream,
                        const Segment& segment) {
  if (stream.syn_seen || segment.time_ns - connection.syn_time_ns > kLateSynNs) return false;
  const uint64_t begin = stream.offset_of(segment.sequence + 1);
  return begin <= stream.head && stream.head - begin < kWindowMin;
}

// A SYN on a living connection, or the segment that may confirm one. Returns the connection the
// segment belongs to, nullptr when the segment is done with.
Connection* Shard::judge_syn(Connection* connection, const Segment& segment) {
  if (connection->pending.is_set) {
    Connection* judged = judge_pending(connection, segment);
    if (judged != connection) return judged;
  }
  if ((segment.flags & kTcpSyn) == 0) return connection;
  TcpStream& stream = connection->streams[static_cast<size_t>(segment.side)];
  if (!stream.seen || stream.origin_sequence == segment.sequence + 1) return connection;
  if (is_late_syn(*connection, stream, segment)) return connection;
  PendingSyn& pending = connection->pending;
  counters_.add(ShardCounter::out_of_window, segment.payload_size);
  const bool again =
      pending.is_set && pending.side == segment.side && pending.sequence == segment.sequence;
  if (again) return nullptr;
  pending.is_set = true;
  pending.side = segment.side;
  pending.sequence = segment.sequence;
  pending.time_ns = segment.time_ns;
  pending.window_scale = segment.window_scale;
  pending.maximum_segment_size = segment.maximum_segment_size;
  pending.with_ack = (segment.flags & kTcpAck) != 0;
  pending.payload_size = static_cast<uint16_t>(segment.payload_wire_size);
  return nullptr;
}

// Ends the old connection when this segment fits the pending SYN: the other side acknowledges it,
// or its own side goes on behind it.
Connection* Shard::judge_pending(Connection* connection, const Segment& segment) {
  const PendingSyn pending = connection->pending;
  if ((segment.flags & kTcpRst) != 0) return connection;
  // What the SYN itself carried (RFC 7413) may have been taken or not.
  const auto behind_syn = [&](uint32_t sequence) {
    return sequence - (pending.sequence + 1) <= pending.payload_size;
  };
  const bool answered = segment.side != pending.side && (segment.flags & kTcpAck) != 0 &&
                        behind_syn(segment.acknowledgment);
  const bool goes_on = segment.side == pending.side && (segment.flags & kTcpSyn) == 0 &&
                       behind_syn(segment.sequence);
  if (!answered && !goes_on) return connection;
  Segment syn = segment;
  syn.flags = static_cast<uint8_t>(kTcpSyn | (pending.with_ack ? kTcpAck : 0));
  syn.side = pending.side;
  syn.sequence = pending.sequence;
  syn.time_ns = pending.time_ns;
  Connection* fresh = replace(connection, syn);
  if (fresh == nullptr) return nullptr;
  TcpStream& stream = fresh->streams[static_cast<size_t>(pending.side)];
  stream.set_origin(pending.sequence + 1);
  stream.seen = stream.syn_seen = true;
  stream.window_scale = pending.window_scale;
  stream.maximum_segment_size = pending.maximum_segment_size;
  return fresh;
}

Connection* Shard::replace(Connection* connection, const Segment& segment) {
  const bool had_data = connection->state != ConnectionState::kHandshake;
  close(connection, Incomplete::kClosed,
        had_data ? ShardCounter::connections_reused : ShardCounter::connections_closed);
  tombstones_.forget(segment);
  return insert(segment);
}

// Judged by the connection's own times, so that it does not matter who notices.
void Shard::close_expired(Connection* connection) {
  const bool reset = connection->state == ConnectionState::kReset;
  const int64_t clock_ns =
      std::exchange(clock_ns_, connection->last_clock_ns + timeout_of(*connection));
  close(connection, reset ? Incomplete::kClosed : Incomplete::kIdle,
        reset ? ShardCounter::connections_closed : ShardCounter::connections_idle);
  clock_ns_ = clock_ns;
}

void Shard::close(Connection* connection, Incomplete cause, ShardCounter reason) {
  Handler handler(*this, *connection, clock_ns_);
  reassembler_.flush(connection->streams, handler, clock_ns_);
  if (connection->pop3 != nullptr) {
    pop3_.close(connection->pop3, connection->identity, cause);
  } else {
    http_.close(handler.context, cause);
  }
  reassembler_.release(connection->streams);
  counters_.add(reason);
  const TcpStreams& streams = connection->streams;
  if (connection->state != ConnectionState::kHandshake && streams[0].seen != streams[1].seen) {
    counters_.add(ShardCounter::connections_one_sided);
  }
  if (cause == Incomplete::kClosed) tombstones_.bury(*connection, clock_ns_);
  if (connection->in_hole_list) holes_.remove(connection);
  list_of(connection->state).remove(connection);
  if (!dropped_bytes_.empty()) [[unlikely]]
    dropped_bytes_.erase(connection);
  table_.erase(connection);
}

// ---------------------------------------------------------------- time and room

int64_t Shard::timeout_of(const Connection& connection) const {
  return connection.state == ConnectionState::kReset
             ? std::min(kTombstoneNs, settings_.idle_timeout_ns)
             : settings_.idle_timeout_ns;
}

bool Shard::expired(const Connection& connection, int64_t clock_ns) const {
  return clock_ns - connection.last_clock_ns >= timeout_of(connection);
}

void Shard::sweep(int64_t clock_ns) {
  for (const ActivityList& list : lists_) {
    while (!list.empty() && expired(*list.front(), clock_ns)) close_expired(list.front());
  }
  while (Connection* connection = holes_.front()) {
    if (reassembler_.deadline_ns(connection->streams) > clock_ns) break;
    if (judge_holes(connection, clock_ns)) continue;
    holes_.remove(connection);
    connection->in_hole_list = false;
    track_hole(connection);
  }
}

// Packet time has jumped: what was active since `from_ns` belongs to the time after the jump.
void Shard::rebase(int64_t from_ns, int64_t to_ns) {
  for (ActivityList& list : lists_) {
    for (Connection* connection = list.back();
         connection != nullptr && connection->last_clock_ns >= from_ns;
         connection = connection->by_activity.previous) {
      connection->last_clock_ns = to_ns;
      for (TcpStream& stream : connection->streams) {
        if (stream.hole_since_ns >= from_ns) stream.hole_since_ns = to_ns;
      }
    }
  }
}

// A slot for a new connection: the one that is missed least goes.
void Shard::make_room(int64_t clock_ns) {
  sweep(clock_ns);
  if (table_.size() + census_.others(index_) < settings_.connections_max) return;
  constexpr struct {
    ConnectionState state;
    const char* name;
  } kOrder[] = {{ConnectionState::kReset, "closing"},
                {ConnectionState::kClosing, "closing"},
                {ConnectionState::kHandshake, "half-open"},
                {ConnectionState::kEstablished, "least recently active"}};
  for (const auto& [state, name] : kOrder) {
    if (Connection* connection = list_of(state).front()) {
      evict(connection, name);
      return;
    }
  }
}

void Shard::evict(Connection* connection, const char* from) {
  EventRecord record;
  record.kind = EventKind::kConnectionEvicted;
  record.detail = from;
  record.key = connection->identity.key;
  record.side = connection->identity.receiver;
  record.connection_id = connection->identity.id;
  record.time_ns = clock_ns_;
  if (!events_.put(record)) counters_.add(ShardCounter::events_dropped);
  close(connection, Incomplete::kEvicted, ShardCounter::connections_evicted);
}

}  // namespace tcp_sniffer
