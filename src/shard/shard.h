#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/defaults.h"
#include "core/message/event_record.h"
#include "core/net/packet_block.h"
#include "core/net/port_set.h"
#include "core/protocol/protocols.h"
#include "core/redaction/rules.h"
#include "core/tcp/reassembler.h"
#include "core/tcp/segment_trace.h"
#include "core/where/exchange_choice.h"
#include "shard/census.h"
#include "shard/connection_table.h"
#include "shard/line_output.h"
#include "shard/overload_notes.h"
#include "shard/recent_segments.h"
#include "shard/shard_lines.h"
#include "shard/tombstones.h"

namespace tcp_sniffer {

struct ShardSettings {
  ProtocolSettings protocols;
  ReassemblySettings reassembly;
  LineOptions lines;
  RedactionRules redaction;
  ChoiceRules choice;
  PortSet ports;
  int64_t idle_timeout_ns = defaults::kConnectionIdleTimeoutMs * 1'000'000;
  uint64_t connections_max = defaults::kMaxConcurrentConnections;  // over all shards
  size_t memory_bytes_max = defaults::kMemoryLimit;                // this shard's share
  uint32_t line_blocks_max = LineOutput::kBlocksForWaiting;
  bool marks_lines = false;  // the output needs to know whose lines are in a block
  bool allow_missing_init = true;
  bool ignore_fsm_errors = true;
  bool check_tcp_options = false;
  BodySettings bodies;
  ExchangeLimit* limit = nullptr;  // count: of all shards; outlives them
  SegmentTrace* trace = nullptr;   // debug: this shard's own; outlives it
  bool number_frames = true;       // files: firstFrame and lastFrame have a meaning
  bool notes_unread = false;       // notes for the capture thread what it need not copy
};

// One share of the connections and all that belongs to them: table, reassembly, protocols,
// lines, memory, counters. Takes packet blocks and runs each to completion; shares nothing with
// other shards but the published counters and the census.
//
// Time is the packet clock that comes with the segments. A timeout is judged at a connection's
// next segment by that segment's clock; sweeps only reach the same verdict earlier, so what comes
// out does not depend on how segments are cut into blocks.
//
// One thread at a time: its own, with `shards: 0` the capture thread, of a team each in its turn.
class Shard {
 public:
  Shard(uint32_t index, const ShardSettings& settings, ConnectionCensus& census, LineQueue& lines,
        bool may_wait_for_output, EventSink& events);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // From its next block on the shard takes what may change from these settings: the fields that are
  // selected, the choice among exchanges, what is hidden, and what these ask of messages
  // (Protocols::change). All other settings are those that it was made with. Any thread, one at a
  // time; waits for nothing.
  void change(const ShardSettings& settings);

  // Takes every segment of the block, then its order. The block's memory is free afterwards.
  void process(const PacketBlock& block) {
    begin(block);
    take({block.segments.data(), block.count});
    finish(block, block.clock_ns);
  }
  // The same in steps, so that the segments of several blocks can be taken in turn: what comes
  // before a block's segments, some of them, and what comes after the last one. No block that is
  // finished later has a segment whose clock is before `clock_ns`.
  void begin(const PacketBlock& block);
  void take(std::span<const Segment> segments);
  void finish(const PacketBlock& block, int64_t clock_ns);

  // Aborts when an invariant of the shard or of a part of it is broken. Walks over everything: for
  // tests, between two blocks.
  void check_invariants() const;

  // With `notes_unread`: what the block just processed has shown, in the place of what is in
  // `notes`.
  void take_unread_notes(std::vector<UnreadNote>& notes);

  // Ends all connections, as at the end of the capture.
  void drain();

  LineOutput& output() { return output_; }
  const ShardCounters& counters() const { return counters_; }
  const Histogram& latencies() const { return lines_.latencies(); }
  // Not while the shard runs; nullptr: none are taken.
  const ExchangeNotes* notes() const { return lines_.notes(); }

