// What the service manager is told (sd_notify), by a socket in its place: ready, reloading,
// stopping, a line of status, and the watchdog's sign of life, which ends when a thread stands
// still.

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/held_thread.h"
#include "support/program_lab.h"

namespace tcp_sniffer::service_test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A variable of the environment, while it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

// The manager's end: takes datagrams at a path, or at an abstract name.
class Manager {
 public:
  explicit Manager(bool abstract = false)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name_ = (folder_ / "notify").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() + 1);
    if (abstract) {
      name_[0] = '@';
      address.sun_path[0] = '\0';
      size--;
    }
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  }

  const std::string& name() const { return name_; }

  // The next datagram; nothing: none came in that time.
  std::optional<std::string> next(std::chrono::milliseconds longest = 60s) const {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(longest.count())) <= 0) return {};
    char bytes[4096];
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof(bytes), 0);
    if (size < 0) return {};
    return std::string(bytes, static_cast<size_t>(size));
  }
  // The next one with that text; empty: none came.
  std::string next_with(const std::string& text, std::chrono::milliseconds longest = 60s) const {
    const auto deadline = Clock::now() + longest;
    while (Clock::now() < deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      const auto datagram = next(left);
      if (datagram && datagram->find(text) != std::string::npos) return *datagram;
    }
    return "";
  }
  // All that come in that time.
  std::vector<std::string> all_for(std::chrono::milliseconds time) const {
    std::vector<std::string> datagrams;
    const auto deadline = Clock::now() + time;
    while (Clock::now() < deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (auto datagram = next(left)) datagrams.push_back(std::move(*datagram));
    }
    return datagrams;
  }

 private:
  TemporaryFolder folder_;
  Descriptor socket_;
  std::string name_;
};

bool any_has(const std::vector<std::string>& datagrams, const std::string& text) {
  return std::any_of(datagrams.begin(), datagrams.end(), [&](const std::string& datagram) {
    return datagram.find(text) != std::string::npos;
  });
}

// A run that reads a capture from its standard input and then waits for more.
struct Service {
  explicit Service(std::vector<std::string> arguments, const std::string& watchdog_us = "",
                   bool abstract = false, const std::string& capture = many_exchanges(100))
      : manager(abstract) {
    const Variable socket("NOTIFY_SOCKET", manager.name());
    std::optional<Variable> watchdog;
    if (!watchdog_us.empty()) watchdog.emplace("WATCHDOG_USEC", watchdog_us);
    run = std::make_unique<Running>(std::move(arguments), capture);
  }

  Manager manager;
  std::unique_ptr<Running> run;
};

TEST(Service, IsReadyThenReportsAndSaysThatItStops) {
  for (const bool abstract : {false, true}) {
    Service service({"--shards", "2"}, "", abstract);
    EXPECT_EQ(service.manager.next(), "READY=1\nSTATUS=capturing");
    const std::string status = service.manager.next_with("messages/s");
    EXPECT_TRUE(status.starts_with("STATUS=")) << status;
    EXPECT_TRUE(status.ends_with(" messages/s, nothing lost")) << status;
    EXPECT_EQ(status.find("WATCHDOG"), std::string::npos) << "nobody asked for it";
    service.run->child().signal(SIGTERM);
    EXPECT_TRUE(service.manager.next_with("STOPPING=1").starts_with("STOPPING=1"));
    EXPECT_EQ(service.run->child().wait().code, 0);
  }
}

TEST(Service, StatusSaysWhatIsLost) {
  // Nobody reads, and the shard may not wait.
  Service service({"--shards", "0", "--overload", "drop", "--memory-limit", "16M"}, "", false,
                  many_exchanges(20000, 2000));
  const std::string status = service.manager.next_with("lost: ");
  EXPECT_TRUE(status.ends_with(" messages")) << status;
  service.run->child().signal(SIGKILL);
}

TEST(Service, IsNotReadyWhenTheCaptureCannotBeOpened) {
  const Manager manager;
  const Variable socket("NOTIFY_SOCKET", manager.name());
  EXPECT_EQ(run_sniffer({"-i", "no_such_interface", "-p", "80"}).exit.code, 3);
  EXPECT_EQ(run_sniffer({"-r", "/no/such/file"}).exit.code, 6);
  EXPECT_FALSE(any_has(manager.all_for(10ms), "READY"));
}

TEST(Service, AManagerThatCannotBeReachedChangesNothing) {
  for (const std::string& name :
       {std::string("/no/such/socket"), std::string("relative"), std::string("@"),
        "/" + std::string(200, 'x'), std::string("vsock:2:1234")}) {
    const Variable socket("NOTIFY_SOCKET", name);
    const Variable watchdog("WATCHDOG_USEC", "100000");
    const Finished finished = run_sniffer({"-r", kShop, "--format", "ndjson"});
    EXPECT_EQ(finished.exit.code, 0) << finished.err;
    EXPECT_EQ(lines_of(finished.out).size(), kShopMessages) << name;
  }
}

