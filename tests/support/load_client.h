#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/run_program.h"

// A client that knows how many exchanges it has had.
namespace tcp_sniffer {

constexpr const char* kServer4 = "10.77.0.2";
constexpr const char* kServer6 = "fd77::2";

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What a client is to do: requests on keep-alive connections, one outstanding on each.
struct Load {
  std::string address = kServer4;
  std::string path = "/small";
  size_t connections = 16;
  double seconds = 0;      // 0: no bound
  uint64_t exchanges = 0;  // 0: no bound
  double per_second = 0;   // 0: as fast as it goes
  const std::atomic<bool>* stop = nullptr;
};

struct LoadResult {
  uint64_t exchanges = 0;
  uint64_t bytes = 0;  // of both directions
};

// A client that knows the size of the answers after the first one; every answer is awaited, so
// what it counts is what crossed the cable.
class LoadClient {
 public:
  explicit LoadClient(const Load& load) : load_(load) {
    request_ = "GET " + load.path + " HTTP/1.1\r\nHost: server\r\n\r\n";
    for (size_t i = 0; i < load.connections; i++) sockets_.push_back(connect_to(load.address));
  }

  LoadResult run() {
    LoadResult result;
    const double begin = now_seconds();
    while (!done(result, now_seconds() - begin)) {
      size_t asked = 0;
      for (const Descriptor& socket : sockets_) {
        if (load_.exchanges != 0 && result.exchanges + asked >= load_.exchanges) break;
        if (!send_all(socket.get())) return result;
        asked++;
      }
      for (size_t i = 0; i < asked; i++) {
        const size_t size = receive(sockets_[i].get());
        if (size == 0) return result;
        result.exchanges++;
        result.bytes += request_.size() + size;
      }
      if (load_.per_second > 0) {
        const double due = begin + static_cast<double>(result.exchanges) / load_.per_second;
        const double early = due - now_seconds();
        if (early > 0) std::this_thread::sleep_for(std::chrono::duration<double>(early));
      }
    }
    return result;
  }

 private:
  static Descriptor connect_to(const std::string& address) {
    sockaddr_storage to{};
    socklen_t size = 0;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
    if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(80);
      size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(80);
      size = sizeof(*v6);
    }
    Descriptor socket(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{20, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), size), 0)
        << address << ": " << std::strerror(errno);
    return socket;
  }

  bool done(const LoadResult& result, double elapsed) const {
    return (load_.exchanges != 0 && result.exchanges >= load_.exchanges) ||
           (load_.seconds > 0 && elapsed >= load_.seconds) ||
           (load_.stop != nullptr && load_.stop->load());
  }
  bool send_all(int socket) const {
    const ssize_t sent = ::send(socket, request_.data(), request_.size(), MSG_NOSIGNAL);
    EXPECT_EQ(sent, static_cast<ssize_t>(request_.size())) << std::strerror(errno);
    return sent == static_cast<ssize_t>(request_.size());
  }
  // The bytes of one answer; 0 when it did not come.
  size_t receive(int socket) {
    size_t have = 0;
    while (answer_size_ == 0 || have < answer_size_) {
      const ssize_t size = ::recv(socket, buffer_.data() + (answer_size_ == 0 ? have : 0),
                                  buffer_.size() - (answer_size_ == 0 ? have : 0), 0);
      EXPECT_GT(size, 0) << "the answer ended after " << have << " bytes";
      if (size <= 0) return 0;
      have += static_cast<size_t>(size);
      if (answer_size_ == 0) learn_size(have);
    }
    return have;
  }
  void learn_size(size_t have) {
    const std::string_view text(buffer_.data(), have);
    const size_t head = text.find("\r\n\r\n");
    const size_t length = text.find("Content-Length: ");
    if (head == std::string_view::npos || length == std::string_view::npos) return;
    answer_size_ = head + 4 + std::strtoull(text.data() + length + 16, nullptr, 10);
  }

  const Load load_;
  std::string request_;
  std::vector<Descriptor> sockets_;
  std::vector<char> buffer_ = std::vector<char>(1 << 20);
  size_t answer_size_ = 0;
};

}  // namespace tcp_sniffer
