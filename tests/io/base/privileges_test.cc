// What a capture needs and what it gives up: one capability, or root until the handle is open.

#include "io/base/privileges.h"

#include <atomic>
#include <csignal>
#include <thread>

#include "support/live_lab.h"

namespace tcp_sniffer::privileges_test {
namespace {

// Looks at each thread of a process that became nobody. Returns how many there are. The bounding
// set is empty where the process was allowed to empty it.
size_t threads_without_rights(pid_t process, bool bounding_set_too) {
  std::vector<std::string> wanted = {"Uid:\t65534\t65534\t65534\t65534\n",
                                     "Gid:\t65534\t65534\t65534\t65534\n", "NoNewPrivs:\t1\n"};
  std::vector<std::string> sets = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
  if (bounding_set_too) sets.emplace_back("CapBnd");
  for (const std::string& set : sets) wanted.push_back(set + ":\t0000000000000000\n");
  size_t threads = 0;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    const std::string status = content_of(task.path() / "status");
    for (const std::string& line : wanted) {
      EXPECT_NE(status.find(line), std::string::npos) << line << status;
    }
    threads++;
  }
  return threads;
}

std::string words_of(const std::optional<Problem>& problem) {
  return problem ? problem->message() : std::string();
}

TEST(FindUser, KnowsUsersByNameAndNumber) {
  const auto by_name = find_user("nobody");
  ASSERT_TRUE(std::holds_alternative<UserIdentity>(by_name));
  const UserIdentity nobody = std::get<UserIdentity>(by_name);
  EXPECT_NE(nobody.uid, 0u);
  const auto by_number = find_user(std::to_string(nobody.uid));
  ASSERT_TRUE(std::holds_alternative<UserIdentity>(by_number));
  EXPECT_EQ(std::get<UserIdentity>(by_number).name, "nobody");
}

TEST(FindUser, SaysWhoIsUnknown) {
  const auto unknown = find_user("no-such-user");
  ASSERT_TRUE(std::holds_alternative<Problem>(unknown));
  const std::string message = std::get<Problem>(unknown).message();
  EXPECT_EQ(message.find("user: \"no-such-user\" is no user"), 0u) << message;
}

// In a process of its own, for there is no way back.
TEST(BecomeUser, LeavesNoWayBackToRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const UserIdentity nobody = std::get<UserIdentity>(find_user("nobody"));
  EXPECT_EXIT(
      {
        const bool became = !become_user(nobody);
        const bool stays = ::setuid(0) != 0 && ::seteuid(0) != 0 && ::setgid(0) != 0;
        std::_Exit(became && stays && ::getuid() == nobody.uid && ::getegid() == nobody.gid ? 0
                                                                                            : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(BecomeUser, SaysWhatFailedWithoutRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to begin with";
  const UserIdentity nobody = std::get<UserIdentity>(find_user("nobody"));
  EXPECT_EXIT(
      {
        const auto first = become_user(nobody);
        const auto second = become_user({"root", 0, 0});
        std::fputs(first ? "the first was refused" : words_of(second).c_str(), stderr);
        std::_Exit(3);
      },
      testing::ExitedWithCode(3), "becoming \"root\" failed at initgroups.*only root");
}

TEST(BecomeUser, EveryThreadThatRunsAlreadyGivesUpItsRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  EXPECT_EXIT(
      {
        std::atomic<bool> stop{false};
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; i++) {
          threads.emplace_back([&stop] {
            while (!stop.load()) std::this_thread::yield();
          });
        }
        const auto refused = become_user(std::get<UserIdentity>(find_user("nobody")));
        const std::string error = words_of(refused);
        std::fputs(error.c_str(), stderr);
        const size_t count = threads_without_rights(::getpid(), true);
        stop.store(true);
        for (std::thread& thread : threads) thread.join();
        std::_Exit(error.empty() && count == 4 && !testing::Test::HasFailure() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(BecomeUser, AThreadThatDoesNotAnswerIsNotPassedOver) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  EXPECT_EXIT(
      {
        std::atomic<bool> ready{false};
        std::thread deaf([&ready] {
          sigset_t all;
          sigfillset(&all);
          pthread_sigmask(SIG_SETMASK, &all, nullptr);
          ready.store(true);
          for (;;) ::pause();
        });
        while (!ready.load()) std::this_thread::yield();
        const auto refused = become_user(std::get<UserIdentity>(find_user("nobody")));
        std::fputs(words_of(refused).c_str(), stderr);
        std::_Exit(3);
      },
      testing::ExitedWithCode(3), "failed at a thread that does not answer");
}

// Files are opened as that user, too: their bytes come from anywhere.
TEST(Privileges, FilesAreReadWithoutRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  for (const char* shards : {"0", "2"}) {
    Pipe in = make_pipe();
    const Descriptor out = memory_file();
    const Descriptor err = memory_file();
    Child child(sniffer({"-r", "-", "--format", "ndjson", "--user", "nobody", "--shards", shards}),
                Child::Streams{in.read_end.get(), out.get(), err.get()});
    EXPECT_TRUE(until([&] { return !events_named(content_of(err), "started").empty(); }));
    EXPECT_TRUE(until([&] { return threads_without_rights(child.pid(), true) >= 3; }))
        << "control, events, signals";
    EXPECT_EQ(event_named(content_of(err), "started")["user"], "nobody");
    const std::string bytes = content_of(capture("posts.pcap"));
    EXPECT_EQ(::write(in.write_end.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    in.write_end.reset();
    EXPECT_EQ(child.wait().code, 0);
    EXPECT_FALSE(content_of(out).empty());
  }
  TemporaryFolder folder;
  const std::filesystem::path secret = folder / "secret.pcap";
  std::filesystem::copy_file(capture("posts.pcap"), secret);
  std::filesystem::permissions(secret, std::filesystem::perms::owner_read);
  const Finished refused = run_sniffer({"-r", secret.string(), "--user", "nobody"});
  EXPECT_EQ(refused.exit.code, 6) << refused.err;
}

class LivePrivileges : public LiveLab {
 protected:
  void SetUp() override {
    LiveLab::SetUp();
    if (IsSkipped()) return;
    if (!has_program("setpriv")) GTEST_SKIP() << "setpriv is not installed";
    // A copy that anybody may run, wherever the build lies.
    program_ = (folder_ / "tcp-sniffer").string();
    std::filesystem::copy_file(TCP_SNIFFER_BINARY, program_);
    ASSERT_EQ(::chmod(program_.c_str(), 0755), 0);
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  }
  // Runs the copy as nobody with these words for setpriv before it.
  Finished run_as_nobody(std::vector<std::string> rights, const std::vector<std::string>& rest) {
    rights.insert(rights.begin(), {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
    rights.push_back(program_);
    rights.insert(rights.end(), rest.begin(), rest.end());
    return run(server_.command(rights));
  }
  std::string program_;
};

TEST_F(LivePrivileges, OneCapabilityIsEnough) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer::Options options;
  options.prefix = {"setpriv",
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    "--inh-caps=+net_raw",
                    "--ambient-caps=+net_raw",
                    "--bounding-set=-all,+net_raw"};
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--user", "65534"}, options);
  if (!sniffer.wait_for("started")) {
    GTEST_SKIP() << "the build cannot be run by another user: " << sniffer.said();
  }
  EXPECT_TRUE(until([&] { return threads_without_rights(sniffer.pid(), false) >= 6; }))
      << "it is that user already";
  Load load;
  load.exchanges = 10;
  EXPECT_EQ(send(load).exchanges, 10u);
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 20u);
}

TEST_F(LivePrivileges, WithoutItTheCommandThatHelpsIsNamed) {
  if (IsSkipped()) return;
  const Finished refused = run_as_nobody({}, {"-i", "right", "-p", "80"});
  EXPECT_EQ(refused.exit.code, 4);
  const Json fatal = event_named(refused.err, "fatal");
  EXPECT_EQ(fatal["code"], "PERMISSION_DENIED");
  const std::string command = "setcap cap_net_raw+ep " + program_;
  EXPECT_NE(fatal["message"].get<std::string>().find(command), std::string::npos) << fatal;

  // And it does help.
  if (!shell(command)) GTEST_SKIP() << "setcap does not work here";
  const Finished checked = run_as_nobody({}, {"-i", "right", "-p", "80", "--check"});
  EXPECT_EQ(checked.exit.code, 0) << checked.out << checked.err;
}

TEST_F(LivePrivileges, TheCheckLooksAtTheOutputAsTheUserOfTheRun) {
  if (IsSkipped()) return;
  const std::string output = (folder_ / "lines").string();  // in a folder of root's alone
  std::vector<std::string> words = {TCP_SNIFFER_BINARY, "-i",   "right",  "-p", "80",
                                    "--output",         output, "--check"};
  EXPECT_EQ(run(server_.command(words)).exit.code, 0);
  words.insert(words.end(), {"--user", "nobody"});
  const Finished checked = run(server_.command(words));
  EXPECT_EQ(checked.exit.code, 7);
  EXPECT_NE(checked.out.find("Permission denied"), std::string::npos) << checked.out;
}

TEST_F(LivePrivileges, RootIsGivenUpOnceTheCaptureIsOpen) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--user", "nobody"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  EXPECT_TRUE(until([&] { return threads_without_rights(sniffer.pid(), true) >= 6; }))
      << "capture, shard, writer, control, events, signals";
  Load load;
  load.exchanges = 10;
  EXPECT_EQ(send(load).exchanges, 10u);
  EXPECT_EQ(sniffer.stop().code, 0);
  EXPECT_EQ(sniffer.lines(), 20u);
  EXPECT_EQ(sniffer.events("started")[0]["user"], "nobody");
}

TEST_F(LivePrivileges, AnUnknownUserIsRefused) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--user", "no-such-user"});
  EXPECT_EQ(sniffer.wait().code, 2);
  EXPECT_EQ(event_named(sniffer.said(), "fatal")["code"], "INVALID_CONFIG");
}

TEST_F(LivePrivileges, TheOutputBelongsToTheUserThatItGoesOnAs) {
  if (IsSkipped()) return;
  const auto folder = folder_ / "out";
  std::filesystem::create_directory(folder);
  ASSERT_EQ(::chown(folder.c_str(), 65534, 65534), 0);
  const std::string path = (folder / "messages").string();
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--user", "nobody", "--output", path});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 65534u);
  EXPECT_EQ(sniffer.stop().code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::privileges_test
