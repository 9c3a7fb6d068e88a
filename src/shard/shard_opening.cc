// Shard: the first bytes of a connection – a PROXY header, and which protocol follows.

#include <algorithm>
#include <new>
#include <utility>

#include "shard/shard_handler.h"

namespace tcp_sniffer {

namespace {

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

// The client; also where nothing tells who that is.
bool Shard::Handler::may_send_header(Side side) const {
  const ConnectionIdentity& identity = connection.identity;
  const bool is_server =
      identity.receiver_known && !identity.server_uncertain && identity.serves(side);
  const ConnectionExtras* extras = identity.extras;
  const bool other_side_opens = extras != nullptr && extras->opening.size > 0;
  return !is_server && !other_side_opens;
}

uint32_t Shard::Handler::open_stream(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                     const SegmentMeta& meta, bool force) {
  if (is_opening(side)) return continue_opening(side, offset, bytes, meta, force);
  const ProxyHeader header = read_proxy_header(text_of(bytes));
  if (header.status == ProxyHeaderStatus::kIncomplete && keep_opening(side, offset, bytes, meta)) {
    return static_cast<uint32_t>(bytes.size());
  }
  connection.opened |= bit(side);
  if (header.status != ProxyHeaderStatus::kComplete) {
    return pass_on(side, offset, bytes, meta, force);
  }
  take_header(side, header);
  if (bytes.size() == header.size) return header.size;
  return header.size + pass_on(side, offset + header.size, bytes.subspan(header.size), meta, force);
}

uint32_t Shard::Handler::continue_opening(Side side, uint64_t offset,
                                          std::span<const uint8_t> bytes, const SegmentMeta& meta,
                                          bool force) {
  GrowingText& opening = connection.identity.extras->opening;
  const auto before = static_cast<uint32_t>(opening.size);
  ProxyHeader header = read_proxy_header(opening.text());
  for (std::string_view rest = text_of(bytes); header.status == ProxyHeaderStatus::kIncomplete;) {
    if (rest.empty()) return static_cast<uint32_t>(bytes.size());
    const std::string_view next = rest.substr(0, header.size - opening.size);
    if (!opening.append(shard.pool_, next)) {
      header = {};
      break;
    }
    rest.remove_prefix(next.size());
    header = read_proxy_header(opening.text());
  }
  uint32_t used = 0;
  if (header.status == ProxyHeaderStatus::kComplete) {
    used = header.size - before;
    connection.opened |= bit(side);
    opening.release(shard.pool_);
    take_header(side, header);
    shard.release_unused_extras(connection);
  } else {
    opening.size = before;
    end_opening(side);
  }
  if (used == bytes.size()) return used;
  return used + pass_on(side, offset + used, bytes.subspan(used), meta, force);
}

bool Shard::Handler::keep_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                  const SegmentMeta& meta) {
  ConnectionExtras* extras = shard.extras_of(connection);
  if (extras == nullptr || !extras->opening.append(shard.pool_, text_of(bytes))) return false;
  extras->opening_side = side;
  extras->opening_offset = offset;
  extras->opening_first = meta;
  return true;
}

// No header will come of the stream's first bytes: what was kept of them is the protocol's.
void Shard::Handler::end_opening(Side side) {
  connection.opened |= bit(side);
  if (!is_opening(side)) return;
  ConnectionExtras& extras = *connection.identity.extras;
  GrowingText kept = std::exchange(extras.opening, {});
  pass_on(side, extras.opening_offset, {kept.memory.data, kept.size}, extras.opening_first, true);
  kept.release(shard.pool_);
  shard.release_unused_extras(connection);
}

void Shard::Handler::take_header(Side side, const ProxyHeader& header) {
  shard.counters_.add(ShardCounter::parsed, header.size);
  shard.counters_.add(ShardCounter::connections_proxied);
  // Nothing comes before a header, so a stream met with it is not met in its middle.
  HttpEngine::start_at_beginning(connection.http, side);
  if (Pop3Connection* pop3 = connection.pop3()) Pop3Engine::start_at_beginning(*pop3, side);
  if (!header.has_endpoints) return;
  ConnectionExtras* extras = shard.extras_of(connection);
  if (extras == nullptr) return;
  extras->is_proxied = true;
  extras->proxied = header.endpoints;
}

// The first bytes of a connection, of whichever side, say which protocol it speaks.
void Shard::Handler::decide(std::span<const uint8_t> bytes) {
  if ((connection.opened & kProtocolKnown) != 0) return;
  connection.opened |= kProtocolKnown;
  if (!Pop3Engine::recognises(connection.identity.key, bytes)) return;
  ConnectionExtras* extras = shard.extras_of(connection);
  if (extras == nullptr) return;
  extras->pop3 = shard.pop3_.open(connection.identity);
  if (extras->pop3 == nullptr) return;
  for (const Side side : {Side::kLow, Side::kHigh}) {
    const HttpStream& stream = connection.http.streams[static_cast<size_t>(side)];
    if (stream.phase == HttpPhase::kSearch) Pop3Engine::start_midstream(*extras->pop3, side);
  }
}

// Made when there are none; nullptr: no memory.
ConnectionExtras* Shard::extras_of(Connection& connection) {
  ConnectionExtras*& extras = connection.identity.extras;
  if (extras != nullptr) return extras;
  const Buffer memory = pool_.allocate(sizeof(ConnectionExtras));
  if (memory) extras = new (memory.data) ConnectionExtras;
  return extras;
}

void Shard::release_unused_extras(Connection& connection) {
  const ConnectionExtras* extras = connection.identity.extras;
  if (extras != nullptr && !extras->is_proxied && extras->pop3 == nullptr) {
    release_extras(connection);
  }
}

void Shard::release_extras(Connection& connection) {
  ConnectionExtras*& extras = connection.identity.extras;
  if (extras == nullptr) return;
  extras->opening.release(pool_);
  Buffer memory{reinterpret_cast<uint8_t*>(extras),
                BufferPool::capacity_of(sizeof(ConnectionExtras))};
  pool_.release(memory);
  extras = nullptr;
}

}  // namespace tcp_sniffer
