#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "io/capture/live_source.h"

// Live sources in a network of their own, and frames to send there.
namespace tcp_sniffer::source_lab {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Bytes be16(uint16_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

// IPv4 and TCP to a port, `filler` bytes of payload behind.
inline Bytes tcp(uint16_t port, uint16_t source_port = 40000, size_t filler = 30) {
  Bytes segment = be16(source_port) + be16(port) + Bytes(8, 0) + Bytes{0x50, 0x10} + Bytes(6, 0) +
                  Bytes(filler, 'x');
  return Bytes{0x45, 0} + be16(static_cast<uint16_t>(20 + segment.size())) +
         Bytes{0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2} + segment;
}

inline Bytes ethernet(const Bytes& payload, const std::vector<uint16_t>& tag_types = {}) {
  Bytes frame(12, 0xff);
  for (const uint16_t tag_type : tag_types) frame = frame + be16(tag_type) + be16(0x2007);
  return frame + be16(ETHERTYPE_IP) + payload;
}

struct SeenFrame {
  Bytes data;
  uint32_t wire_size;
  int64_t time_ns;
};

class Collector final : public FrameSink {
 public:
  void on_frames(std::span<const Frame> burst, CapturePiece* piece) override {
    EXPECT_EQ(piece, nullptr) << "the memory is the kernel's";
    for (const Frame& frame : burst) {
      frames.push_back(
          {Bytes(frame.data.begin(), frame.data.end()), frame.wire_size, frame.time_ns});
    }
  }
  void on_file(const std::string&) override { ADD_FAILURE(); }

  bool has(const Bytes& data) const {
    return std::any_of(frames.begin(), frames.end(),
                       [&](const SeenFrame& frame) { return frame.data == data; });
  }
  std::vector<SeenFrame> frames;
};

inline CaptureFilter filter_of(std::vector<uint16_t> ports, std::string user = "") {
  auto made =
      CaptureFilter::make({std::move(ports), std::move(user), false, CaptureFilter::Use::kLive});
  EXPECT_TRUE(std::holds_alternative<CaptureFilter>(made));
  return std::get<CaptureFilter>(std::move(made));
}

// Polls until the condition holds, 10 s at most; the last status.
inline SourceStatus poll_until(LiveSource& source, Collector& collector,
                               const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  SourceStatus status = SourceStatus::kIdle;
  while (!done() && std::chrono::steady_clock::now() < deadline) {
    status = source.poll(collector);
    if (status == SourceStatus::kError) break;
    if (status == SourceStatus::kIdle) source.wait(20);
  }
  return status;
}

// A network namespace of its own, with the two ends of a cable, `left` and `right`.
class LiveSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    old_namespace_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) != 0) {
      close(old_namespace_);
      old_namespace_ = -1;
      GTEST_SKIP() << "a network namespace cannot be made here (run as root)";
    }
    if (!run("ip link set lo up") || !run("ip link add left type veth peer name right") ||
        !run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1") || !run("ip link set left up") ||
        !run("ip link set right up") || !cable_carries()) {
      GTEST_SKIP() << "a veth pair cannot be made here";
    }
  }
  void TearDown() override {
    if (sender_ >= 0) close(sender_);
    if (old_namespace_ < 0) return;
    EXPECT_EQ(setns(old_namespace_, CLONE_NEWNET), 0);
    close(old_namespace_);
  }

  static bool run(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
  }
  // The kernel notices some time after the ends are up that there is a carrier, on a busy machine
  // up to seconds later. Until then it drops what is sent.
  static bool cable_carries() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!run("ip link show right | grep -q 'state UP'")) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
    }
    return true;
  }

  static std::unique_ptr<LiveSource> open(const CaptureFilter& filter,
                                          LiveOptions options = left()) {
    auto opened = LiveSource::open(options, filter);
    if (auto* problem = std::get_if<Problem>(&opened)) {
      ADD_FAILURE() << problem->message();
      return nullptr;
    }
    return std::get<std::unique_ptr<LiveSource>>(std::move(opened));
  }

  static Problem refused(const LiveOptions& options, const CaptureFilter& filter) {
    auto opened = LiveSource::open(options, filter);
    if (auto* problem = std::get_if<Problem>(&opened)) return *problem;
    return {};
  }

  static LiveOptions left() {
    LiveOptions options;
    options.interface = "left";
    options.buffer_bytes = 4 << 20;
    return options;
  }

  // Puts a frame on the wire at `right`, so that it arrives at `left`.
  void send(const Bytes& frame) {
    if (sender_ < 0) sender_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex("right"));
    EXPECT_EQ(sendto(sender_, frame.data(), frame.size(), 0,
                     reinterpret_cast<const sockaddr*>(&address), sizeof address),
              static_cast<ssize_t>(frame.size()));
  }

 private:
  int old_namespace_ = -1;
  int sender_ = -1;
};

}  // namespace tcp_sniffer::source_lab
