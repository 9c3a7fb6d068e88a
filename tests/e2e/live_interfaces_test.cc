// Several interfaces as one capture: the two legs of a TAP, a bridge, ups and downs.

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>

#include <filesystem>

#include "support/live_lab.h"

namespace tcp_sniffer::live_interfaces_test {
namespace {

using namespace std::chrono_literals;

// A third host with the two outgoing legs of a TAP on the cable: what `right` receives comes out of
// `leg1`, what it sends comes out of `leg2`. It has no address, and takes no part.
class TapLab : public LiveLab {
 protected:
  void SetUp() override {
    LiveLab::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!has_program("tc")) GTEST_SKIP() << "tc is not installed";
    ASSERT_TRUE(shell("ip netns add " + tap_.name()));
    for (const std::string leg : {"1", "2"}) make_leg(leg);
  }
  void make_leg(const std::string& leg) {
    ASSERT_TRUE(shell("ip link add name copy" + leg + " netns " + server_.name() +
                      " type veth peer name leg" + leg + " netns " + tap_.name()));
    for (const auto& [host, interface] : {std::pair(server_, "copy"), std::pair(tap_, "leg")}) {
      // Nothing but the copies: no neighbour discovery.
      ASSERT_TRUE(shell("ip netns exec " + host.name() + " sysctl -qw net.ipv6.conf." + interface +
                        leg + ".disable_ipv6=1"));
      ASSERT_TRUE(
          host.ip("link set " + std::string(interface) + leg + " mtu 65535 txqueuelen 20000 up"));
    }
  }
  void TearDown() override {
    shell("ip netns del " + tap_.name());
    LiveLab::TearDown();
  }

  // False: this kernel cannot mirror.
  bool mirror() const {
    return shell("ip netns exec " + server_.name() + " tc qdisc add dev right clsact") &&
           copy("ingress", "copy1") && copy("egress", "copy2");
  }
  bool copy(const std::string& direction, const std::string& to) const {
    return shell("ip netns exec " + server_.name() + " tc filter add dev right " + direction +
                 " protocol all u32 match u32 0 0 action mirred egress mirror dev " + to);
  }

  static std::vector<std::string> on_both_legs(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"-i", "leg1", "-i", "leg2", "-p", "80"});
    return arguments;
  }
  static Json figures_of(const Json& event, const std::string& interface) {
    for (const Json& figures : event["interfaces"]) {
      if (figures["interface"] == interface) return figures;
    }
    ADD_FAILURE() << interface << " in " << event;
    return {};
  }
  void exchange(uint64_t count) {
    Load load;
    load.connections = 1;
    load.exchanges = count;
    EXPECT_EQ(send(load).exchanges, count);
  }
  // Until the sniffer has reported it.
  void remove_second_leg(const LiveSniffer& sniffer) const {
    ASSERT_TRUE(tap_.ip("link del leg2"));
    ASSERT_TRUE(until([&] {
      const auto events = sniffer.events("interface_down");
      return std::any_of(events.begin(), events.end(),
                         [](const Json& event) { return event.contains("error"); });
    })) << sniffer.said();
  }

  Host tap_{"tcpsniff-" + std::to_string(::getpid()) + "-tap"};
};

TEST_F(TapLab, EveryExchangeOfTheAccessLogIsFoundAtFullSpeed) {
  if (IsSkipped()) return;
  if (!mirror()) GTEST_SKIP() << "this kernel has no mirred and u32";
  if (!has_program("nginx")) GTEST_SKIP() << "nginx is not installed";
  Load load;
  load.seconds = load_seconds();
  if (kSanitized) load.per_second = 500;
  const auto [stopped, logged] = expect_all_found("two legs", tap_, on_both_legs(), load, client_);
  EXPECT_EQ(stopped["messages"]["unpaired"], 0);
  for (const char* leg : {"leg1", "leg2"}) {
    const Json figures = figures_of(stopped, leg);
    EXPECT_GE(figures["frames"], logged) << figures;
    EXPECT_EQ(figures["received"], figures["frames"]) << figures;
    EXPECT_EQ(figures["dropped"], 0);
  }
  EXPECT_EQ(figures_of(stopped, "leg1")["frames"].get<uint64_t>() +
                figures_of(stopped, "leg2")["frames"].get<uint64_t>(),
            stopped["frames"]["received"].get<uint64_t>());
}

