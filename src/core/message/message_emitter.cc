#include "core/message/message_emitter.h"

#include <algorithm>

namespace tcp_sniffer {

void MessageEmitter::add_identity(const ConnectionIdentity& identity, Side side, Message& message) {
  const Side receiver = identity.roles.receiver();
  message.receiver = endpoint_of(identity.key, receiver);
  message.destination = endpoint_of(identity.key, other(receiver));
  message.proxied = identity.proxied();
  message.connection_id = identity.id;
  message.vlan = identity.vlan;
  message.link_id = identity.link_ids[static_cast<size_t>(side)];
  const uint16_t of_requests =
      identity.link_ids[static_cast<size_t>(other(identity.roles.server()))];
  message.shared_link_id = of_requests == 0 ? message.link_id : of_requests;
  message.connect_ns = identity.connect_us < 0 ? -1 : int64_t{identity.connect_us} * 1000;
}

// A response has its client from its request, when that is known.
void MessageEmitter::add_client(const ConnectionIdentity& identity, Message& message) const {
  const IpAddress peer = endpoint_of(identity.key, other(identity.roles.server())).ip;
  if (identity.proxied() != nullptr) {
    message.client.ip = identity.proxied()->source.ip;
  } else if (clients_.trusted_proxies == 0 || !message.protocol.empty()) {
    message.client.ip = peer;
  } else if (message.direction == MessageDirection::kRequest && !message.client.is_known) {
    message.client.ip = forwarded_client(clients_, message.headers).value_or(peer);
  } else if (!message.client.is_known) {
    return;
  }
  message.client.is_known = true;
}

inline void MessageEmitter::complete(ConnectionIdentity& identity, Side side,
                                     Message& message) const {
  const bool is_request = message.direction == MessageDirection::kRequest;
  identity.roles.note_message(side, is_request, message.after_gap);
  // A first byte that came again took longer than the last one.
  message.last_byte_ns = std::max(message.first_byte_ns, message.last_byte_ns);
  add_identity(identity, side, message);
  if (clients_.wanted) [[unlikely]]
    add_client(identity, message);
}

void MessageEmitter::emit(ConnectionIdentity& identity, Side side, Message& message) {
  complete(identity, side, message);
  const bool is_request = message.direction == MessageDirection::kRequest;
  counters_.add(ShardCounter::messages_parsed);
  counters_.add(is_request ? ShardCounter::requests : ShardCounter::responses);
  if (message.is_interim()) counters_.add(ShardCounter::interim);
  if (message.after_gap) counters_.add(ShardCounter::after_gap);
  if (message.http09) counters_.add(ShardCounter::http09);
  if (message.incomplete != Incomplete::kNo) {
    // The counters incomplete_gap … incomplete_parse_error stand in the order of Incomplete.
    const auto index = static_cast<uint8_t>(message.incomplete) - 1;
    counters_.add(
        static_cast<ShardCounter>(static_cast<uint8_t>(ShardCounter::incomplete_gap) + index));
  }
  output_.on_message(message, identity);
}

// The message is counted with its last part.
MessageOutput::PartTaken MessageEmitter::emit_part(ConnectionIdentity& identity, Side side,
                                                   Message& part) {
  complete(identity, side, part);
  return output_.on_part(part, identity);
}

void MessageEmitter::emit_unanswered(ConnectionIdentity& identity, Side side, Message& request,
                                     Orphan orphan) {
  add_identity(identity, side, request);
  if (clients_.wanted) [[unlikely]]
    add_client(identity, request);
  output_.on_unanswered(request, identity, orphan);
}

}  // namespace tcp_sniffer
