// How a live run begins, goes on and ends: events, signals, the interface's ups and downs.

#include <sys/resource.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <vector>

#include "support/live_lab.h"

namespace tcp_sniffer::live_lifecycle_test {
namespace {

using namespace std::chrono_literals;

class LiveLifecycle : public LiveLab {
 protected:
  std::string code_of(const LiveSniffer& sniffer) {
    return event_named(sniffer.said(), "fatal").value("code", "");
  }
  // Exchanges with the server, one connection for each call.
  void exchange(uint64_t count) {
    Load load;
    load.connections = 1;
    load.exchanges = count;
    EXPECT_EQ(send(load).exchanges, count);
  }
};

TEST_F(LiveLifecycle, StartedSaysWhatWasOpenedAndInstalled) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80,8080", "--filter", "not udp"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  const Json started = sniffer.events("started")[0];
  EXPECT_EQ(started["schemaVersion"], 1);
  EXPECT_EQ(started["interface"], "right");
  EXPECT_EQ(started["linkType"], 1);
  EXPECT_EQ(started["ports"], Json({80, 8080}));
  EXPECT_NE(started["filter"].get<std::string>().find("not udp"), std::string::npos);
  EXPECT_GT(started["filterInstructions"], 10);
  EXPECT_EQ(started["captureThreads"], 1);
  EXPECT_EQ(sniffer.stop().code, 0);
}

// The nice values of a process's threads: of those that capture, and of all others (proc(5), stat:
// the field after the name's bracket is the third).
struct NiceValues {
  std::vector<int> capture;
  std::set<int> others;
  bool operator==(const NiceValues&) const = default;
};

NiceValues nice_values(pid_t pid) {
  NiceValues found;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    const std::string stat = content_of(task.path() / "stat");
    if (stat.empty()) continue;  // it has ended
    const size_t bracket = stat.rfind(')');
    std::istringstream fields(stat.substr(bracket + 2));
    std::string field;
    for (int i = 3; i <= 19; i++) fields >> field;
    if (stat.substr(0, bracket).ends_with("(capture")) {
      found.capture.push_back(std::stoi(field));
    } else {
      found.others.insert(std::stoi(field));
    }
  }
  return found;
}

// With --user the right outlives the rights as RLIMIT_NICE, which takes CAP_SYS_RESOURCE to raise.
bool may_raise_limits() {
  constexpr int kSysResource = 24;
  std::istringstream status(content_of(std::filesystem::path("/proc/self/status")));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> kSysResource & 1) != 0;
  }
  return false;
}

TEST_F(LiveLifecycle, CaptureThreadsAloneRunAtAHigherPriority) {
  if (IsSkipped()) return;
  std::vector<std::vector<std::string>> users = {{}};
  if (may_raise_limits()) users.push_back({"--user", "nobody"});
  // A nice value that the process was started with is left alone.
  const int own = getpriority(PRIO_PROCESS, 0);
  const int raised = own == 0 ? -10 : own;
  for (const std::vector<std::string>& user : users) {
    std::vector<std::string> flags = {"-i", "right", "-p", "80", "--capture-threads", "2"};
    flags.insert(flags.end(), user.begin(), user.end());
    LiveSniffer sniffer(server_, flags);
    ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    // A thread gets its name while it already runs, and may raise itself before.
    const NiceValues wanted{{raised, raised}, {own}};
    NiceValues now;
    until([&] { return (now = nice_values(sniffer.pid())) == wanted; });
    EXPECT_EQ(now.capture, wanted.capture);
    EXPECT_EQ(now.others, wanted.others);
    EXPECT_EQ(sniffer.stop().code, 0);
  }
}

TEST_F(LiveLifecycle, TheCheckSaysWhatWouldBeCapturedAndWhatDistortsIt) {
  if (IsSkipped()) return;
  if (!has_program("ethtool")) GTEST_SKIP() << "ethtool is not installed";
  const auto check = [&] {
    return run(server_.command({TCP_SNIFFER_BINARY, "-i", "right", "-p", "80", "--check"}));
  };
  set_offloads(true);
  const Finished with = check();
  EXPECT_EQ(with.exit.code, 0) << with.out;
  for (const char* word : {"right, up", "link type:  1", "rights:", "tcp port 80", "4096",
                           "generic-receive-offload", "before they are cut", "ready"}) {
    EXPECT_NE(with.out.find(word), std::string::npos) << word << " in\n" << with.out;
  }
  set_offloads(false);
  EXPECT_NE(check().out.find("none that changes"), std::string::npos);
}

