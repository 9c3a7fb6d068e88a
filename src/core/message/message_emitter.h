#pragma once

#include "core/base/counters.h"
#include "core/message/connection_identity.h"
#include "core/message/message.h"
#include "core/message/message_output.h"

namespace tcp_sniffer {

// The last step of every protocol: puts the connection's part into a finished message, counts it
// and hands it to the output. One per shard.
class MessageEmitter {
 public:
  MessageEmitter(ShardCounters& counters, MessageOutput& output)
      : counters_(counters), output_(output) {}

  // `side` sent the message. Fixes the connection's receiver when it is not known yet.
  void emit(ConnectionIdentity& identity, Side side, Message& message);
  // A request whose response will not come; the receiver is known.
  void emit_unanswered(const ConnectionIdentity& identity, Message& request);

 private:
  static void add_identity(const ConnectionIdentity& identity, Message& message);

  ShardCounters& counters_;
  MessageOutput& output_;
};

}  // namespace tcp_sniffer
