#pragma once

#include "core/message/message.h"

namespace tcp_sniffer {

// Where finished messages go. One call a message, on the shard's thread; every view in the message
// is valid during the call only. Implemented by the shard (lines), and by tests.
class MessageOutput {
 public:
  virtual ~MessageOutput() = default;
  virtual void on_message(const Message& message) = 0;
  // A request whose response will not come any more: the connection is over.
  virtual void on_unanswered(const Message& request) = 0;
};

}  // namespace tcp_sniffer