TEST_F(LiveLifecycle, ABadFilterIsRefusedWithTheWordsOfLibpcap) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--filter", "hots 10.0.0.1"});
  EXPECT_EQ(sniffer.wait().code, 2);
  EXPECT_EQ(code_of(sniffer), "INVALID_CONFIG");
  EXPECT_NE(sniffer.said().find("syntax error"), std::string::npos) << sniffer.said();
}

TEST_F(LiveLifecycle, AnUnknownInterfaceIsAnsweredWithTheInterfacesThereAre) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "rihgt", "-p", "80"});
  EXPECT_EQ(sniffer.wait().code, 3);
  EXPECT_EQ(code_of(sniffer), "INVALID_INTERFACE");
  EXPECT_NE(sniffer.said().find("right"), std::string::npos) << sniffer.said();
}

TEST_F(LiveLifecycle, WithoutAnInterfaceTheFirstThatIsUpAndNotLoopbackIsCaptured) {
  if (IsSkipped()) return;
  LiveSniffer by_flags(server_, {"-p", "80", "--capture-threads", "2"});
  ASSERT_TRUE(by_flags.wait_for("started")) << by_flags.said();
  EXPECT_EQ(by_flags.events("started")[0]["interface"], "right");
  EXPECT_EQ(by_flags.stop().code, 0);
  const Finished by_config =
      run(server_.command({TCP_SNIFFER_BINARY, "--config", "-"}), "{\"ports\":[80]}\n");
  EXPECT_EQ(by_config.exit.code, 0);
  EXPECT_EQ(event_named(by_config.err, "started")["interface"], "right");
  const Finished check = run(server_.command({TCP_SNIFFER_BINARY, "-p", "80", "--check"}));
  EXPECT_EQ(check.exit.code, 0) << check.out;
  EXPECT_NE(check.out.find("interface:  right, up\n"), std::string::npos) << check.out;
  EXPECT_TRUE(check.out.ends_with("ready\n")) << check.out;
}

TEST_F(LiveLifecycle, WithoutAnInterfaceThatIsUpTheOnesThereAreAreListed) {
  if (IsSkipped()) return;
  ASSERT_TRUE(server_.ip("link set right down"));
  const Finished run_without = run(server_.command({TCP_SNIFFER_BINARY, "-p", "80"}));
  EXPECT_EQ(run_without.exit.code, 3);
  const Json fatal = event_named(run_without.err, "fatal");
  EXPECT_EQ(fatal["code"], "INVALID_INTERFACE");
  const std::string message = fatal["message"];
  for (const char* word : {"none is up", "right", "any", "lo"}) {
    EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
  }
  const Finished check = run(server_.command({TCP_SNIFFER_BINARY, "-p", "80", "--check"}));
  EXPECT_EQ(check.exit.code, 3);
  EXPECT_NE(check.out.find("INVALID_INTERFACE: " + message), std::string::npos) << check.out;
}

TEST_F(LiveLifecycle, InterfacesWithACommaAreAnsweredWithHowSeveralAreNamed) {
  if (IsSkipped()) return;
  const Finished check =
      run(server_.command({TCP_SNIFFER_BINARY, "-i", "right,lo", "-p", "80", "--check"}));
  EXPECT_EQ(check.exit.code, 3);
  EXPECT_NE(check.out.find("each of several has a flag of its own: -i A -i B"), std::string::npos)
      << check.out;
}

TEST_F(LiveLifecycle, SilenceIsSaidOnceAndStatisticsAtEveryInterval) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "81", "--no-packets-warning-ms", "200ms",
                                "--stats-interval-ms", "300ms"});
  ASSERT_TRUE(sniffer.wait_for("stats", 4)) << sniffer.said();
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.events("no_packets").size(), 1u) << sniffer.said();
  for (const Json& stats : sniffer.events("stats")) {
    EXPECT_EQ(stats["rates"]["messages_per_second"], 0);
    EXPECT_TRUE(stats.contains("kernel"));
  }
}

