#include "io/follow/followed_peer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "io/file/file_source.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

namespace {

using std::chrono::milliseconds;

using Found = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The error in words; empty: it was found.
std::string find(const CaptureAddress& address, Found& found, int flags = 0) {
  addrinfo hints{};
  hints.ai_flags = flags | AI_NUMERICSERV | (address.listens ? AI_PASSIVE : AI_ADDRCONFIG);
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &list);
  if (error != 0) return gai_strerror(error);
  found.reset(list);
  return {};
}

Found nothing_found() {
  return {nullptr, &freeaddrinfo};
}

// A peer that is gone without a FIN or RST is noticed after about a minute.
void keep_alive(int fd) {
  const int on = 1;
  const int idle_s = 30;
  const int interval_s = 10;
  const int probes = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// The socket, or -1 and errno.
int listen_on(const addrinfo& address, int backlog) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, backlog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

std::string text_of(const sockaddr_storage& address, socklen_t size) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  const bool is_v6 = std::strchr(host, ':') != nullptr;
  return (is_v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  in_port_t port = 0;
  if (address.ss_family == AF_INET6) {
    port = reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port;
  } else {
    port = reinterpret_cast<const sockaddr_in*>(&address)->sin_port;
  }
  return ntohs(port);
}

}  // namespace

// Of a name, on a thread that this may not wait for. Whoever is last frees it.
struct FollowedPeer::LookUp {
  explicit LookUp(CaptureAddress of) : address(std::move(of)) {}

  const CaptureAddress address;
  std::string error;
  Found found = nothing_found();
  std::atomic<bool> done{false};  // after the two before
};

FollowedPeer::FollowedPeer(std::string name, CaptureAddress address, FollowListener& listener,
                           FollowCounters& counters)
    : name_(std::move(name)),
      address_(std::move(address)),
      listener_(listener),
      counters_(counters) {}

FollowedPeer::~FollowedPeer() {
  close_attempt();
  if (listening_ >= 0) ::close(listening_);
}

std::optional<Problem> FollowedPeer::problem_of(const std::string& name,
                                                const CaptureAddress& address) {
  Found found = nothing_found();
  const std::string error = find(address, found);
  if (!error.empty()) return problem_about(name, "cannot be looked up: " + error);
  if (!address.listens) return {};
  const int fd = listen_on(*found, 1);
  if (fd < 0) return problem_about(name, std::string("cannot be listened on: ") + strerror(errno));
  ::close(fd);
  return {};
}

std::optional<Problem> FollowedPeer::open() {
  if (!address_.listens) return {};
  Found found = nothing_found();
  const std::string error = find(address_, found);
  if (!error.empty()) return problem_about(name_, "cannot be looked up: " + error);
  listening_ = listen_on(*found, kBacklog);
  if (listening_ < 0) {
    return problem_about(name_, std::string("cannot be listened on: ") + std::strerror(errno));
  }
  listener_.on_listen(name_, port_of(listening_));
  return {};
}

void FollowedPeer::look(FollowClock::time_point now, bool) {
  if (capture_) return;
  if (listening_ >= 0) return accept_one();
  if (attempt_ >= 0) return check_attempt(now);
  if (look_up_) return check_look_up(now);
  if (now >= next_attempt_) connect(now);
}

void FollowedPeer::accept_one() {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  const int fd =
      accept4(listening_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) connected(fd, name_ + " from " + text_of(peer, size));
}

void FollowedPeer::connect(FollowClock::time_point now) {
  Found found = nothing_found();
  if (find(address_, found, AI_NUMERICHOST).empty()) return try_all(*found, now);
  look_up_ = std::make_shared<LookUp>(address_);
  try {
    start_thread("look up", [look_up = look_up_] {
      look_up->error = find(look_up->address, look_up->found);
      look_up->done.store(true, std::memory_order_release);
    }).detach();
  } catch (const std::exception& error) {
    look_up_.reset();
    failed(error.what(), now);
  }
}

void FollowedPeer::check_look_up(FollowClock::time_point now) {
  if (!look_up_->done.load(std::memory_order_acquire)) return;
  const std::shared_ptr<LookUp> look_up = std::move(look_up_);
  if (!look_up->error.empty()) return failed("cannot be looked up: " + look_up->error, now);
  try_all(*look_up->found, now);
}

void FollowedPeer::try_all(const addrinfo& found, FollowClock::time_point now) {
  addresses_.clear();
  for (const addrinfo* at = &found; at != nullptr; at = at->ai_next) {
    if (at->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address address;
    std::memcpy(&address.bytes, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
    address.family = at->ai_family;
    addresses_.push_back(address);
  }
  std::ranges::reverse(addresses_);  // taken from the back
  try_next(now);
}

void FollowedPeer::try_next(FollowClock::time_point now) {
  const Address address = addresses_.back();
  addresses_.pop_back();
  attempt_ = socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  attempt_ends_ = now + kConnectPatience;
  if (attempt_ < 0) return failed(std::strerror(errno), now);
  if (::connect(attempt_, reinterpret_cast<const sockaddr*>(&address.bytes), address.size) == 0) {
    return connected(std::exchange(attempt_, -1), name_);
  }
  if (errno != EINPROGRESS) failed(std::strerror(errno), now);
}

void FollowedPeer::check_attempt(FollowClock::time_point now) {
  pollfd waiting{attempt_, POLLOUT, 0};
  if (poll(&waiting, 1, 0) == 0) {
    if (now >= attempt_ends_) failed("there is no answer", now);
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(attempt_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return failed(std::strerror(error), now);
  connected(std::exchange(attempt_, -1), name_);
}

void FollowedPeer::failed(const std::string& why, FollowClock::time_point now) {
  close_attempt();
  if (!addresses_.empty()) return try_next(now);
  listener_.on_unconnected(name_, why, pause_.count());
  next_attempt_ = now + pause_;
  pause_ = std::min(pause_ * 2, kRetryMax);
}

void FollowedPeer::close_attempt() {
  if (attempt_ >= 0) ::close(attempt_);
  attempt_ = -1;
}

void FollowedPeer::connected(int fd, const std::string& name) {
  keep_alive(fd);
  addresses_.clear();
  capture_.emplace();
  capture_->name = name;
  capture_->reader = std::make_unique<ByteReader>();
  capture_->reader->take(fd);
  count(counters_.found);
  count(counters_.waiting);
}

FollowedCapture* FollowedPeer::next(FollowClock::time_point) {
  if (!capture_ || capture_->begun) return nullptr;
  count(counters_.read);
  count(counters_.waiting, static_cast<uint64_t>(-1));
  return &*capture_;
}

// The next one is connected to at once if this one was good for something.
void FollowedPeer::end(FollowedCapture& capture) {
  report_end(capture.end, counters_, listener_);
  const bool was_good = capture.end.bytes > 0 && !capture.end.damaged;
  capture_.reset();
  if (was_good) pause_ = kRetryMin;
  next_attempt_ = FollowClock::now() + pause_;
  if (!was_good) pause_ = std::min(pause_ * 2, kRetryMax);
}

int FollowedPeer::fd() const {
  return capture_ ? capture_->reader->fd() : listening_;
}

}  // namespace tcp_sniffer