TEST_F(TapLab, AReaderThatStallsLosesNothingOfEitherLeg) {
  if (IsSkipped()) return;
  if (!mirror()) GTEST_SKIP() << "this kernel has no mirred and u32";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  const Json stopped = expect_nothing_lost_in_a_stall(tap_, on_both_legs(), 2);
  EXPECT_EQ(stopped["messages"]["unpaired"], 0);
}

TEST_F(TapLab, StartedNamesEveryInterfaceAndTheCheckLooksAtEach) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(tap_, on_both_legs({"--capture-threads", "2"}));
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  const Json started = sniffer.events("started")[0];
  ASSERT_EQ(started["interfaces"].size(), 2u);
  EXPECT_EQ(started["interfaces"][0]["interface"], "leg1");
  EXPECT_EQ(started["interfaces"][1]["interface"], "leg2");
  EXPECT_EQ(started["interfaces"][1]["linkType"], 1);
  EXPECT_NE(started["interfaces"][1]["filter"].get<std::string>().find("tcp port 80"),
            std::string::npos);
  EXPECT_EQ(started["captureThreads"], 4);
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.stopped()["interfaces"].size(), 2u);
  const Finished check =
      run(tap_.command({TCP_SNIFFER_BINARY, "-i", "leg1", "-i", "leg2", "-p", "80", "--check"}));
  EXPECT_EQ(check.exit.code, 0) << check.out;
  EXPECT_NE(check.out.find("interface:  leg1, up\n"), std::string::npos) << check.out;
  EXPECT_NE(check.out.find("interface:  leg2, up\n"), std::string::npos) << check.out;
  const Finished wrong =
      run(tap_.command({TCP_SNIFFER_BINARY, "-i", "leg1", "-i", "leg3", "-p", "80"}));
  EXPECT_EQ(wrong.exit.code, 3);
  EXPECT_NE(event_named(wrong.err, "fatal")["message"].get<std::string>().find("leg3"),
            std::string::npos);
}

TEST_F(TapLab, OneInterfaceGoesDownAndUpWhileTheOtherIsCaptured) {
  if (IsSkipped()) return;
  if (!mirror()) GTEST_SKIP() << "this kernel has no mirred and u32";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(tap_, on_both_legs({"--stats-interval-ms", "200ms"}));
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(2);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 4; })) << sniffer.said();
  ASSERT_TRUE(tap_.ip("link set leg2 down"));
  ASSERT_TRUE(sniffer.wait_for("interface_down")) << sniffer.said();
  EXPECT_EQ(sniffer.events("interface_down")[0]["interface"], "leg2");
  exchange(3);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 7; })) << "the requests alone";
  ASSERT_TRUE(
      until([&] { return figures_of(sniffer.events("stats").back(), "leg2")["up"] == false; }));
  EXPECT_EQ(figures_of(sniffer.events("stats").back(), "leg1")["up"], true);
  ASSERT_TRUE(tap_.ip("link set leg2 up"));
  ASSERT_TRUE(sniffer.wait_for("interface_up")) << sniffer.said();
  EXPECT_EQ(sniffer.events("interface_up")[0]["interface"], "leg2");
  ASSERT_TRUE(until([&] {
    const uint64_t before = sniffer.lines();
    exchange(1);
    return until([&] { return sniffer.lines() >= before + 1; }) && sniffer.lines() >= before + 2;
  })) << "both directions are captured again";
  EXPECT_EQ(sniffer.stop().code, 0);
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  EXPECT_EQ(figures_of(stopped, "leg2")["downs"], 1);
  EXPECT_EQ(figures_of(stopped, "leg1")["downs"], 0);
}

