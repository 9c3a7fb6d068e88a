#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/base/capture_address.h"
#include "io/follow/capture_feed.h"

struct addrinfo;

namespace tcp_sniffer {

// Pcap over IP: each connection is a capture. Connects, again when a connection has ended, and
// after a failure with pauses that get longer; or listens, and reads one sender at a time, in the
// order in which they connect, while the others wait. Nothing is sent.
//
// A name is looked up at each attempt to connect, on a thread of its own, because the system's
// resolver may take half a minute.
class FollowedPeer final : public CaptureFeed {
 public:
  static constexpr std::chrono::milliseconds kRetryMin{200};
  static constexpr std::chrono::milliseconds kRetryMax{10000};
  static constexpr std::chrono::milliseconds kConnectPatience{5000};
  // Senders that wait for their turn.
  static constexpr int kBacklog = 16;

  // Both outlive it.
  FollowedPeer(std::string name, CaptureAddress address, FollowListener& listener,
               FollowCounters& counters);
  ~FollowedPeer() override;

  // Why nothing can be read there, found out without connecting. Nothing: no obstacle is known.
  static std::optional<Problem> problem_of(const std::string& name, const CaptureAddress& address);

  std::optional<Problem> open() override;
  void look(FollowClock::time_point now, bool all) override;
  FollowedCapture* next(FollowClock::time_point now) override;
  bool is_same(FollowedCapture&) override { return true; }
  Stop stop_of(FollowedCapture&, FollowClock::time_point) override { return Stop::kEnd; }
  void put_aside(FollowedCapture& capture) override { end(capture); }
  void end(FollowedCapture& capture) override;
  void replace(FollowedCapture& capture) override { end(capture); }
  int fd() const override;

 private:
  struct Address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    int family = 0;
  };

  struct LookUp;

  void accept_one();
  void connect(FollowClock::time_point now);
  void check_look_up(FollowClock::time_point now);
  void try_all(const addrinfo& found, FollowClock::time_point now);
  void try_next(FollowClock::time_point now);
  void check_attempt(FollowClock::time_point now);
  void failed(const std::string& why, FollowClock::time_point now);
  void connected(int fd, const std::string& name);
  void close_attempt();

  const std::string name_;
  const CaptureAddress address_;
  FollowListener& listener_;
  FollowCounters& counters_;

  std::shared_ptr<LookUp> look_up_;  // under way
  int listening_ = -1;
  int attempt_ = -1;                // a socket that is being connected
  std::vector<Address> addresses_;  // that have not been tried
  FollowClock::time_point attempt_ends_;
  FollowClock::time_point next_attempt_;
  std::chrono::milliseconds pause_ = kRetryMin;
  std::optional<FollowedCapture> capture_;
};

}  // namespace tcp_sniffer
