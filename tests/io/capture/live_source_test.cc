#include "io/capture/live_source.h"

#include <arpa/inet.h>
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
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "io/capture/interfaces.h"
#include "io/capture/interfaces_text.h"

namespace tcp_sniffer::live_source_test {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes be16(uint16_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

// IPv4 and TCP to a port, `filler` bytes of payload behind.
Bytes tcp(uint16_t port, uint16_t source_port = 40000, size_t filler = 30) {
  Bytes segment = be16(source_port) + be16(port) + Bytes(8, 0) + Bytes{0x50, 0x10} + Bytes(6, 0) +
                  Bytes(filler, 'x');
  return Bytes{0x45, 0} + be16(static_cast<uint16_t>(20 + segment.size())) +
         Bytes{0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2} + segment;
}

Bytes ethernet(const Bytes& payload, const std::vector<uint16_t>& tag_types = {}) {
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

CaptureFilter filter_of(std::vector<uint16_t> ports, std::string user = "") {
  auto made =
      CaptureFilter::make({std::move(ports), std::move(user), false, CaptureFilter::Use::kLive});
  EXPECT_TRUE(std::holds_alternative<CaptureFilter>(made));
  return std::get<CaptureFilter>(std::move(made));
}

// Polls until the condition holds, 10 s at most; the last status.
SourceStatus poll_until(LiveSource& source, Collector& collector,
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

TEST_F(LiveSourceTest, FramesArriveWithTheirBytesLengthsAndTimes) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->link_type(), LinkType::kEthernet);
  EXPECT_TRUE(source->has_nanoseconds());
  EXPECT_NE(source->filter_text().find("tcp port 8080"), std::string::npos);
  Collector collector;
  EXPECT_EQ(source->poll(collector), SourceStatus::kIdle);
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  send(ethernet(tcp(8081)));
  send(ethernet(tcp(8080)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  const auto after = std::chrono::system_clock::now().time_since_epoch();
  ASSERT_EQ(collector.frames.size(), 1U);
  EXPECT_EQ(collector.frames[0].data, ethernet(tcp(8080)));
  EXPECT_EQ(collector.frames[0].wire_size, ethernet(tcp(8080)).size());
  EXPECT_GE(collector.frames[0].time_ns, std::chrono::nanoseconds(before).count());
  EXPECT_LE(collector.frames[0].time_ns, std::chrono::nanoseconds(after).count());
}

TEST_F(LiveSourceTest, TagsThatTheKernelMovedAwayAreBackAndTheFilterCountsBehindThem) {
  constexpr uint16_t kTag = 0x8100;
  constexpr uint16_t kServiceTag = 0x88a8;
  const std::vector<std::vector<uint16_t>> stacks = {
      {}, {kTag}, {kServiceTag}, {kServiceTag, kTag}, {kTag, kTag}};
  const auto source = open(filter_of({80, 8080}, "host 10.0.0.1 and not port 80"));
  ASSERT_NE(source, nullptr);
  Collector collector;
  for (const auto& tags : stacks) {
    send(ethernet(tcp(22), tags));
    send(ethernet(tcp(80), tags));
    send(ethernet(tcp(8080), tags));
  }
  poll_until(*source, collector, [&] { return collector.frames.size() == stacks.size(); });
  for (const auto& tags : stacks) {
    EXPECT_TRUE(collector.has(ethernet(tcp(8080), tags))) << tags.size() << " tags";
  }
  EXPECT_EQ(collector.frames.size(), stacks.size());
}

TEST_F(LiveSourceTest, WhatTheLinksDecodersOpenIsCapturedWithoutBeingAskedFor) {
  constexpr uint16_t kTag = 0x8100;
  constexpr uint16_t kServiceTag = 0x88a8;
  const Bytes ip = tcp(8080);
  const Bytes snap = Bytes{0xaa, 0xaa, 3, 0, 0, 0, 8, 0} + ip;
  const auto size = static_cast<uint16_t>(ip.size() + 2);
  const std::pair<uint16_t, Bytes> kinds[] = {
      {uint16_t{0x8847}, Bytes{0, 1, 0, 64, 0, 2, 1, 64} + ip},
      {uint16_t{0x8864}, Bytes{0x11, 0, 0, 7} + be16(size) + be16(0x0021) + ip},
      {static_cast<uint16_t>(snap.size()), snap},
      {kTag, be16(5) + be16(kTag) + be16(6) + be16(ETHERTYPE_IP) + ip},
      {uint16_t{ETHERTYPE_IP},
       Bytes{0x45, 0, 0, 64, 0, 1, 0, 0, 64, 51, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 6, 4, 0, 0} +
           Bytes(20, 0) + Bytes(ip.begin() + 20, ip.begin() + 40)},
  };
  const std::vector<std::vector<uint16_t>> stacks = {
      {}, {kTag}, {kServiceTag}, {kServiceTag, kTag}};
  for (const char* interface : {"left", "any"}) {
    SCOPED_TRACE(interface);
    LiveOptions options = left();
    options.interface = interface;
    const auto source = open(filter_of({8080}), options);
    ASSERT_NE(source, nullptr);
    std::vector<Bytes> sent;
    const bool is_any = options.interface == "any";
    for (const auto& [type, payload] : kinds) {
      // What this test puts on the wire itself, `any` sees with the length for a type.
      if (is_any && type < ETHERTYPE_IP) continue;
      for (const auto& tags : stacks) {
        Bytes frame(12, 0xff);
        for (const uint16_t tag_type : tags) frame = frame + be16(tag_type) + be16(0x2007);
        sent.push_back(frame + be16(type) + payload);
      }
    }
    for (const Bytes& frame : sent) send(frame);
    Collector collector;
    // `any` sees them leave at `right`, too.
    const size_t copies = is_any ? 2 : 1;
    poll_until(*source, collector, [&] { return collector.frames.size() == copies * sent.size(); });
    EXPECT_EQ(collector.frames.size(), copies * sent.size());
    if (copies != 1) continue;
    for (size_t i = 0; i < sent.size(); ++i) EXPECT_TRUE(collector.has(sent[i])) << i;
  }
}

TEST_F(LiveSourceTest, ThousandsOfPortsAreCapturedWithASmallFilter) {
  std::vector<uint16_t> ports;
  for (uint16_t i = 0; i < 1200; ++i) ports.push_back(static_cast<uint16_t>(1000 + 2 * i));
  const auto source = open(filter_of(ports));
  ASSERT_NE(source, nullptr);
  EXPECT_LE(source->filter_instructions(), 3000U);
  Collector collector;
  send(ethernet(tcp(3398)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  EXPECT_TRUE(collector.has(ethernet(tcp(3398))));
}

TEST_F(LiveSourceTest, TheSnapshotLengthCutsAndTheWireLengthStays) {
  LiveOptions options = left();
  options.snaplen = 60;
  const auto source = open(filter_of({8080}), options);
  ASSERT_NE(source, nullptr);
  const Bytes frame = ethernet(tcp(8080, 40000, 1000));
  send(frame);
  Collector collector;
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  ASSERT_EQ(collector.frames.size(), 1U);
  EXPECT_EQ(collector.frames[0].data, Bytes(frame.begin(), frame.begin() + 60));
  EXPECT_EQ(collector.frames[0].wire_size, frame.size());
}

TEST_F(LiveSourceTest, LoopbackAndAnyAreCaptured) {
  for (const auto& [interface, link_type] :
       {std::pair("lo", LinkType::kEthernet), std::pair("any", LinkType::kLinuxSll)}) {
    SCOPED_TRACE(interface);
    LiveOptions options = left();
    options.interface = interface;
    const auto source = open(filter_of({8080}), options);
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->link_type(), link_type);
    // The handshake with a closed port: a SYN and its RST.
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_NE(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(fd);
    Collector collector;
    poll_until(*source, collector, [&] { return collector.frames.size() >= 2; });
    EXPECT_GE(collector.frames.size(), 2U);
  }
}

TEST_F(LiveSourceTest, AWaitEndsWhenWokenFromAnotherThread) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  Collector collector;
  ASSERT_EQ(source->poll(collector), SourceStatus::kIdle);
  std::thread waker([&source] { source->wake(); });
  source->wait(-1);
  waker.join();
}

TEST_F(LiveSourceTest, AnInterfaceThatComesBackIsCapturedAgain) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  Collector collector;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(run("ip link set left down"));
    poll_until(*source, collector, [&] { return !source->interface_is_up(); });
    EXPECT_FALSE(source->interface_is_up());
    EXPECT_EQ(source->poll(collector), SourceStatus::kIdle) << source->problem().message();
    ASSERT_TRUE(run("ip link set left up"));
    poll_until(*source, collector, [&] { return source->interface_is_up(); });
    EXPECT_TRUE(source->interface_is_up());
    ASSERT_TRUE(cable_carries());
    collector.frames.clear();
    send(ethernet(tcp(8080)));
    poll_until(*source, collector, [&] { return !collector.frames.empty(); });
    EXPECT_TRUE(collector.has(ethernet(tcp(8080))));
  }
}

TEST_F(LiveSourceTest, AnInterfaceThatIsRemovedEndsTheCapture) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  Collector collector;
  send(ethernet(tcp(8080)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  ASSERT_TRUE(run("ip link del left"));
  EXPECT_EQ(poll_until(*source, collector, [] { return false; }), SourceStatus::kError);
  EXPECT_EQ(source->problem().code, ErrorCode::kCaptureFailed);
  EXPECT_EQ(source->problem().message(), "capturing on \"left\" failed: the interface was removed");
  EXPECT_EQ(collector.frames.size(), 1U);
}

TEST_F(LiveSourceTest, AnInterfaceThatIsRenamedStaysTheSame) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  Collector collector;
  ASSERT_TRUE(run("ip link set left down && ip link set left name other && ip link set other up"));
  poll_until(*source, collector, [&] { return source->interface_is_up(); });
  ASSERT_TRUE(cable_carries());
  send(ethernet(tcp(8080)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  EXPECT_TRUE(collector.has(ethernet(tcp(8080)))) << source->problem().message();
}

TEST_F(LiveSourceTest, AnInterfaceThatIsMadeAnewIsAnotherOne) {
  const auto source = open(filter_of({8080}));
  ASSERT_NE(source, nullptr);
  Collector collector;
  ASSERT_TRUE(
      run("ip link del left && ip link add left type veth peer name right && "
          "ip link set left up"));
  EXPECT_EQ(poll_until(*source, collector, [] { return false; }), SourceStatus::kError);
  EXPECT_EQ(source->problem().code, ErrorCode::kCaptureFailed);
}

TEST_F(LiveSourceTest, StatisticsCountWhatCameAndWhatTheBufferHadNoRoomFor) {
  LiveOptions options = left();
  options.buffer_bytes = 512 * 1024;
  const auto source = open(filter_of({8080}), options);
  ASSERT_NE(source, nullptr);
  constexpr size_t kSent = 3000;
  for (size_t i = 0; i < kSent; ++i) send(ethernet(tcp(8080, 40000, 1000)));
  Collector collector;
  poll_until(*source, collector, [&] {
    source->update_statistics();
    const LiveStatistics now = source->statistics();
    return now.received == kSent && collector.frames.size() == kSent - now.kernel_dropped;
  });
  const LiveStatistics statistics = source->statistics();
  EXPECT_EQ(statistics.received, kSent);
  EXPECT_GT(statistics.kernel_dropped, 0U);
  EXPECT_EQ(collector.frames.size(), kSent - statistics.kernel_dropped);
}

TEST_F(LiveSourceTest, HandlesOfOneFanoutGroupShareTheFrames) {
  LiveOptions options = left();
  options.fanout_group = 77;
  const auto first = open(filter_of({8080}), options);
  const auto second = open(filter_of({8080}), options);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  constexpr uint16_t kSent = 200;
  for (uint16_t i = 0; i < kSent; ++i) {
    send(ethernet(tcp(8080, static_cast<uint16_t>(40000 + i))));
  }
  Collector of_first;
  Collector of_second;
  const auto all = [&] { return of_first.frames.size() + of_second.frames.size(); };
  for (int round = 0; round < 500 && all() < kSent; ++round) {
    if (first->poll(of_first) == SourceStatus::kIdle) first->wait(10);
    second->poll(of_second);
  }
  EXPECT_EQ(all(), kSent) << "each frame once";
  EXPECT_GT(of_first.frames.size(), 0U);
  EXPECT_GT(of_second.frames.size(), 0U);
}

TEST_F(LiveSourceTest, AnUnknownInterfaceIsAnsweredWithThoseThereAre) {
  LiveOptions options = left();
  options.interface = "wrong0";
  const Problem problem = refused(options, filter_of({8080}));
  EXPECT_EQ(problem.code, ErrorCode::kInvalidInterface);
  EXPECT_EQ(problem.message().find("interface: there is no \"wrong0\"; there are: "), 0U);
  for (const char* name : {"left", "right", "any", "lo"}) {
    EXPECT_NE(problem.message().find(name), std::string::npos) << problem.message();
  }
}

TEST_F(LiveSourceTest, AFilterThatDoesNotFitTheInterfaceIsAConfigurationError) {
  const Problem problem = refused(left(), filter_of({8080}, "type mgt"));
  EXPECT_EQ(problem.code, ErrorCode::kInvalidConfig);
  EXPECT_NE(problem.message().find("802.11"), std::string::npos) << problem.message();
}

TEST_F(LiveSourceTest, WithoutRightsTheMissingCapabilityAndItsCommandAreNamed) {
  const CaptureFilter filter = filter_of({8080});
  ASSERT_EQ(seteuid(65534), 0);
  const Problem problem = refused(left(), filter);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(problem.code, ErrorCode::kPermissionDenied);
  EXPECT_NE(problem.message().find("CAP_NET_RAW"), std::string::npos) << problem.message();
  EXPECT_NE(problem.message().find("sudo setcap cap_net_raw+ep /"), std::string::npos);
}

TEST_F(LiveSourceTest, AnInterfaceThatIsDownCanNotBeOpened) {
  ASSERT_TRUE(run("ip link set left down"));
  const Problem problem = refused(left(), filter_of({8080}));
  EXPECT_EQ(problem.code, ErrorCode::kCaptureOpenFailed);
  EXPECT_NE(problem.message().find("ip link set left up"), std::string::npos) << problem.message();
  EXPECT_NE(problem.message().find("\"left\": That device is not up; bring"), std::string::npos)
      << "said once: " << problem.message();
}

TEST_F(LiveSourceTest, TheListHasWhatOpensAndTheReasonAgainstTheRest) {
  ASSERT_TRUE(run("ip link set left down"));
  const InterfacesText text = interfaces_text(list_interfaces());
  const auto line_of = [](const std::string& in, const std::string& name) {
    const size_t begin = ("\n" + in).find("\n" + name + " ");
    return begin == std::string::npos ? "" : in.substr(begin, in.find('\n', begin) - begin);
  };
  EXPECT_EQ(line_of(text.opens, "left"), "") << text.opens;
  EXPECT_NE(line_of(text.refused, "left")
                .find("left cannot be opened: That device is not up; bring it up"),
            std::string::npos)
      << text.refused;
  EXPECT_NE(line_of(text.opens, "lo"), "");
  EXPECT_NE(line_of(text.opens, "any"), "");
  // What carries no IP, or needs the number of a group, is no interface.
  for (const char* name :
       {"nflog", "nfqueue", "dbus-system", "dbus-session", "bluetooth-monitor"}) {
    EXPECT_EQ(line_of(text.opens + text.refused, name), "") << name;
  }
  size_t lines = 0;
  for (const InterfaceInfo& interface : list_interfaces().interfaces) {
    const bool is_listed = !line_of(text.opens, interface.name).empty();
    if (!is_listed && line_of(text.refused, interface.name).empty()) continue;
    ++lines;
    LiveOptions options = left();
    options.interface = interface.name;
    EXPECT_EQ(refused(options, filter_of({8080})).code == ErrorCode::kNone, is_listed)
        << interface.name;
  }
  EXPECT_GE(lines, 3U);
}

TEST_F(LiveSourceTest, AUserWithoutRightsIsListedNothing) {
  const InterfaceList list = list_interfaces();
  ASSERT_EQ(seteuid(65534), 0);
  const InterfacesText text = interfaces_text(list);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(text.opens, "");
  EXPECT_NE(text.refused.find("right cannot be opened: "), std::string::npos) << text.refused;
}

TEST_F(LiveSourceTest, TheDefaultInterfaceIsTheFirstThatIsUpAndNotLoopback) {
  const InterfaceList list = list_interfaces();
  EXPECT_EQ(list.error, "");
  const InterfaceInfo* chosen = default_interface(list);
  ASSERT_NE(chosen, nullptr);
  EXPECT_TRUE(chosen->name == "left" || chosen->name == "right") << chosen->name;
  ASSERT_TRUE(run("ip link set left down && ip link set right down"));
  EXPECT_EQ(default_interface(list_interfaces()), nullptr);
}

// The kernel puts IPv4 fragments together before it chooses a handle; IPv6 ones it leaves, and
// chooses by addresses alone. Each datagram reaches one handle, so one defragmenter has it all.
TEST_F(LiveSourceTest, AllFragmentsOfAnIpv6DatagramReachOneHandleOfAFanoutGroup) {
  LiveOptions options = left();
  options.fanout_group = 78;
  const std::unique_ptr<LiveSource> sources[] = {open(filter_of({8080}), options),
                                                 open(filter_of({8080}), options)};
  constexpr uint8_t kDatagrams = 60;
  for (uint8_t number = 0; number < kDatagrams; ++number) {
    for (const bool is_first : {true, false}) {
      const Bytes fragment =
          Bytes{6, 0} + be16(is_first ? 0x0001 : 0x0020) + Bytes(3, 0) + Bytes{number} +
          (is_first ? be16(40000 + number) + be16(8080) + Bytes(28, 0) : Bytes(40, 'x'));
      const Bytes ip = Bytes{0x60, 0, 0, 0} + be16(static_cast<uint16_t>(fragment.size())) +
                       Bytes{44, 64} + Bytes(15, 0xfd) + Bytes{number} + Bytes(16, 0xfd) + fragment;
      send(Bytes(12, 0xff) + be16(ETHERTYPE_IPV6) + ip);
    }
  }
  Collector collectors[2];
  const auto all = [&] { return collectors[0].frames.size() + collectors[1].frames.size(); };
  for (int round = 0; round < 500 && all() < 2 * kDatagrams; ++round) {
    if (sources[0]->poll(collectors[0]) == SourceStatus::kIdle) sources[0]->wait(10);
    sources[1]->poll(collectors[1]);
  }
  EXPECT_EQ(all(), 2U * kDatagrams);
  for (const Collector& collector : collectors) {
    EXPECT_GT(collector.frames.size(), 0U);
    std::vector<int> fragments(kDatagrams, 0);
    for (const SeenFrame& frame : collector.frames) ++fragments[frame.data[14 + 40 + 7]];
    for (const int count : fragments) EXPECT_TRUE(count == 0 || count == 2) << count;
  }
}

}  // namespace
}  // namespace tcp_sniffer::live_source_test