TEST_F(TapLab, OneInterfaceIsRemovedAndTheOtherIsCapturedToTheEnd) {
  if (IsSkipped()) return;
  if (!mirror()) GTEST_SKIP() << "this kernel has no mirred and u32";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(tap_, on_both_legs());
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(2);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 4; })) << sniffer.said();
  ASSERT_NO_FATAL_FAILURE(remove_second_leg(sniffer));
  exchange(3);
  EXPECT_TRUE(until([&] { return sniffer.lines() == 7; })) << "the requests alone";
  // What was asked for was not captured to the end.
  EXPECT_EQ(sniffer.stop().code, 5);
  EXPECT_EQ(event_named(sniffer.said(), "fatal")["code"], "CAPTURE_FAILED");
  expect_ledger_closes(sniffer.stopped());
}

TEST_F(TapLab, AnInterfaceThatIsRemovedAndComesBackIsCapturedAgain) {
  if (IsSkipped()) return;
  if (!mirror()) GTEST_SKIP() << "this kernel has no mirred and u32";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(tap_, on_both_legs());
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(2);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 4; })) << sniffer.said();
  ASSERT_NO_FATAL_FAILURE(remove_second_leg(sniffer));
  EXPECT_TRUE(sniffer.events("interface_up").empty());
  make_leg("2");
  ASSERT_TRUE(copy("egress", "copy2"));
  ASSERT_TRUE(until([&] { return !sniffer.events("interface_up").empty(); })) << sniffer.said();
  EXPECT_EQ(sniffer.events("interface_up")[0]["interface"], "leg2");
  const uint64_t before = sniffer.lines();
  exchange(5);
  EXPECT_TRUE(until([&] { return sniffer.lines() >= before + 10; })) << sniffer.said();
  EXPECT_EQ(sniffer.stop().code, 0) << sniffer.said();
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  EXPECT_EQ(figures_of(stopped, "leg2")["downs"], 1);
  EXPECT_GE(figures_of(stopped, "leg2")["frames"], 7);
}

TEST_F(TapLab, WhenAllInterfacesAreRemovedTheRunEnds) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(tap_, on_both_legs());
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  ASSERT_TRUE(tap_.ip("link del leg1"));
  ASSERT_TRUE(until([&] { return !sniffer.events("interface_down").empty(); })) << sniffer.said();
  ASSERT_TRUE(tap_.ip("link del leg2"));
  EXPECT_EQ(sniffer.wait(std::chrono::seconds(10)).code, 5);
  const std::vector<Json> fatal = sniffer.events("fatal");
  ASSERT_EQ(fatal.size(), 2u) << "one for each";
  for (const Json& event : fatal) EXPECT_EQ(event["code"], "CAPTURE_FAILED");
  expect_ledger_closes(sniffer.stopped());
}

// On both ports of a bridge each packet is seen twice.
TEST_F(TapLab, WhatBothInterfacesSeeIsTakenOnce) {
  if (IsSkipped()) return;
  if (!has_program("nginx")) GTEST_SKIP() << "nginx is not installed";
  // The server is behind a bridge with the ports right and copy1, at leg1.
  if (!server_.ip("link add name bridge type bridge")) GTEST_SKIP() << "this kernel has no bridge";
  ASSERT_TRUE(server_.ip("addr flush dev right"));
  ASSERT_TRUE(server_.ip("link set right master bridge") &&
              server_.ip("link set copy1 master bridge") && server_.ip("link set bridge up") &&
              tap_.ip("link set leg1 mtu 1500") && server_.ip("link set copy1 mtu 1500") &&
              tap_.ip("addr add 10.77.0.2/24 dev leg1"));
  std::swap(server_, tap_);
  const bool serves = start_server();
  std::swap(server_, tap_);
  ASSERT_TRUE(serves);
  LiveSniffer sniffer(server_, {"-i", "right", "-i", "copy1", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(100);
  EXPECT_TRUE(until([&] { return sniffer.lines() >= 200; }));
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 200u);
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["bytes"]["duplicate"].get<uint64_t>() * 2,
            stopped["bytes"]["captured"].get<uint64_t>());
  EXPECT_EQ(stopped["tcp"]["duplicate_frames"], 200) << stopped;
}

