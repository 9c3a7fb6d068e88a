// ProtocolCall: the first bytes of a stream, where a PROXY header may precede the protocol.

#include <utility>

#include "core/protocol/protocols.h"

namespace tcp_sniffer {

namespace {

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

// True for the client, and for both sides while it is not known which one is the client.
bool ProtocolCall::may_send_header(Side side) const {
  const bool is_server = identity().roles.surely_serves(side);
  const ConnectionExtras* extras = identity().extras;
  const bool other_side_opens = extras != nullptr && extras->opening.size > 0;
  return !is_server && !other_side_opens;
}

uint32_t ProtocolCall::open_stream(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                   const SegmentMeta& meta, bool force) {
  if (is_opening(side)) return continue_opening(side, offset, bytes, meta, force);
  const ProxyHeader header = read_proxy_header(text_of(bytes));
  if (header.status == ProxyHeaderStatus::kIncomplete && keep_opening(side, offset, bytes, meta)) {
    return static_cast<uint32_t>(bytes.size());
  }
  choice_.set(ProtocolChoice::kOpened, side);
  if (header.status != ProxyHeaderStatus::kComplete) {
    return pass_on(side, offset, bytes, meta, force);
  }
  take_header(side, header);
  if (bytes.size() == header.size) return header.size;
  return header.size + pass_on(side, offset + header.size, bytes.subspan(header.size), meta, force);
}

uint32_t ProtocolCall::continue_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                        const SegmentMeta& meta, bool force) {
  GrowingText& opening = identity().extras->opening;
  const auto before = static_cast<uint32_t>(opening.size);
  ProxyHeader header = read_proxy_header(opening.text());
  for (std::string_view rest = text_of(bytes); header.status == ProxyHeaderStatus::kIncomplete;) {
    if (rest.empty()) return static_cast<uint32_t>(bytes.size());
    const std::string_view next = rest.substr(0, header.size - opening.size);
    if (!opening.append(protocols_.pool_, next)) {
      header = {};
      break;
    }
    rest.remove_prefix(next.size());
    header = read_proxy_header(opening.text());
  }
  uint32_t used = 0;
  if (header.status == ProxyHeaderStatus::kComplete) {
    used = header.size - before;
    choice_.set(ProtocolChoice::kOpened, side);
    opening.release(protocols_.pool_);
    take_header(side, header);
    identity().release_unused_extras(protocols_.pool_);
  } else {
    opening.size = before;
    take_opening(side);
  }
  if (used == bytes.size()) return used;
  return used + pass_on(side, offset + used, bytes.subspan(used), meta, force);
}

bool ProtocolCall::keep_opening(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                                const SegmentMeta& meta) {
  ConnectionExtras* extras = identity().make_extras(protocols_.pool_);
  if (extras == nullptr || !extras->opening.append(protocols_.pool_, text_of(bytes))) return false;
  extras->opening_side = side;
  extras->opening_offset = offset;
  extras->opening_first = meta;
  return true;
}

void ProtocolCall::take_opening(Side side) {
  choice_.set(ProtocolChoice::kOpened, side);
  if (!is_opening(side)) return;
  ConnectionExtras& extras = *identity().extras;
  GrowingText kept = std::exchange(extras.opening, {});
  pass_on(side, extras.opening_offset, {kept.memory.data, kept.size}, extras.opening_first, true);
  kept.release(protocols_.pool_);
  identity().release_unused_extras(protocols_.pool_);
}

// The stream is not met in its middle.
void ProtocolCall::start_at_beginning(Side side) {
  choice_.clear(ProtocolChoice::kMidstream, side);
  HttpEngine::start_at_beginning(protocol_.http_, side);
  with_chosen([&](auto& engine, auto& state) { engine.start_at_beginning(state, side); });
}

void ProtocolCall::take_header(Side side, const ProxyHeader& header) {
  protocols_.counters_.add(ShardCounter::parsed, header.size);
  protocols_.counters_.add(ShardCounter::connections_proxied);
  start_at_beginning(side);  // nothing comes before a header
  if (!header.has_endpoints) return;
  ConnectionExtras* extras = identity().make_extras(protocols_.pool_);
  if (extras == nullptr) return;
  extras->is_proxied = true;
  extras->proxied = header.endpoints;
}

}  // namespace tcp_sniffer
