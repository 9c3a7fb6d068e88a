#include "io/capture/live_source.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/source_lab.h"

namespace tcp_sniffer::live_source_test {
namespace {

using namespace source_lab;

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

TEST_F(LiveSourceTest, AnInterfaceThatMayReturnIsCapturedAgainAndItsFiguresGoOn) {
  LiveOptions options = left();
  options.may_return = true;
  const auto source = open(filter_of({8080}), options);
  ASSERT_NE(source, nullptr);
  Collector collector;
  send(ethernet(tcp(8080)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  ASSERT_TRUE(run("ip link del left"));
  poll_until(*source, collector, [&] { return source->is_removed(); });
  ASSERT_TRUE(source->is_removed());
  EXPECT_FALSE(source->interface_is_up());
  EXPECT_EQ(source->removal().code, ErrorCode::kCaptureFailed);
  EXPECT_EQ(source->poll(collector), SourceStatus::kIdle);
  ASSERT_TRUE(run("ip link add left type veth peer name right"));
  // It is there, and down: libpcap refuses to open it.
  EXPECT_EQ(poll_until(*source, collector, [] { return true; }), SourceStatus::kIdle);
  ASSERT_TRUE(run("ip link set left up") && run("ip link set right up") && cable_carries());
  poll_until(*source, collector, [&] { return !source->is_removed(); });
  ASSERT_FALSE(source->is_removed());
  EXPECT_TRUE(source->interface_is_up());
  collector.frames.clear();
  send(ethernet(tcp(8081)));
  send(ethernet(tcp(8080)));
  poll_until(*source, collector, [&] { return !collector.frames.empty(); });
  ASSERT_EQ(collector.frames.size(), 1U);
  EXPECT_EQ(collector.frames[0].data, ethernet(tcp(8080)));
  source->update_statistics();
  EXPECT_EQ(source->statistics().received, 2u);
  EXPECT_EQ(source->downs(), 1u);
  EXPECT_NE(source->filter_text().find("tcp port 8080"), std::string::npos);
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
