#pragma once

#include <utility>

#include "core/base/counters.h"
#include "core/message/client_address.h"
#include "core/message/connection_identity.h"
#include "core/message/message.h"
#include "core/message/message_output.h"

namespace tcp_sniffer {

// The last step of every protocol: puts the connection's part into a finished message, counts it
// and hands it to the output. One per shard.
class MessageEmitter {
 public:
  MessageEmitter(ClientRules clients, ShardCounters& counters, MessageOutput& output)
      : clients_(std::move(clients)), counters_(counters), output_(output) {}

  // Of the messages from here on.
  void change_clients(const ClientRules& clients) { clients_ = clients; }

  // `side` sent the message. Fixes the connection's receiver when it is not known yet.
  void emit(ConnectionIdentity& identity, Side side, Message& message);
  // As MessageOutput's.
  bool may_split(const Message& head) const { return output_.may_split(head); }
  MessageOutput::PartTaken emit_part(ConnectionIdentity& identity, Side side, Message& part);
  // A request whose response will not come, and why; the receiver is known.
  void emit_unanswered(ConnectionIdentity& identity, Side side, Message& request, Orphan orphan);
  // The request of this exchange has no response that can be distinguished from others.
  void lose_response(ConnectionIdentity& identity, uint64_t exchange, Incomplete cause) {
    output_.on_orphan(identity, exchange, {Orphan::Kind::kResponseNotCaptured, cause});
  }
  // The server has ended its stream, of which nothing is missing, without answering the request.
  void end_without_response(ConnectionIdentity& identity, uint64_t exchange) {
    output_.on_orphan(identity, exchange, {Orphan::Kind::kNoResponse, Incomplete::kNo});
  }
  void end_connection(ConnectionIdentity& identity, Incomplete cause) {
    output_.on_connection_over(identity, cause);
  }

  // What every message of the connection has that `side` sent.
  static void add_identity(const ConnectionIdentity& identity, Side side, Message& message);

 private:
  void complete(ConnectionIdentity& identity, Side side, Message& message) const;
  void add_client(const ConnectionIdentity& identity, Message& message) const;

  ClientRules clients_;
  ShardCounters& counters_;
  MessageOutput& output_;
};

}  // namespace tcp_sniffer