TEST_F(LiveLifecycle, WithPacketsNoSilenceIsSaid) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--no-packets-warning-ms", "700ms",
                                "--stats-interval-ms", "500ms"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(10);
  ASSERT_TRUE(sniffer.wait_for("stats", 2)) << sniffer.said();
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_TRUE(sniffer.events("no_packets").empty()) << sniffer.said();
  EXPECT_EQ(sniffer.events("stats").back()["messages"]["written"], 20);
}

TEST_F(LiveLifecycle, TheEndOfStandardInputEndsARunThatWasConfiguredThere) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  Pipe input = make_pipe();
  LiveSniffer::Options options;
  options.in = input.read_end.get();
  LiveSniffer sniffer(server_, {"--config", "-"}, options);
  const std::string config = "{\"interface\":\"right\",\"ports\":[80]}\n";
  ASSERT_EQ(::write(input.write_end.get(), config.data(), config.size()),
            static_cast<ssize_t>(config.size()));
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(3);
  input.write_end.reset();
  EXPECT_EQ(sniffer.wait(10s).code, 0);
  EXPECT_EQ(sniffer.lines(), 6u);
  expect_ledger_closes(sniffer.stopped());
}

TEST_F(LiveLifecycle, AReaderThatDoesNotReadIsGivenUpAfterTheDrainTimeout) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--drain-timeout-ms", "500ms"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  sniffer.stop_reading();
  exchange(8000);
  const double asked_at = now_seconds();
  sniffer.signal(SIGTERM);
  EXPECT_TRUE(sniffer.wait_for("stopped"));
  EXPECT_LT(now_seconds() - asked_at, kSanitized ? 10 : 2);
  sniffer.go_on_reading();
  EXPECT_EQ(sniffer.wait(10s).code, 0);
  EXPECT_EQ(sniffer.events("drain_incomplete").size(), 1u) << sniffer.said();
  const Json stopped = sniffer.stopped();
  EXPECT_GT(stopped["messages"]["discarded"], 0);
  EXPECT_EQ(stopped["messages"]["parsed"],
            sniffer.lines() + stopped["messages"]["discarded"].get<uint64_t>() +
                stopped["messages"]["dropped_overload"].get<uint64_t>());
  EXPECT_TRUE(sniffer.last_line_is_whole());
}

TEST_F(LiveLifecycle, ASecondSignalEndsAtOnceWithoutCuttingALine) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--drain-timeout-ms", "60s"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  sniffer.stop_reading();
  exchange(8000);
  sniffer.signal(SIGTERM);
  ASSERT_TRUE(until([&] { return nice_values(sniffer.pid()).capture.empty(); }))
      << "it stops capturing";
  EXPECT_TRUE(sniffer.events("stopped").empty()) << "the first signal waits for the reader";
  const double asked_at = now_seconds();
  sniffer.signal(SIGINT);
  EXPECT_TRUE(sniffer.wait_for("stopped"));
  // Far less than the 60 s that the first one gives the reader, also on a busy machine.
  EXPECT_LT(now_seconds() - asked_at, 5);
  sniffer.go_on_reading();
  EXPECT_EQ(sniffer.wait(10s).code, 0);
  EXPECT_TRUE(sniffer.last_line_is_whole());
}

TEST_F(LiveLifecycle, SighupOpensTheOutputAnew) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  const auto path = folder_ / "messages.ndjson";
  const auto rotated = folder_ / "messages.1";
  const auto lines_in = [](const std::filesystem::path& file) {
    const std::string text = content_of(file);
    return std::count(text.begin(), text.end(), '\n');
  };
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--output", path.string()});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(5);
  ASSERT_TRUE(until([&] { return lines_in(path) == 10; }));
  std::filesystem::rename(path, rotated);
  sniffer.signal(SIGHUP);
  ASSERT_TRUE(until([&] { return std::filesystem::exists(path); })) << "before a line comes";
  exchange(3);
  ASSERT_TRUE(until([&] { return lines_in(path) == 6; }));
  EXPECT_EQ(lines_in(rotated), 10);
  EXPECT_EQ(sniffer.stop().code, 0);
}

