// How the program reads capture files: what it costs, and when its lines come.

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "shard/pin_thread.h"
#include "support/capture_maker.h"
#include "support/run_program.h"

namespace tcp_sniffer::file_reading_test {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::string one_exchange() {
  CaptureMaker maker;
  CaptureMaker::Connection connection = maker.open();
  maker.exchange(connection, "/early", "body");
  maker.close(connection);
  return maker.bytes();
}

// Of each thread of a process, by its name: the CPUs that it may run on.
std::map<std::string, std::string> cpus_of_threads(pid_t pid) {
  std::map<std::string, std::string> found;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::string name = content_of(task.path() / "comm");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    std::ifstream status(task.path() / "status");
    constexpr std::string_view kKey = "Cpus_allowed_list:\t";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(kKey)) found[name] = line.substr(kKey.size());
    }
  }
  return found;
}

// Records of zeros behind the exchange: frames without a byte, in a file that takes no disk.
TEST(FileReading, AMessageComesOutLongBeforeTheEndOfALargeFile) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "large.pcap";
  write_file(path, one_exchange());
  std::filesystem::resize_file(path, 64 * 1024 * kMiB);
  constexpr uint64_t kFramesInAll = 64 * 1024 * kMiB / 16;
  // On the capture thread, through a shard's inbox, and in a team.
  constexpr const char* kWays[][2] = {{"0", "block"}, {"1", "drop"}, {"1", "block"}};
  for (const auto& [shards, overload] : kWays) {
    SCOPED_TRACE(testing::Message() << "shards " << shards << ", overload " << overload);
    Pipe out = make_pipe();
    const Descriptor err = memory_file();
    Child child(sniffer({"-r", path.string(), "--format", "ndjson", "--overload", overload,
                         "--shards", shards}),
                {-1, out.write_end.get(), err.get()});
    out.write_end.reset();
    char first = 0;
    ASSERT_EQ(::read(out.read_end.get(), &first, 1), 1);
    EXPECT_EQ(first, '{');
    child.signal(SIGTERM);
    EXPECT_EQ(child.wait(60s).code, 0);
    const Json stopped = event_named(content_of(err), "stopped");
    EXPECT_LT(stopped["frames"]["received"], kFramesInAll);
    EXPECT_EQ(stopped["messages"]["parsed"], 2);
  }
}

// A block of a pcapng file that holds one packet of 32 MiB, which is many parts of the file.
TEST(FileReading, AFrameOfManyPartsIsHeldOnce) {
  constexpr uint32_t kFrame = 32 * kMiB;
  const TemporaryFolder folder;
  std::string file;
  const auto put = [&](uint32_t value) {
    file.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (const uint32_t value : {0x0a0d0d0au, 28u, 0x1a2b3c4du, 1u, ~0u, ~0u, 28u}) put(value);
  for (const uint32_t value : {1u, 20u, 101u, 0u, 20u}) put(value);
  for (const uint32_t value : {6u, 32 + kFrame, 0u, 0u, 0u, kFrame, kFrame}) put(value);
  file.append(kFrame, '\x45');
  put(32 + kFrame);
  write_file(folder / "frame.pcapng", file);
  for (const char* shards : {"0", "1"}) {
    SCOPED_TRACE(shards);
    const Finished run =
        run_sniffer({"-r", (folder / "frame.pcapng").string(), "--shards", shards});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(event_named(run.err, "stopped")["frames"]["received"], 1);
    if (!kSanitized) {
      EXPECT_LT(run.exit.resident_max, kFrame + 24 * kMiB);
    }
  }
}

TEST(FileReading, ThreadsThatAreNotPinnedAreFreeOfThoseThatAre) {
  if (usable_cpu_count() < 2) GTEST_SKIP() << "needs two CPUs, so that a team has two threads";
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) cpu++;
  const TemporaryFolder folder;
  write_file(folder / "large.pcap", one_exchange());
  std::filesystem::resize_file(folder / "large.pcap", 64 * 1024 * kMiB);
  Pipe out = make_pipe();
  Child child(sniffer({"-r", (folder / "large.pcap").string(), "--format", "ndjson", "--shards",
                       "1", "--pin-cpus", std::to_string(cpu)}),
              {-1, out.write_end.get(), -1});
  out.write_end.reset();
  char first = 0;
  ASSERT_EQ(::read(out.read_end.get(), &first, 1), 1);
  std::map<std::string, std::string> cpus = cpus_of_threads(child.pid());
  EXPECT_EQ(cpus["capture"], std::to_string(cpu));
  EXPECT_NE(cpus["team"], "");
  EXPECT_NE(cpus["team"], std::to_string(cpu));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(60s).code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::file_reading_test
