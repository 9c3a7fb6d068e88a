#pragma once

#include <cstdint>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// Who serves whom on a connection, as far as that is known. The receiver is fixed when it is known,
// at the latest at the connection's first line. It serves, except where its port was asked for and
// a SYN tells that it is the client.
class Roles {
 public:
  bool known() const { return known_; }
  Side receiver() const { return receiver_; }
  Side server() const { return receiver_is_client_ ? other(receiver_) : receiver_; }
  bool serves(Side side) const { return side == server(); }

  // Not where only the port tells, and it is the larger one, as a client's nearly always is; where
  // the first line was found by searching, so it may be a body's text; or where a line contradicts.
  bool certain() const { return known_ && !uncertain_; }
  bool surely_serves(Side side) const { return certain() && serves(side); }

  // The handshake or the protocol tells who serves.
  void know(Side server) {
    receiver_ = server;
    known_ = true;
  }
  // The receiver's port was asked for. Without a SYN (`syn_server` is then the receiver) the port
  // alone tells, and `uncertain` says that it is the larger one.
  void know_port(Side receiver, Side syn_server, bool uncertain) {
    know(receiver);
    receiver_is_client_ = receiver != syn_server;
    uncertain_ = uncertain;
  }
  // A side has sent a message, which may be found by searching.
  void note_message(Side sender, bool is_request, bool found) {
    if (!known_) {
      // Neither port nor SYN told: the side that was sent the first request, or that answered.
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
