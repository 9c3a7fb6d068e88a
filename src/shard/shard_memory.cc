// Shard: what gives way when connections or memory run short.

#include <bit>

#include "core/base/limits.h"
#include "shard/shard.h"

namespace tcp_sniffer {

namespace {

// Since the last hole that was given up: a head that only jumped has delivered nothing.
uint64_t delivered_bytes(const TcpStream& stream) {
  const uint64_t from = std::max(kStreamOrigin, stream.gap_end);
  return stream.delivered && stream.head > from ? stream.head - from : 0;
}

// How many times what a connection has delivered it holds, in powers of two: 0 = less than once, 1
// = less than twice, 5 = 16 times and more. A message in the making, which was delivered, comes to
// 4 at most.
uint32_t burden_of(const Connection& connection, size_t held) {
  constexpr uint64_t kAtLeast = 64;  // one that has delivered nothing is judged by what it holds
  const uint64_t delivered =
      delivered_bytes(connection.streams[0]) + delivered_bytes(connection.streams[1]);
  return static_cast<uint32_t>(std::bit_width(held / (delivered + kAtLeast)));
}

constexpr uint32_t kHeavyBurden = 5;
constexpr uint32_t kBurdens = 65;

}  // namespace

// A connection that waits for nothing holds no memory of the pool.
bool Shard::holds_memory(const Connection& connection) {
  for (const TcpStream& stream : connection.streams) {
    if (stream.reorder != nullptr) return true;
  }
  return Protocols::holds_memory(connection.protocol, connection.identity);
}

// What it has of the pool.
size_t Shard::held_bytes(const Connection& connection) const {
  size_t held = protocols_.held_bytes(connection.protocol, connection.identity);
  for (const TcpStream& stream : connection.streams) {
    if (stream.reorder != nullptr) held += BufferPool::kSizeMin + stream.reorder->held_bytes();
  }
  return held;
}

// A slot for a new connection: the least useful connection is given up. One that was never answered
// may be forged, so it goes before those whose other side was seen. False: no connection may be
// given up for this segment.
bool Shard::make_room(const Segment& segment) {
  sweep(segment.clock_ns);
  if (table_.size() + census_.others(index_) < settings_.connections_max) return true;
  constexpr struct {
    ConnectionState state;
    const char* name;
  } kOrder[] = {{ConnectionState::kEnding, "closing"},
                {ConnectionState::kClosing, "closing"},
                {ConnectionState::kHandshake, "half-open"},
                {ConnectionState::kOneSided, "one-sided"},
                {ConnectionState::kEstablished, "least recently active"}};
  for (const auto& [state, name] : kOrder) {
    Connection* connection = list_of(state).front();
    if (connection == nullptr) continue;
    if (state == ConnectionState::kEstablished && !may_displace(segment)) return false;
    evict(connection, name);
    prefetch_next(list_of(state));
    return true;
  }
  return true;
}

// Whether a segment is worth the place of a connection that has two sides: the beginning of a new
// one, or at least of a message. Anybody can send anything else.
bool Shard::may_displace(const Segment& segment) const {
  return (segment.flags & kTcpSyn) != 0 || protocols_.begins_message(segment);
}

// In a flood the next new connection takes the place of the list's first one, which is in no cache
// because it is the one that was not used for longest. Unlinking this one has loaded it. Its
// neighbours in the lists, and the one after it, are loaded while the segments in between are
// handled.
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
  record.side = connection->identity.roles.receiver();
  record.time_ns = clock_ns_;
  put_event(*connection, record);
  close(connection, Incomplete::kEvicted, ShardCounter::connections_evicted, clock_ns_);
}

// What is given up when memory runs short, in this order (thresholds in core/base/buffer_pool.h):
// 1. memory that bodies took before their bytes came, which nobody misses;
// 2. after a block, requests that wait for their responses leave without them, the oldest first;
// 3. connections that hold far more than they delivered, the worst first, even if they are active;
// 4. bodies are cut where they grow (BufferPool::spares);
// 5. after the block, connections that hold memory and are idle, the least recently active first;
// 6. new connections are refused (insert), until after the block those are given up that hold most
//    for what they delivered, of any kind.
// So what is cut makes room for what comes, and connections that are active during an attack are
// not touched.
void Shard::relieve_memory() {
  protocols_.take_memory_back();
  lines_.make_room();
  // A search looks at each connection: at most at four a segment, if it brings nothing.
  const uint64_t segments = counters_.get(ShardCounter::segments);
  if (pool_.is_tight() && segments - burdens_searched_at_ >= table_.size() / 4) {
    give_up_burdens(kHeavyBurden);
    burdens_searched_at_ = pool_.is_tight() ? segments : 0;
  }
  for (const ConnectionState state :
       {ConnectionState::kEnding, ConnectionState::kClosing, ConnectionState::kHandshake,
        ConnectionState::kOneSided, ConnectionState::kEstablished}) {
    while (pool_.is_short() && give_up_idle(list_of(state))) {
    }
  }
  if (pool_.exhausted()) give_up_burdens(0);
}

// Gives up connections until a quarter of the memory is free: those with the largest burden, and of
// one burden the least recently active first. None with a burden below `least`.
void Shard::give_up_burdens(uint32_t least) {
  std::array<uint64_t, kBurdens> held_by_burden{};
  for (const ActivityList& list : lists_) {
    for (const Connection* at = list.front(); at != nullptr; at = at->by_activity.next) {
      if (const size_t held = held_bytes(*at)) held_by_burden[burden_of(*at, held)] += held;
    }
  }
  uint32_t last = kBurdens;  // of it as many as are needed go, of the larger ones all
  for (uint64_t sum = 0; last > least && sum < pool_.excess();) sum += held_by_burden[--last];
  give_up_where([&](uint32_t burden) { return burden > last; });
  give_up_where([&](uint32_t burden) { return burden == last; });
}

template <typename Wanted>
void Shard::give_up_where(const Wanted& wanted) {
  for (const ActivityList& list : lists_) {
    for (Connection* at = list.front(); at != nullptr && pool_.excess() > 0;) {
      Connection* const next = at->by_activity.next;
      const size_t held = held_bytes(*at);
      if (held > 0 && wanted(burden_of(*at, held))) evict(at, "most held, for memory");
      at = next;
    }
  }
}

// The list's least recently active connection that holds memory, if it is idle. Those that hold
// none are passed once and not looked at again until they move, because memory only grows when a
// segment comes. So the search is linear in segments, whatever the number of connections.
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
