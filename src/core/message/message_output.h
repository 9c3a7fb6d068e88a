#pragma once

#include <cstdint>

#include "core/message/connection_identity.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// Where finished messages go, and what becomes of requests without responses. On the shard's
// thread; every view in the message is valid during the call only. Implemented by the shard
// (lines), and by tests.
class MessageOutput {
 public:
  virtual ~MessageOutput() = default;
  // One call a message. The connection stays where it is until on_connection_over.
  virtual void on_message(const Message& message, ConnectionIdentity& connection) = 0;
  // Whether a message with this direction and these headers may be given out in parts.
  virtual bool may_split(const Message& head) const = 0;
  // A part of a message whose last one will be given to on_message.
  enum class PartTaken : uint8_t {
    kYes,
    kNotNow,  // there is no room for it
    kNever,   // of the first one: the message is wanted whole
  };
  virtual PartTaken on_part(const Message& part, ConnectionIdentity& connection) = 0;
  // A request whose response will not come any more, because the connection is over, and why. Only
  // for lines that name a request with its response. Before on_orphan and on_connection_over.
  virtual void on_unanswered(const Message& request, ConnectionIdentity& connection,
                             Orphan orphan) = 0;
  // No response with the number of this exchange will come: why. Nothing happens when no request
  // with this number was handed on.
  virtual void on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan) = 0;
  // No response will come to any request of the connection, which has requests that wait
  // (ConnectionExtras::waiting).
  virtual void on_connection_over(ConnectionIdentity& connection, Incomplete cause) = 0;
};

}  // namespace tcp_sniffer
