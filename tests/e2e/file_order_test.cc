// Several capture files as one stream: the order in which they are read, and what is said of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/run_program.h"

namespace tcp_sniffer::file_order_test {
namespace {

constexpr size_t kFiles = 12;
constexpr size_t kExchangesPerFile = 5;
constexpr size_t kBody = 200'000;  // so that a file that comes later is beyond every window

// As `tcpdump -C` names them: x, x1, …, x11.
std::string name_of(size_t file) {
  return file == 0 ? "x" : "x" + std::to_string(file);
}

// One connection whose exchanges lie in all the files.
class RotatedCapture {
 public:
  RotatedCapture() {
    CaptureMaker maker;
    const std::string header = maker.take();
    CaptureMaker::Connection connection = maker.open();
    for (size_t file = 0; file < kFiles; file++) {
      for (size_t i = 0; i < kExchangesPerFile; i++) {
        maker.exchange(connection, "/" + std::to_string(file), std::string(kBody, 'b'));
      }
      if (file + 1 == kFiles) maker.close(connection);
      write_file(folder_ / name_of(file), header + maker.take());
    }
  }

  std::string path(size_t file) const { return (folder_ / name_of(file)).string(); }
  std::filesystem::path folder() const { return folder_.path(); }

  // As a shell sorts `x*`: x, x1, x10, x11, x2, …
  std::vector<std::string> in_shell_order() const {
    std::vector<std::string> paths;
    for (size_t file = 0; file < kFiles; file++) paths.push_back(path(file));
    std::sort(paths.begin(), paths.end());
    return paths;
  }

 private:
  TemporaryFolder folder_;
};

Finished run_over(std::vector<std::string> paths, std::vector<std::string> flags = {}) {
  std::vector<std::string> arguments = {"-r"};
  arguments.insert(arguments.end(), paths.begin(), paths.end());
  arguments.insert(arguments.end(), {"--format", "ndjson"});
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run_sniffer(arguments);
}

uint64_t messages_of(const Finished& run) {
  return event_named(run.err, "stopped")["messages"]["written"].get<uint64_t>();
}

TEST(FileOrder, ARotatedCaptureInShellOrderLosesNothing) {
  const RotatedCapture capture;
  for (const char* shards : {"0", "1"}) {
    const Finished run = run_over(capture.in_shell_order(), {"--shards", shards});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(messages_of(run), 2 * kFiles * kExchangesPerFile);
    EXPECT_EQ(run.err.find("file_out_of_order"), std::string::npos) << run.err;
    std::vector<std::string> read;
    for (size_t file = 0; file < kFiles; file++) read.push_back(capture.path(file));
    EXPECT_EQ(event_named(run.err, "started")["files"], read);
  }
}

TEST(FileOrder, TheGivenOrderIsKeptWhenAskedForAndItsLossIsReported) {
  const RotatedCapture capture;
  const Finished run = run_over(capture.in_shell_order(), {"--file-order", "given"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_LT(messages_of(run), 2 * kFiles * kExchangesPerFile);
  EXPECT_EQ(event_named(run.err, "started")["files"], capture.in_shell_order());
  const std::vector<Json> events = events_named(run.err, "file_out_of_order");
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0]["file"], capture.path(2)) << run.err;  // after x11
  EXPECT_GT(events[0]["behindMs"], 0);
}

// The first packet of standard input is known only when it is read: looking would use it up.
TEST(FileOrder, WithStandardInputTheGivenOrderIsKeptAndItsLossIsReported) {
  const RotatedCapture capture;
  const Finished run = run_sniffer({"-r", capture.path(3), "-", "--format", "ndjson"},
                                   content_of(std::filesystem::path(capture.path(0))));
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_EQ(event_named(run.err, "file_out_of_order")["file"], "-");
}

TEST(FileOrder, AFileWithoutPacketsStaysAfterTheOneBeforeIt) {
  const RotatedCapture capture;
  const std::string empty = (capture.folder() / "empty").string();
  write_file(empty, CaptureMaker().bytes());
  const Finished run = run_over({capture.path(2), capture.path(1), empty, capture.path(0)});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_EQ(event_named(run.err, "started")["files"],
            (std::vector<std::string>{capture.path(0), capture.path(1), empty, capture.path(2)}));
}

TEST(FileOrder, TwoCapturesOfTheSameTimeAreReported) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (const char* name : {"one", "two"}) {
    CaptureMaker maker;
    CaptureMaker::Connection connection = maker.open();
    for (int i = 0; i < 3; i++) maker.exchange(connection, "/", name);
    paths.push_back((folder / name).string());
    write_file(paths.back(), maker.bytes());
  }
  const Finished run = run_over(paths);
  EXPECT_EQ(run.exit.code, 0);
  EXPECT_EQ(event_named(run.err, "file_out_of_order")["file"], paths[1]) << run.err;
}

// Two runs must not print in different order.
TEST(FileOrder, ThePrettyFormOfAFileIsInTheOrderOfCompletion) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 8; i++) connections.push_back(maker.open());
  std::string wanted;
  for (int i = 0; i < 64; i++) {
    maker.exchange(connections[static_cast<size_t>(i * 5 % 8)], "/" + std::to_string(i), "body");
    wanted += "a/" + std::to_string(i) + "\n";
  }
  const TemporaryFolder folder;
  write_file(folder / "many.pcap", maker.bytes());
  const Finished run = run_sniffer({"-r", (folder / "many.pcap").string(), "--format", "pretty"});
  std::string paths;
  // The first line says which day it is.
  for (size_t at = run.out.find('\n') + 1; at < run.out.size();) {
    const size_t end = run.out.find('\n', at);
    const std::string line = run.out.substr(at, end - at);
    paths += line.substr(line.rfind(' ') + 1) + "\n";
    at = end + 1;
  }
  EXPECT_EQ(paths, wanted);
  EXPECT_EQ(event_named(run.err, "started")["shards"], 0);
}

}  // namespace
}  // namespace tcp_sniffer::file_order_test
