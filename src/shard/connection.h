#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/base/check.h"
#include "core/message/connection_identity.h"
#include "core/net/segment.h"
#include "core/protocol/protocols.h"
#include "core/tcp/reassembler.h"
#include "core/tcp/tcp_stream.h"

namespace tcp_sniffer {

enum class ConnectionState : uint8_t {
  kHandshake,  // a SYN and nothing else
  kOneSided,   // more than a SYN, but only one side was seen to speak
  kEstablished,
  kClosing,  // one direction has ended with a FIN
  kEnding,   // a RST stands, or both ends do: what was under way may still come, or take them back
};
constexpr size_t kConnectionStates = 5;

// Connections with a hole are kept in the order in which its time runs out.
enum class HoleList : uint8_t { kNone, kAcknowledged, kOneSided };

// A SYN on the ports of a connection that lives: it means a new connection only when the other
// side answers it or data fits it (a forged SYN must end nothing).
struct PendingSyn {
  int64_t time_ns = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;  // … of a SYN ACK
  uint16_t maximum_segment_size = 0;
  uint16_t payload_size = 0;
  uint8_t window_scale = kNoWindowScale;
  Side side = Side::kLow;
  bool is_set = false;
  bool with_ack = false;
};

struct Connection;

// A place in two intrusive lists: by activity (always), and of the connections whose hole is timed.
struct ConnectionLink {
  Connection* previous = nullptr;
  Connection* next = nullptr;
};

// One connection. Lives in a slab of its shard's ConnectionTable from its first segment until it
// is closed, idle, evicted or drained. Idle, it holds no memory but this object.
struct Connection {
  ConnectionLink by_activity;
  int64_t last_clock_ns = 0;  // of the latest segment
  ConnectionIdentity identity;
  uint32_t hash = 0;  // the low half of the flow's
  ConnectionState state = ConnectionState::kHandshake;
  bool syn_seen : 1 = false;
  bool gap_reported : 1 = false;  // by an event: the first one is
  HoleList hole_list = HoleList::kNone;
  ProtocolChoice choice;
  TcpStreams streams;
  ConnectionProtocol protocol;
  ConnectionLink by_hole;
  int64_t syn_time_ns = 0;
  PendingSyn pending;
};
static_assert(sizeof(Connection) == 376);  // docs/memory.md and ARCHITECTURE.md say so

// The connection that has this identity.
inline Connection& connection_of(ConnectionIdentity& identity) {
  static_assert(std::is_standard_layout_v<Connection>);
  return *reinterpret_cast<Connection*>(reinterpret_cast<char*>(&identity) -
                                        offsetof(Connection, identity));
}

// An intrusive list through one of a Connection's links; the front is the oldest. Owns nothing.
template <ConnectionLink Connection::*kLink>
class ConnectionList {
 public:
  bool empty() const { return front_ == nullptr; }
  Connection* front() const { return front_; }
  Connection* back() const { return back_; }
  uint64_t size() const { return size_; }

  void push_back(Connection* connection) {
    ConnectionLink& link = connection->*kLink;
    DEBUG_CHECK(connection != back_ && link.next == nullptr);
    link.previous = back_;
    link.next = nullptr;
    (back_ != nullptr ? (back_->*kLink).next : front_) = connection;
    back_ = connection;
    size_++;
  }
  void remove(Connection* connection) {
    ConnectionLink& link = connection->*kLink;
    DEBUG_CHECK(size_ > 0 && (link.previous != nullptr || front_ == connection));
    if (connection == passed_) passed_ = link.previous;
    (link.previous != nullptr ? (link.previous->*kLink).next : front_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).previous : back_) = link.previous;
    link = {};
    size_--;
  }
  // A bookmark for searches from the front that are to go on where they ended: everything up to
  // the passed one was looked at, and none of it has moved since. nullptr: nothing was.
  Connection* first_unpassed() const {
    return passed_ == nullptr ? front_ : (passed_->*kLink).next;
  }
  void pass(Connection* connection) { passed_ = connection; }

  // In front of `next`; nullptr: at the back.
  void insert_before(Connection* connection, Connection* next) {
    if (next == nullptr) {
      push_back(connection);
      return;
    }
    ConnectionLink& link = connection->*kLink;
    link.next = next;
    link.previous = (next->*kLink).previous;
    (link.previous != nullptr ? (link.previous->*kLink).next : front_) = connection;
    (next->*kLink).previous = connection;
    size_++;
  }
  void move_to_back(Connection* connection) {
    ConnectionLink& link = connection->*kLink;
    if (passed_ == connection) passed_ = link.previous;
    if (back_ == connection) return;
    DEBUG_CHECK(link.next != nullptr && (link.previous != nullptr || front_ == connection));
    (link.previous != nullptr ? (link.previous->*kLink).next : front_) = link.next;
    (link.next->*kLink).previous = link.previous;
    link = {back_, nullptr};
    (back_->*kLink).next = connection;
    back_ = connection;
  }

  // Aborts when the links do not fit each other. Walks over all of it: for tests.
  void check_invariants() const {
    uint64_t size = 0;
    bool passed_is_here = passed_ == nullptr;
    const Connection* previous = nullptr;
    for (const Connection* at = front_; at != nullptr; at = (at->*kLink).next) {
      require((at->*kLink).previous == previous, "list: a link back leads elsewhere");
      passed_is_here |= at == passed_;
      previous = at;
      size++;
    }
    require(back_ == previous && size_ == size, "list: its end or its size are not what it has");
    require(passed_is_here, "list: its bookmark is not in it");
  }

 private:
  Connection* front_ = nullptr;
  Connection* back_ = nullptr;
  Connection* passed_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace tcp_sniffer
