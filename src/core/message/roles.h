#pragma once

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// Which side of a connection is the server, as far as that is known. The receiver is fixed when it
// is known, at the latest at the connection's first line. It is the server, except where its port
// was configured and a SYN shows that it is the client.
class Roles {
 public:
  bool known() const { return known_; }
  Side receiver() const { return receiver_; }
  Side server() const { return receiver_is_client_ ? other(receiver_) : receiver_; }
  bool serves(Side side) const { return side == server(); }

  // False where only the port decides, and it is the larger one, as a client's nearly always is;
  // where the first line was found by searching, so that it may be the text of a body; or where a
  // line contradicts.
  bool certain() const { return known_ && !uncertain_; }
  bool surely_serves(Side side) const { return certain() && serves(side); }

  // The handshake or the protocol shows which side is the server.
  void know(Side server) {
    receiver_ = server;
    known_ = true;
  }
  // The receiver's port was configured. Without a SYN (`syn_server` is then the receiver) the port
  // alone decides, and `uncertain` is whether it is the larger one.
  void know_port(Side receiver, Side syn_server, bool uncertain) {
    know(receiver);
    receiver_is_client_ = receiver != syn_server;
    uncertain_ = uncertain;
  }
  // A side has sent a message, which may be found by searching.
  void note_message(Side sender, bool is_request, bool found) {
    if (!known_) {
      // Neither port nor SYN decided: the side that was sent the first request, or that answered.
      know(is_request ? other(sender) : sender);
      uncertain_ = found;
    } else if (is_request == serves(sender)) {
      uncertain_ = true;
    }
  }

 private:
  bool known_ : 1 = false;
  bool receiver_is_client_ : 1 = false;
  bool uncertain_ : 1 = false;
  Side receiver_ = Side::kHigh;
};

}  // namespace tcp_sniffer
