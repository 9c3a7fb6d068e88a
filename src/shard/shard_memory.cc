// Shard: what gives way when connections or memory run short.

#include "core/limits.h"
#include "shard/shard.h"

namespace tcp_sniffer {

namespace {

// A connection that waits for nothing holds no memory of the pool.
bool holds_memory(const Connection& connection) {
  for (const TcpStream& stream : connection.streams) {
    if (stream.reorder != nullptr) return true;
  }
  for (const HttpStream& stream : connection.http.streams) {
    if (stream.parser != nullptr) return true;
  }
  return static_cast<bool>(connection.http.exchanges) || connection.identity.extras != nullptr;
}

}  // namespace

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
      prefetch_next(list_of(state));
      return;
    }
  }
}

// In a flood the next new connection takes the place of the list's first one, which nobody has
// touched for as long as there are connections. To unlink this one has loaded it; what it is
// unlinked from, and the one behind it, are loaded while the segments in between are handled.
void Shard::prefetch_next(const ActivityList& list) const {
  const Connection* next = list.front();
  if (next == nullptr) return;
  table_.prefetch(next->hash);
  if (next->by_activity.next != nullptr) ConnectionTable::prefetch(*next->by_activity.next);
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

// The order in which memory gives way (thresholds in core/buffer_pool.h): bodies are cut where
// they grow (HttpEngine::take_body); then, after the block, connections go that hold memory and
// are idle, the least recently active first; then new ones are refused (insert). So what is cut
// makes room for what comes, and who is active beside an attack is not touched.
void Shard::relieve_memory() {
  for (const ConnectionState state : {ConnectionState::kReset, ConnectionState::kClosing,
                                      ConnectionState::kHandshake, ConnectionState::kEstablished}) {
    while (pool_.is_short() && give_up_idle(list_of(state))) {
    }
  }
}

// The list's least recently active connection that holds memory, if it is idle. Those that hold
// none are passed once and not looked at again until they move, for memory only grows when a
// segment comes: the search is linear in segments, whatever the number of connections.
bool Shard::give_up_idle(ActivityList& list) {
  Connection* connection = list.first_unpassed();
  while (connection != nullptr && clock_ns_ - connection->last_clock_ns >= kScarceIdleNs) {
    if (holds_memory(*connection)) {
      evict(connection, "idle, for memory");
      return true;
    }
    list.pass(connection);
    connection = connection->by_activity.next;
  }
  return false;
}

}  // namespace tcp_sniffer
