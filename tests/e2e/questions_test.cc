// --help, --version, --check: what is answered without a run.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::questions_test {
namespace {

TEST(Questions, HelpAndVersionAreAnsweredOnStandardOutput) {
  const Finished help = run_sniffer({"--help"});
  EXPECT_EQ(help.exit.code, 0);
  EXPECT_NE(help.out.find("--max-body-size"), std::string::npos);
  const Finished version = run_sniffer({"--version"});
  EXPECT_EQ(version.exit.code, 0);
  for (const char* part : {"libpcap", "llhttp", "xxHash"}) {
    EXPECT_NE(version.out.find(part), std::string::npos) << version.out;
  }
}

TEST(Questions, CheckSaysWhatWouldBeReadAndReadsNothing) {
  const Finished run = run_sniffer({"--check", "-r", kShop});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_NE((run.out + run.err).find("site_and_api.pcap"), std::string::npos);
  EXPECT_EQ(run.out.find("connectionId"), std::string::npos);
}

TEST(Questions, CheckRefusesAFileAsTheRunWould) {
  const TemporaryFolder folder;
  write_file(folder / "empty.pcap", "");
  const std::string no_captures[] = {
      (source_dir() / "LICENSE").string(),
      (folder / "empty.pcap").string(),
      folder.path().string(),
      (folder / "absent.pcap").string(),
  };
  for (const std::string& path : no_captures) {
    SCOPED_TRACE(path);
    const Finished run = run_sniffer({"-r", path});
    const Finished check = run_sniffer({"--check", "-r", kShop, path});
    EXPECT_EQ(check.exit.code, run.exit.code);
    const std::string refusal = "INPUT_FILE: " + fatal_of(run)["message"].get<std::string>();
    EXPECT_NE(check.out.find(refusal), std::string::npos) << refusal << "\nin: " << check.out;
    EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
  }
}

TEST(Questions, CheckRefusesBuffersLargerThanTheMachinesMemory) {
  const Finished usual = run_sniffer({"--check", "-i", "lo", "-p", "80"});
  if (usual.exit.code == 4) GTEST_SKIP() << "no right to capture";
  EXPECT_EQ(usual.exit.code, 0) << usual.out;
  const Finished check = run_sniffer(
      {"--check", "-i", "lo", "-p", "80", "--capture-threads", "64", "--buffer-size-mib", "2047"});
  EXPECT_EQ(check.exit.code, 5);
  EXPECT_NE(check.out.find("take 131008 MiB"), std::string::npos) << check.out;
  EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
}

TEST(Questions, CheckFindsWhatStandsInTheWayOfTheOutputsInTheWordsOfTheRun) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink(folder / "victim", folder / "link");
  write_file(folder / "file", "");
  const Descriptor taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  struct Obstacle {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  };
  const Obstacle table[] = {
      {{"--output", (folder / "no/where").string()}, 7, "No such file or directory"},
      {{"--output", folder.path().string()}, 7, "Is a directory"},
      {{"--output", (folder / "file/x").string()}, 7, "Not a directory"},
      {{"--extract-dir", (folder / "nowhere").string()}, 7, "No such file or directory"},
      {{"--debug", "--debug-log", (folder / "no/where").string()}, 7, "No such file or directory"},
      {{"--debug", "--debug-log", (folder / "link").string()}, 7, "symbolic links"},
      {{"--metrics-listen", port}, 2, "Address already in use"},
  };
  for (const Obstacle& obstacle : table) {
    SCOPED_TRACE(testing::PrintToString(obstacle.arguments));
    std::vector<std::string> arguments = {"-r", kShop};
    arguments.insert(arguments.end(), obstacle.arguments.begin(), obstacle.arguments.end());
    const Finished run = run_sniffer(arguments);
    EXPECT_EQ(run.exit.code, obstacle.code);
    const Json fatal = fatal_of(run);
    const std::string words = fatal["message"];
    EXPECT_NE(words.find(obstacle.says), std::string::npos) << words;
    arguments.insert(arguments.begin(), "--check");
    const Finished check = run_sniffer(arguments);
    EXPECT_EQ(check.exit.code, obstacle.code);
    const std::string refusal = fatal["code"].get<std::string>() + ": " + words + "\n";
    EXPECT_NE(check.out.find(refusal), std::string::npos) << refusal << "in: " << check.out;
    EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
  }
}

TEST(Questions, CheckMakesNoFileAndEmptiesNone) {
  const TemporaryFolder folder;
  write_file(folder / "old.log", "precious");
  const Finished check =
      run_sniffer({"--check", "-r", kShop, "--output", (folder / "new").string(), "--extract-dir",
                   folder.path().string(), "--hex-dump", "--debug-log",
                   (folder / "old.log").string(), "--metrics-listen", "127.0.0.1:38761"});
  EXPECT_EQ(check.exit.code, 0) << check.out;
  EXPECT_TRUE(check.out.ends_with("ready\n")) << check.out;
  EXPECT_EQ(content_of(folder / "old.log"), "precious");
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

TEST(Questions, CheckShowsTheFilterOfFilesToo) {
  const Finished check = run_sniffer({"--check", "-r", kShop, "--filter", "host 10.77.0.2"});
  EXPECT_NE(check.out.find("filter:     host 10.77.0.2\n"), std::string::npos) << check.out;
}

TEST(Questions, AnAnswerThatAFullDiskDoesNotTakeEndsWith7) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  std::vector<std::vector<std::string>> questions = {
      {"--help"}, {"--version"}, {"--check", "-r", kShop}};
  // Without rights nothing is listed, so there is nothing to write.
  if (::geteuid() == 0) questions.push_back({"--list-interfaces"});
  for (const std::vector<std::string>& question : questions) {
    SCOPED_TRACE(question[0]);
    Child child(sniffer(question), {-1, full.get(), -1});
    EXPECT_EQ(child.wait().code, 7);
  }
}

}  // namespace
}  // namespace tcp_sniffer::questions_test