 private:
  struct Handler;  // the StreamProtocol of one connection
  struct Change {
    ProtocolSettings protocols;
    LineChange lines;
  };
  using ActivityList = ConnectionList<&Connection::by_activity>;

  void take_change();
  void note_drops(std::span<const DropNote> drops);
  void note_unread(const Connection& connection, const Segment& segment);
  void report_gap(Connection& connection, Side side, uint64_t length, GapCause cause,
                  int64_t clock_ns);
  void put_event(const Connection& connection, EventRecord& record);
  void handle(const Segment& segment);
  void handle_traced(const Segment& segment);
  Connection* open(const Segment& segment);
  Connection* insert(const Segment& segment);
  static bool owns_syn(const Connection& connection, const Segment& segment);
  void take_pending(Connection& connection, const PendingSyn& pending);
  Connection* judge_syn(Connection* connection, const Segment& segment);
  Connection* judge_pending(Connection* connection, const Segment& segment);
  Connection* replace(Connection* connection, const Segment& segment);
  bool accepts(const Connection& connection, const Segment& segment);
  void settle(Connection* connection, const Segment& segment);
  static bool is_over(const Connection& connection);
  static bool is_ending(const Connection& connection);
  static bool has_two_sides(const Connection& connection) {
    return connection.streams[0].seen && connection.streams[1].seen;
  }
  bool judge_holes(Connection* connection, int64_t clock_ns);
  bool pass_time(Connection* connection, int64_t clock_ns);
  void set_state(Connection* connection, ConnectionState state);
  void decide_receiver(Connection& connection, const Segment& segment);

  void close(Connection* connection, Incomplete cause, ShardCounter reason, int64_t clock_ns);
  void close_expired(Connection* connection);
  void sweep(int64_t clock_ns);
  void rebase(int64_t from_ns, int64_t to_ns);
  int64_t timeout_of(const Connection& connection) const;
  bool expired(const Connection& connection, int64_t clock_ns) const;
  bool make_room(const Segment& segment);
  bool may_displace(const Segment& segment) const;
  void prefetch_next(const ActivityList& list) const;
  void evict(Connection* connection, const char* from);
  void relieve_memory();
  bool give_up_idle(ActivityList& list);
  void give_up_burdens(uint32_t least);
  template <typename Wanted>
  void give_up_where(const Wanted& wanted);
  Connection* next_to_drain();
  void track_hole(Connection* connection);
  HoleList hole_list_of(const Connection& connection) const;
  void count_dropped(ShardCounter reason, ShardCounter bytes, const Segment& segment);
  void publish();
  static bool holds_memory(const Connection& connection);
  size_t held_bytes(const Connection& connection) const;

  ConnectionList<&Connection::by_hole>& holes_of(HoleList list) {
    return holes_[static_cast<size_t>(list) - 1];
  }
  ActivityList& list_of(ConnectionState state) { return lists_[static_cast<size_t>(state)]; }

  const uint32_t index_;
  const ShardSettings settings_;
  const bool gives_parts_;  // partialAfterMs
  ConnectionCensus& census_;
  EventSink& events_;
  ShardCounters counters_;
  BufferPool pool_;
  LineOutput output_;
  ShardLines lines_;
  Protocols protocols_;
  Reassembler reassembler_;
  ConnectionTable table_;
  Tombstones tombstones_;
  RecentSegments recent_;
  uint64_t duplicate_bytes_ = 0;    // counted when the last segment was done
  uint64_t conflicting_bytes_ = 0;  // … when the last one with bytes that came again was
  std::array<ActivityList, kConnectionStates> lists_;  // by ConnectionState
  // In the order of their deadlines, because all in one list wait equally long.
  std::array<ConnectionList<&Connection::by_hole>, 2> holes_;
  OverloadNotes overload_;
  std::vector<UnreadNote> unread_;
  uint64_t burdens_searched_at_ = 0;  // segments that had come
  int64_t clock_ns_ = 0;
  std::atomic<Change*> change_{nullptr};  // owned; not taken yet
};

}  // namespace tcp_sniffer