TEST(Service, MoreTimeIsAskedForWhileAFifoHasNoReader) {
  const TemporaryFolder folder;
  const std::string fifo = (folder / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Manager manager;
  const Variable socket("NOTIFY_SOCKET", manager.name());
  Child child(sniffer({"-r", kShop, "-o", fifo}), {});
  const std::string waiting = *manager.next();
  EXPECT_EQ(waiting, "STATUS=waiting for a reader of " + fifo + "\nEXTEND_TIMEOUT_USEC=15000000");
  EXPECT_EQ(*manager.next(), waiting) << "once is not enough";
  const Descriptor reader(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(manager.next_with("READY=1"), "READY=1\nSTATUS=capturing");
  read_all(reader.get());
  EXPECT_EQ(child.wait().code, 0);
}

TEST(Service, AReloadHasABeginWithItsTimeAndAnEnd) {
  const TemporaryFolder folder;
  Service service({"-o", (folder / "messages").string()});
  EXPECT_NE(service.manager.next_with("READY=1"), "");
  const auto now_us = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch())
        .count();
  };
  const auto before = now_us();
  service.run->child().signal(SIGHUP);
  const std::string begin = service.manager.next_with("RELOADING=1");
  const std::string head = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(begin.starts_with(head)) << begin;
  const int64_t at = std::stoll(begin.substr(head.size()));
  EXPECT_GE(at, before);
  EXPECT_LE(at, now_us());
  EXPECT_NE(service.manager.next_with("READY=1"), "");
  service.run->child().signal(SIGTERM);
  EXPECT_EQ(service.run->child().wait().code, 0);
}

TEST(Service, TheWatchdogOfAnotherProcessIsNotAnswered) {
  const std::vector<std::string> plain = sniffer({"-r", "-", "--format", "ndjson"});
  const auto signs = [&](const std::string& process) {
    const Manager manager;
    const Variable socket("NOTIFY_SOCKET", manager.name());
    const Variable watchdog("WATCHDOG_USEC", "200000");
    std::vector<std::string> command = {"sh", "-c", "WATCHDOG_PID=" + process + " exec \"$@\"",
                                        "sh"};
    command.insert(command.end(), plain.begin(), plain.end());
    const Pipe in = make_pipe();
    Child child(command, {in.read_end.get(), -1, -1});
    EXPECT_NE(manager.next_with("READY=1"), "");
    return any_has(manager.all_for(2500ms), "WATCHDOG=1");
  };
  EXPECT_TRUE(signs("$$"));
  EXPECT_FALSE(signs("1"));
}

TEST(Service, TheWatchdogHearsInTimeWhileThereIsNothingToDo) {
  Service service({"--shards", "2"}, "1000000");
  EXPECT_NE(service.manager.next_with("WATCHDOG=1"), "");
  for (int i = 0; i < 16; i++) {
    EXPECT_NE(service.manager.next_with("WATCHDOG=1", 1s), "") << i;
  }
}

// A run of each kind that has nothing to do for longer than a thread may stand still.
TEST(Service, AnIdleRunOfAnyKindIsWell) {
  const TemporaryFolder folder;
  const std::string bodies = (folder / "bodies").string();
  std::filesystem::create_directory(bodies);
  std::vector<std::vector<std::string>> kinds = {
      {"-r", "-", "--shards", "0"},
      {"-r", "-", "--shards", "2", "--extract-dir", bodies},
      {"-r", "-", "--output", (folder / "messages").string()},
      {"--follow", "-r", kShop},
      {"--follow", "-r", "tcp-listen://127.0.0.1:0"}};
#ifndef __SANITIZE_THREAD__  // which does not see the order within librdkafka
  kinds.push_back({"-r", "-", "--output", "kafka://127.0.0.1:1/http"});
  kinds.push_back({"--follow", "-r", kShop, "--output", "kafka://127.0.0.1:1/http"});
#endif
  const bool may_capture = run_sniffer({"-i", "lo", "-p", "9", "--check"}).exit.code == 0;
  if (may_capture) {
    kinds.push_back({"-i", "lo", "-p", "9", "--shards", "0"});
    kinds.push_back({"-i", "lo", "-p", "9", "--shards", "2", "--capture-threads", "2"});
    kinds.push_back({"-i", "lo", "-i", "any", "-p", "9", "--shards", "2"});
  }
  struct Idle {
    Manager manager;
    Pipe in = make_pipe();
    std::unique_ptr<Child> child;
  };
  std::vector<std::unique_ptr<Idle>> idle;
  for (const std::vector<std::string>& kind : kinds) {
    idle.push_back(std::make_unique<Idle>());
    const Variable socket("NOTIFY_SOCKET", idle.back()->manager.name());
    const Variable watchdog("WATCHDOG_USEC", "2000000");
    const int in = idle.back()->in.read_end.get();
    idle.back()->child = std::make_unique<Child>(sniffer(kind), Child::Streams{in, -1, -1});
  }
  for (size_t i = 0; i < kinds.size(); i++) {
    SCOPED_TRACE(testing::PrintToString(kinds[i]));
    EXPECT_NE(idle[i]->manager.next_with("READY=1"), "");
    if (i == 0) idle[i]->manager.all_for(5s);
    const std::vector<std::string> datagrams = idle[i]->manager.all_for(1s);
    EXPECT_TRUE(any_has(datagrams, "WATCHDOG=1"));
    EXPECT_FALSE(any_has(datagrams, "no progress"));
  }
}

