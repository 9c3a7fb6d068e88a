// Pcap over IP (`--follow` with tcp:// and tcp-listen://): the whole program beside its peers.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/capture_maker.h"
#include "support/follow_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::follow_peer_test {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

uint16_t port_of(const Descriptor& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

// Listens on loopback; `port` 0: any.
Descriptor listener(uint16_t port = 0) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(socket.get(), 4), 0);
  return socket;
}

Descriptor connection_of(const Descriptor& listening) {
  return Descriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

Descriptor connection_to(uint16_t port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  return socket;
}

void send(const Descriptor& socket, std::string_view bytes) {
  ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

std::string url(const char* scheme, uint16_t port) {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port);
}

class Sender {
 public:
  Sender() {
    header_ = maker_.take();
    connection_ = maker_.open();
  }
  const std::string& header() const { return header_; }
  std::string request(const std::string& path) {
    maker_.segment(connection_, CaptureMaker::kClient,
                   "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return maker_.take();
  }
  std::string response() {
    maker_.segment(connection_, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
    return maker_.take();
  }

 private:
  CaptureMaker maker_;
  std::string header_;
  CaptureMaker::Connection connection_;
};

TEST(FollowPeer, ConnectsAndConnectsAgainWhenTheConnectionEndsInAPacket) {
  const Descriptor listening = listener();
  FollowRunning run({url("tcp", port_of(listening))});
  Sender sender;
  {
    const Descriptor peer = connection_of(listening);
    send(peer, sender.header() + sender.request("/one"));
    ASSERT_TRUE(run.reaches(1));
    send(peer, Sender().request("/lost").substr(0, 20));
  }
  ASSERT_TRUE(run.reports("follow_ended"));
  const Descriptor peer = connection_of(listening);
  send(peer, sender.header() + sender.response());
  ASSERT_TRUE(run.reaches(2));
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["read"], 2);
  EXPECT_EQ(stopped["follow"]["cut"], 1);
  const Json ended = run.events_named("follow_ended").at(0);
  EXPECT_EQ(ended["level"], "warn");
  EXPECT_EQ(ended["cutBytes"], 20);
  const std::vector<Json> lines = json_lines(run.out());
  EXPECT_EQ(lines[1]["exchange"], lines[0]["exchange"]);
}

TEST(FollowPeer, ANameIsLookedUpAtEachAttempt) {
  const Descriptor listening = listener();
  FollowRunning run({"tcp://localhost:" + std::to_string(port_of(listening))});
  Sender sender;
  {
    const Descriptor peer = connection_of(listening);
    send(peer, sender.header() + sender.request("/one"));
    ASSERT_TRUE(run.reaches(1));
  }
  ASSERT_TRUE(run.reports("follow_ended"));
  const Descriptor peer = connection_of(listening);
  send(peer, sender.header() + sender.response());
  ASSERT_TRUE(run.reaches(2));
  EXPECT_EQ(run.stop()["follow"]["read"], 2);
}

TEST(FollowPeer, WaitsForAPeerThatIsNotThereYet) {
  uint16_t port = 0;
  {
    const Descriptor gone = listener();
    port = port_of(gone);
  }
  FollowRunning run({url("tcp", port)});
  ASSERT_TRUE(run.reports("follow_unconnected", 2));
  const std::vector<Json> failed = run.events_named("follow_unconnected");
  EXPECT_EQ(failed[0]["error"], "Connection refused");
  EXPECT_EQ(failed[0]["retryMs"], 200);
  EXPECT_EQ(failed[1]["retryMs"], 400);
  const Descriptor listening = listener(port);
  const Descriptor peer = connection_of(listening);
  Sender sender;
  send(peer, sender.header() + sender.request("/one"));
  ASSERT_TRUE(run.reaches(1));
  run.stop();
}

TEST(FollowPeer, ListensAndReadsOneSenderAfterTheOther) {
  FollowRunning run({"tcp-listen://127.0.0.1:0"});
  ASSERT_TRUE(run.reports("follow_listening"));
  const Json listening = event_named(run.err(), "follow_listening");
  const auto port = listening["port"].get<uint16_t>();
  Sender sender;
  {
    const Descriptor first = connection_to(port);
    send(first, sender.header() + sender.request("/one"));
    ASSERT_TRUE(run.reaches(1));
    // The second one waits for the first.
    const Descriptor second = connection_to(port);
    const std::string rest = sender.response();
    Sender other;
    send(second, other.header() + sender.request("/two"));
    send(first, rest.substr(0, 10));
    send(first, rest.substr(10));
    ASSERT_TRUE(run.reaches(2));
    ::shutdown(first.get(), SHUT_WR);
    ASSERT_TRUE(run.reaches(3));
  }
  ASSERT_TRUE(run.reports("follow_ended", 2));
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["read"], 2);
  EXPECT_EQ(stopped["follow"]["cut"], 0);
  const Json begun = run.events_named("follow_begun").at(0);
  EXPECT_EQ(begun["file"].get<std::string>().find("tcp-listen://127.0.0.1:0 from 127.0.0.1:"), 0u);
}

TEST(FollowPeer, DamageEndsAConnectionAndIdleTheRun) {
  FollowRunning run({"tcp-listen://127.0.0.1:0", "--follow-idle", "500ms"});
  ASSERT_TRUE(run.reports("follow_listening"));
  const auto port = event_named(run.err(), "follow_listening")["port"].get<uint16_t>();
  Sender sender;
  const Descriptor bad = connection_to(port);
  send(bad, "GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(run.reports("follow_ended"));
  const Descriptor good = connection_to(port);
  send(good, sender.header() + sender.request("/one"));
  ASSERT_TRUE(run.reaches(1));
  const Json stopped = run.end();
  EXPECT_EQ(stopped["follow"]["read"], 2);
  EXPECT_EQ(stopped["follow"]["damaged"], 1);
}

// The end of standard input ends a run whose configuration came through it.
TEST(FollowPeer, TheLifeLineEndsARun) {
  Pipe in = make_pipe();
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  Child child(sniffer({"--config", "-"}), {in.read_end.get(), out.get(), err.get()});
  const std::string config = R"({"follow": true, "files": ["tcp-listen://127.0.0.1:0"]})"
                             "\n";
  ASSERT_EQ(::write(in.write_end.get(), config.data(), config.size()),
            static_cast<ssize_t>(config.size()));
  ASSERT_TRUE(
      until([&] { return content_of(err).find("\"follow_listening\"") != std::string::npos; }));
  in.read_end.reset();
  in.write_end.reset();
  EXPECT_EQ(child.wait(std::chrono::seconds(30)).code, 0) << content_of(err);
}

}  // namespace
}  // namespace tcp_sniffer::follow_peer_test
