// Shard: what packet time decides about connections: timeouts, holes, parts of messages.

#include <algorithm>
#include <cstdint>

#include "core/base/limits.h"
#include "shard/shard.h"
#include "shard/shard_handler.h"

namespace tcp_sniffer {

int64_t Shard::timeout_of(const Connection& connection) const {
  return connection.state == ConnectionState::kEnding
             ? std::min(kTombstoneNs, settings_.idle_timeout_ns)
             : settings_.idle_timeout_ns;
}

bool Shard::expired(const Connection& connection, int64_t clock_ns) const {
  return clock_ns - connection.last_clock_ns >= timeout_of(connection);
}

// Judged by the connection's own times, so that the result does not depend on when this is called.
void Shard::close_expired(Connection* connection) {
  close(connection, Incomplete::kIdle,
        is_ending(*connection) ? ShardCounter::connections_closed : ShardCounter::connections_idle,
        connection->last_clock_ns + timeout_of(*connection));
}

// The verdicts on the connection's holes up to `clock_ns`. True: they ended the connection.
bool Shard::judge_holes(Connection* connection, int64_t clock_ns) {
  Handler handler(*this, *connection, clock_ns);
  const int64_t verdict_ns = reassembler_.advance_clock(connection->streams, handler, clock_ns);
  if (is_over(*connection)) {
    // By the connection's own time, so that the result does not depend on when this is called.
    close(connection, Incomplete::kClosed, ShardCounter::connections_closed,
          connection->last_clock_ns);
    return true;
  }
  if (verdict_ns == 0 || connection->state == ConnectionState::kEnding || !is_ending(*connection)) {
    return false;
  }
  // An end that waited for missing bytes stands from the moment they were given up.
  connection->last_clock_ns = std::max(connection->last_clock_ns, verdict_ns);
  set_state(connection, ConnectionState::kEnding);
  if (!expired(*connection, clock_ns)) return false;
  close_expired(connection);
  return true;
}

// With partialAfterMs: everything that time has decided about the connection up to `clock_ns`, in
// the order in which it was due. So what stands in a part does not depend on when this is called.
// False: the connection is over.
bool Shard::pass_time(Connection* connection, int64_t clock_ns) {
  for (;;) {
    const int64_t part_ns = Protocols::part_due_ns(connection->protocol);
    const int64_t hole_ns = connection->hole_list == HoleList::kNone
                                ? INT64_MAX
                                : reassembler_.deadline_ns(connection->streams);
    const int64_t end_ns = connection->last_clock_ns + timeout_of(*connection);
    if (std::min({part_ns, hole_ns, end_ns}) > clock_ns) return true;
    if (end_ns <= std::min(part_ns, hole_ns)) {
      close_expired(connection);
      return false;
    }
    if (hole_ns <= part_ns) {
      if (judge_holes(connection, hole_ns)) return false;
      track_hole(connection);
    } else {
      Handler(*this, *connection, clock_ns).protocol.give_out_part();
    }
  }
}

// The list by which of the reassembler's two waits the connection's hole is timed.
HoleList Shard::hole_list_of(const Connection& connection) const {
  const TcpStreams& streams = connection.streams;
  const int64_t deadline_ns = reassembler_.deadline_ns(streams);
  if (deadline_ns == INT64_MAX) return HoleList::kNone;
  for (size_t i = 0; i < 2; i++) {
    if (streams[i].hole_since_ns != 0 && !streams[1 - i].seen &&
        streams[i].hole_since_ns + settings_.reassembly.gap_timeout_ns == deadline_ns) {
      return HoleList::kOneSided;
    }
  }
  return HoleList::kAcknowledged;
}

// Keeps the connection at its place among those that wait for a hole.
void Shard::track_hole(Connection* connection) {
  if (connection->hole_list == HoleList::kNone && !Reassembler::timed(connection->streams)) return;
  const HoleList list = hole_list_of(*connection);
  const auto deadline = [&](const Connection* of) { return reassembler_.deadline_ns(of->streams); };
  const ConnectionLink& link = connection->by_hole;
  if (list == connection->hole_list) {
    if (list == HoleList::kNone) return;
    const int64_t mine_ns = deadline(connection);
    const bool in_order = (link.previous == nullptr || deadline(link.previous) <= mine_ns) &&
                          (link.next == nullptr || mine_ns <= deadline(link.next));
    if (in_order) return;
  }
  if (connection->hole_list != HoleList::kNone) holes_of(connection->hole_list).remove(connection);
  connection->hole_list = list;
  if (list == HoleList::kNone) return;
  // Nearly always it is the last to run out.
  Connection* next = nullptr;
  const int64_t mine_ns = deadline(connection);
  for (Connection* before = holes_of(list).back(); before != nullptr && deadline(before) > mine_ns;
       before = before->by_hole.previous) {
    next = before;
  }
  holes_of(list).insert_before(connection, next);
}

void Shard::sweep(int64_t clock_ns) {
  while (ConnectionIdentity* identity = protocols_.with_part_due(clock_ns)) {
    pass_time(&connection_of(*identity), clock_ns);
  }
  for (const ActivityList& list : lists_) {
    while (!list.empty() && expired(*list.front(), clock_ns)) {
      // Time may also move it to the list of those that are ending, which have a time of their own.
      if (gives_parts_) {
        pass_time(list.front(), clock_ns);
      } else {
        close_expired(list.front());
      }
    }
  }
  for (auto& holes : holes_) {
    while (Connection* connection = holes.front()) {
      if (reassembler_.deadline_ns(connection->streams) > clock_ns) break;
      if (gives_parts_ ? !pass_time(connection, clock_ns) : judge_holes(connection, clock_ns)) {
        continue;
      }
      track_hole(connection);
    }
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

}  // namespace tcp_sniffer