struct Still {
  std::string thread;    // as the program names it
  std::string reported;  // in the status; empty: the control thread, which reports nothing more
  std::vector<std::string> arguments;
};

TEST(Service, AThreadThatStandsStillEndsTheWatchdog) {
  const TemporaryFolder folder;
  const std::string bodies = (folder / "bodies").string();
  std::filesystem::create_directory(bodies);
  const std::vector<Still> all = {{"capture", "capture", {"--shards", "0"}},
                                  {"capture", "capture", {"--shards", "2"}},
                                  {"shard", "shard 0", {"--shards", "1"}},
                                  {"writer", "writer", {"--shards", "1"}},
                                  {"extract", "extract", {"--extract-dir", bodies}},
                                  {"signals", "signals", {"--shards", "1"}},
                                  {"tcp-sniffer", "", {"--shards", "1"}}};
  // At once, because each of them takes some seconds to be noticed.
  std::vector<std::unique_ptr<Service>> services;
  std::vector<std::unique_ptr<Held>> held;
  for (const Still& still : all) {
    services.push_back(std::make_unique<Service>(still.arguments, "400000"));
    EXPECT_NE(services.back()->manager.next_with("WATCHDOG=1"), "") << still.thread;
  }
  for (size_t i = 0; i < all.size(); i++) {
    const pid_t thread = thread_named(services[i]->run->child().pid(), all[i].thread);
    ASSERT_NE(thread, 0) << all[i].thread;
    held.push_back(std::make_unique<Held>(thread));
    ASSERT_TRUE(held.back()->held());
  }
  for (size_t i = 0; i < all.size(); i++) {
    SCOPED_TRACE(all[i].thread);
    const Manager& manager = services[i]->manager;
    if (!all[i].reported.empty()) {
      const std::string status = manager.next_with("no progress: ");
      EXPECT_TRUE(status.ends_with("no progress: " + all[i].reported)) << status;
    } else {
      manager.all_for(1s);
    }
    EXPECT_FALSE(any_has(manager.all_for(500ms), "WATCHDOG=1"));
    if (all[i].reported.empty()) continue;
    const Json stuck = event_named(services[i]->run->said(), "threads_stuck");
    EXPECT_EQ(stuck["threads"], Json({all[i].reported}));
  }
  for (size_t i = 0; i < all.size(); i++) {
    services[i]->run->child().signal(SIGKILL);
    for (int j = 0; j < 300 && !services[i]->run->child().wait(10ms).in_time; j++) held[i]->look();
  }
}

TEST(Service, AReaderThatDoesNotReadIsNoThreadThatStandsStill) {
  for (const char* shards : {"0", "2"}) {
    Service service({"--shards", shards, "--overload", "block", "--memory-limit", "16M"}, "400000",
                    false, many_exchanges(20000, 2000));
    EXPECT_TRUE(until_still([&] { return waiting_in(service.run->out()); }));
    service.manager.all_for(4s);  // longer than a thread may stand still
    const std::vector<std::string> datagrams = service.manager.all_for(1s);
    EXPECT_TRUE(any_has(datagrams, "WATCHDOG=1"));
    EXPECT_FALSE(any_has(datagrams, "no progress"));
    EXPECT_TRUE(events_named(service.run->said(), "threads_stuck").empty());
    // While it stops it asks for the time that it gives the reader.
    service.run->child().signal(SIGTERM);
    EXPECT_NE(service.manager.next_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="), "");
    EXPECT_NE(service.manager.next_with("WATCHDOG=1\nEXTEND_TIMEOUT_USEC="), "");
    service.run->child().signal(SIGKILL);
  }
}

}  // namespace
}  // namespace tcp_sniffer::service_test