TEST_F(LiveLifecycle, AnInterfaceThatGoesDownAndComesBackIsSaidAndCapturedAgain) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(2);
  ASSERT_TRUE(server_.ip("link set right down"));
  ASSERT_TRUE(sniffer.wait_for("interface_down")) << sniffer.said();
  ASSERT_TRUE(server_.ip("link set right up"));
  ASSERT_TRUE(sniffer.wait_for("interface_up")) << sniffer.said();
  ASSERT_TRUE(until([&] { return listens(); }));
  exchange(3);
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 10u);
}

TEST_F(LiveLifecycle, AnInterfaceThatIsRemovedEndsTheRunWithItsLedger) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  exchange(2);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 4; }));
  ASSERT_TRUE(server_.ip("link del right"));
  EXPECT_EQ(sniffer.wait(10s).code, 5);
  EXPECT_EQ(code_of(sniffer), "CAPTURE_FAILED");
  expect_ledger_closes(sniffer.stopped());
}

TEST_F(LiveLifecycle, OpenConnectionsAreWaitedForWhenAsked) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--wait-for-connections"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  std::atomic<bool> enough{false};
  Load load;
  load.connections = 1;
  load.per_second = 100;
  load.stop = &enough;
  LoadResult sent;
  std::thread flow([&] { sent = send(load); });
  ASSERT_TRUE(until([&] { return sniffer.lines() > 20; }));
  sniffer.signal(SIGTERM);
  const uint64_t then = sniffer.lines();
  EXPECT_TRUE(until([&] { return sniffer.lines() > then + 60; })) << "it must go on capturing";
  enough.store(true);
  flow.join();
  EXPECT_EQ(sniffer.wait(10s).code, 0);
  EXPECT_EQ(sniffer.lines(), sent.exchanges * 2);
  EXPECT_EQ(sniffer.stopped()["connections"]["drained"], 0);
}

TEST_F(LiveLifecycle, ASecondSignalEndsTheWaitForOpenConnections) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--wait-for-connections"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  std::atomic<bool> enough{false};
  Load load;
  load.connections = 1;
  load.per_second = 100;
  load.stop = &enough;
  std::thread flow([&] { send(load); });
  EXPECT_TRUE(until([&] { return sniffer.lines() > 20; }));
  sniffer.signal(SIGTERM);
  const uint64_t then = sniffer.lines();
  EXPECT_TRUE(until([&] { return sniffer.lines() > then + 20; })) << "it must go on capturing";
  sniffer.signal(SIGTERM);
  // Far less than the 30 s that open connections are waited for.
  EXPECT_EQ(sniffer.wait(15s).code, 0);
  enough.store(true);
  flow.join();
  EXPECT_TRUE(sniffer.last_line_is_whole());
  EXPECT_EQ(sniffer.stopped()["connections"]["drained"], 1);
  expect_ledger_closes(sniffer.stopped());
}

// Takes half a minute, nearly all of it asleep.
TEST_F(LiveLifecycle, AConnectionThatNeverEndsIsWaitedForHalfAMinute) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--wait-for-connections"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  Load load;
  load.connections = 1;
  load.exchanges = 1;
  std::unique_ptr<LoadClient> client;
  client_.run([&] { client = std::make_unique<LoadClient>(load); });
  EXPECT_EQ(client->run().exchanges, 1u);
  ASSERT_TRUE(until([&] { return sniffer.lines() == 2; }));
  const double asked_at = now_seconds();
  sniffer.signal(SIGTERM);
  ASSERT_TRUE(until([&] { return sniffer.has_taken(SIGTERM); }));
  EXPECT_EQ(client->run().exchanges, 1u);
  EXPECT_TRUE(until([&] { return sniffer.lines() == 4; })) << "it must go on capturing";
  const Exit exit = sniffer.wait(60s);
  const double took = now_seconds() - asked_at;
  ASSERT_TRUE(exit.in_time);
  EXPECT_EQ(exit.code, 0);
  EXPECT_GE(took, 29.0);
  EXPECT_LE(took, 45.0);
  EXPECT_EQ(sniffer.lines(), 4u);
  EXPECT_TRUE(sniffer.last_line_is_whole());
  const Json stopped = sniffer.stopped();
  EXPECT_EQ(stopped["messages"]["written"], 4);
  EXPECT_EQ(stopped["connections"]["drained"], 1) << "it was open to the end";
  expect_ledger_closes(stopped);
  expect_no_drops(stopped);
}

}  // namespace
}  // namespace tcp_sniffer::live_lifecycle_test