TEST_F(TapLab, MetricsHaveTheInterfaceOfEachCaptureThread) {
  if (IsSkipped()) return;
  ASSERT_TRUE(tap_.ip("link set lo up"));
  LiveSniffer sniffer(tap_, on_both_legs({"--metrics-listen", "127.0.0.1:9464"}));
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  std::string answer;
  tap_.run([&] {
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9464);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    ASSERT_EQ(::send(socket.get(), request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    char buffer[16384];
    for (ssize_t size = 0; (size = ::recv(socket.get(), buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(size));
    }
  });
  for (const char* sample :
       {"tcp_sniffer_kernel_dropped_total{capture=\"0\",interface=\"leg1\"} 0",
        "tcp_sniffer_kernel_received_total{capture=\"1\",interface=\"leg2\"}",
        "tcp_sniffer_interface_up{capture=\"1\",interface=\"leg2\"} 1",
        "tcp_sniffer_interface_downs_total{capture=\"0\",interface=\"leg1\"} 0"}) {
    EXPECT_NE(answer.find(sample), std::string::npos) << sample << " in " << answer;
  }
  EXPECT_EQ(sniffer.stop().code, 0);
}

// ---------------------------------------------------------------- what a firewall logs

TEST_F(LiveLab, AGroupOfNflogIsCaptured) {
  if (IsSkipped()) return;
  if (!has_program("nft")) GTEST_SKIP() << "nft is not installed";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  const std::string nft = "ip netns exec " + server_.name() + " nft ";
  if (!shell(nft + "'add table inet t; add chain inet t in { type filter hook input priority 0; }; "
                   "add chain inet t out { type filter hook output priority 0; }; "
                   "add rule inet t in tcp dport 80 log group 5; "
                   "add rule inet t out tcp sport 80 log group 5'")) {
    GTEST_SKIP() << "this kernel has no NFLOG";
  }
  // Ports and filter are judged in the program.
  const Finished check =
      run(server_.command({TCP_SNIFFER_BINARY, "-i", "nflog:5", "-p", "80", "--check"}));
  EXPECT_NE(check.out.find("filter:     none in the kernel;"), std::string::npos) << check.out;
  LiveSniffer sniffer(server_, {"-i", "nflog:5", "-p", "80", "--filter", "host 10.77.0.1"});
  LiveSniffer others(server_, {"-i", "nflog:6", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  ASSERT_TRUE(others.wait_for("started")) << others.said();
  Load load;
  load.connections = 2;
  load.exchanges = 100;
  EXPECT_EQ(send(load).exchanges, 100u);
  load.address = kServer6;
  EXPECT_EQ(send(load).exchanges, 100u);
  EXPECT_TRUE(until([&] { return sniffer.lines() >= 200; })) << sniffer.said();
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 200u) << "IPv6 does not pass the filter";
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  expect_no_drops(stopped);
  EXPECT_GT(stopped["frames"]["filtered"], 100);
  EXPECT_EQ(others.stop().code, 0);
  EXPECT_EQ(others.lines(), 0u) << "another group";
}

// ---------------------------------------------------------------- a leg that is late

// Frames of a generated capture, each direction on its leg, with the pauses that they had; those of
// one leg later by some time.
struct Late {
  std::string name;
  std::string leg;
  double late_s;
};

void PrintTo(const Late& late, std::ostream* out) {
  *out << late.name;
}

class LateTap : public TapLab, public testing::WithParamInterface<Late> {
 protected:
  struct Frame {
    double at_s;
    int leg;
    std::string bytes;
  };

  // The frames of the file in the time of the capture, squeezed into `seconds`.
  std::vector<Frame> frames_of(const std::string& path, double seconds) const {
    char error[PCAP_ERRBUF_SIZE];
    pcap_t* in = pcap_open_offline(path.c_str(), error);
    EXPECT_NE(in, nullptr) << error;
    std::vector<Frame> frames;
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    while (in != nullptr && pcap_next_ex(in, &header, &data) == 1) {
      const std::string bytes(reinterpret_cast<const char*>(data), header->caplen);
      const auto port = static_cast<uint8_t>(bytes[34]) << 8 | static_cast<uint8_t>(bytes[35]);
      const double at =
          static_cast<double>(header->ts.tv_sec) + static_cast<double>(header->ts.tv_usec) / 1e6;
      frames.push_back({at, port == 80 ? 2 : 1, bytes});
    }
    if (in != nullptr) pcap_close(in);
    if (frames.empty()) return frames;
    const double begin = frames.front().at_s;
    const double scale = seconds / std::max(frames.back().at_s - begin, 1e-6);
    for (Frame& frame : frames) {
      frame.at_s = (frame.at_s - begin) * scale;
      if ("leg" + std::to_string(frame.leg) == GetParam().leg) frame.at_s += GetParam().late_s;
    }
    std::stable_sort(frames.begin(), frames.end(),
                     [](const Frame& a, const Frame& b) { return a.at_s < b.at_s; });
    return frames;
  }

  void replay(const std::vector<Frame>& frames) const {
    server_.run([&] {
      const Descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      const double begin = now_seconds();
      for (const Frame& frame : frames) {
        const double early = begin + frame.at_s - now_seconds();
        if (early > 0.0002) std::this_thread::sleep_for(std::chrono::duration<double>(early));
        to.sll_ifindex = static_cast<int>(if_nametoindex(frame.leg == 1 ? "copy1" : "copy2"));
        EXPECT_EQ(::sendto(socket.get(), frame.bytes.data(), frame.bytes.size(), 0,
                           reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
                  static_cast<ssize_t>(frame.bytes.size()))
            << std::strerror(errno);
      }
    });
  }
};

TEST_P(LateTap, LosesNothing) {
  if (IsSkipped()) return;
  const std::filesystem::path generator =
      std::filesystem::path(TCP_SNIFFER_BINARY).parent_path() / "tools/pcapgen/pcapgen";
  if (!std::filesystem::exists(generator)) GTEST_SKIP() << "pcapgen is not built";
  const std::string file = (folder_ / "replay.pcap").string();
  ASSERT_EQ(run({generator, "-o", file, "--size", "2M"}).exit.code, 0);
  const Json expected = Json::parse(content_of(file + ".expected.json"));
  const std::vector<Frame> frames = frames_of(file, 1.5);
  constexpr int kAttempts = 3;
  for (int attempt = 1; attempt <= kAttempts; attempt++) {
    LiveSniffer sniffer(tap_, on_both_legs());
    ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    replay(frames);
    EXPECT_EQ(sniffer.stop().code, 0);
    const Json stopped = sniffer.stopped();
    expect_ledger_closes(stopped);
    // The sender itself may be held up for longer than a leg may be late.
    if (stopped["bytes"]["missing"] != 0 && attempt < kAttempts) continue;
    EXPECT_EQ(sniffer.lines(), expected["messages"].get<uint64_t>());
    EXPECT_EQ(stopped["frames"]["dispatched"], frames.size());
    EXPECT_EQ(stopped["messages"]["unpaired"], 0);
    expect_no_drops(stopped);
    break;
  }
}

INSTANTIATE_TEST_SUITE_P(Legs, LateTap,
                         testing::Values(Late{"Neither", "", 0}, Late{"OfTheClient", "leg1", 0.05},
                                         Late{"OfTheServer", "leg2", 0.05}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace tcp_sniffer::live_interfaces_test
