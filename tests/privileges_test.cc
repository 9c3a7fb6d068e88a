// What a capture needs and what it gives up: one capability, or root until the handle is open.

#include "io/privileges.h"

#include "live_lab.h"

namespace tcp_sniffer {
namespace {

using namespace std::chrono_literals;

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
  ASSERT_TRUE(std::holds_alternative<std::string>(unknown));
  EXPECT_EQ(std::get<std::string>(unknown).find("user: \"no-such-user\" is no user"), 0u)
      << std::get<std::string>(unknown);
}

// In a process of its own, for there is no way back.
TEST(BecomeUser, LeavesNoWayBackToRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const UserIdentity nobody = std::get<UserIdentity>(find_user("nobody"));
  EXPECT_EXIT(
      {
        const bool became = become_user(nobody).empty();
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
        std::string error = become_user(nobody);
        error += become_user({"root", 0, 0});
        std::fputs(error.c_str(), stderr);
        std::_Exit(3);
      },
      testing::ExitedWithCode(3), "becoming \"root\" failed at initgroups.*only root");
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
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"}, options);
  if (!sniffer.wait_for("started")) {
    GTEST_SKIP() << "the build can not be run by another user: " << sniffer.said();
  }
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
  const std::filesystem::path tasks = "/proc/" + std::to_string(sniffer.pid()) + "/task";
  size_t threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    const std::string status = content_of(task.path() / "status");
    EXPECT_NE(status.find("Uid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
    EXPECT_NE(status.find("Gid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
    EXPECT_NE(status.find("CapPrm:\t0000000000000000\n"), std::string::npos) << status;
    EXPECT_NE(status.find("CapEff:\t0000000000000000\n"), std::string::npos) << status;
    EXPECT_NE(status.find("CapAmb:\t0000000000000000\n"), std::string::npos) << status;
    threads++;
  }
  EXPECT_GE(threads, 4u) << "capture, shard, writer, control";
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
}  // namespace tcp_sniffer
