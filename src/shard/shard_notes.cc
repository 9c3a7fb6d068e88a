// Shard: what it learns from the capture thread and from gaps, and what it reports.

#include <algorithm>

#include "shard/shard.h"

namespace tcp_sniffer {

// ---------------------------------------------------------------- overload

void Shard::note_drops(std::span<const DropNote> drops) {
  for (const DropNote& note : drops) {
    const Connection* connection = table_.find(note.flow_hash, note.key);
    if (connection != nullptr) overload_.note(*connection, note);
  }
}

// Counts what of the gap was dropped here. A connection's first gap is an event.
void Shard::report_gap(Connection& connection, Side side, uint64_t length, GapCause cause,
                       int64_t clock_ns) {
  const uint32_t dropped =
      cause == GapCause::kSnaplen ? 0 : overload_.take(connection, side, length);
  counters_.add(ShardCounter::missing_overload, dropped);
  if (connection.gap_reported) return;
  connection.gap_reported = true;
  EventRecord record;
  record.kind = EventKind::kReassemblyGap;
  record.side = side;
  record.bytes = length;
  record.detail = dropped == 0 ? "" : "overload";
  record.time_ns = clock_ns;
  put_event(connection, record);
}

// Adds which connection it is about.
void Shard::put_event(const Connection& connection, EventRecord& record) {
  record.key = connection.identity.key;
  record.connection_id = connection.identity.id;
  if (!events_.put(record)) counters_.add(ShardCounter::events_dropped);
}

// ---------------------------------------------------------------- what need not be copied

// For the capture thread: what comes next in this direction.
void Shard::note_unread(const Connection& connection, const Segment& segment) {
  const TcpStream& stream = connection.streams[static_cast<size_t>(segment.side)];
  const uint64_t bytes = protocols_.unread_bytes(connection.protocol, segment.side);
  if (segment.withheld) {
    if (bytes > 0) return;
    // It should not have been: there is nothing that may be withheld.
  } else if (bytes < kUnreadBytesMin || !stream.is_plain()) {
    return;
  }
  // Sequence numbers wrap: beyond a quarter of their range a new note is better.
  const uint64_t told = std::min<uint64_t>(bytes, 1u << 30);
  const UnreadNote note{segment.flow_hash, segment.key, stream.sequence_of(stream.head),
                        stream.sequence_of(stream.head + told), segment.side};
  for (UnreadNote& earlier : unread_) {
    if (earlier.flow_hash == note.flow_hash && earlier.side == note.side &&
        earlier.key == note.key) {
      earlier = note;
      return;
    }
  }
  if (unread_.size() < kUnreadNotesMax) unread_.push_back(note);
}

void Shard::take_unread_notes(std::vector<UnreadNote>& notes) {
  notes.clear();
  notes.swap(unread_);
}

}  // namespace tcp_sniffer
