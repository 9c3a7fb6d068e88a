// A new file in place of the old one (SIGHUP).

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>

#include "support/output_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::output_reopen_test {
namespace {

using namespace output_lab;
using End = OutputWriter::End;

TEST(OutputWriterReopen, TheNextLineGoesIntoTheNewFile) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  output.put_now("one\n");
  ASSERT_TRUE(until([&] { return output.writer().written() == 1; }));
  std::filesystem::rename(path, folder / "lines.1");
  output.put_now("two\n");
  ASSERT_TRUE(until([&] { return output.writer().written() == 2; }));
  EXPECT_FALSE(std::filesystem::exists(path)) << "until it is told";
  output.writer().reopen();
  output.put_now("three\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "lines.1"), "one\ntwo\n");
  EXPECT_EQ(content_of(path), "three\n");
}

TEST(OutputWriterReopen, EachFileOfFramesHasTheirMagic) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "frames";
  Output output(path, true);
  output.start();
  output.put_now(frame_of("{}", "one"));
  ASSERT_TRUE(until([&] { return output.writer().written() == 1; }));
  std::filesystem::rename(path, folder / "frames.1");
  output.writer().reopen();
  output.put_now(frame_of("{}", "two"));
  output.finish();
  EXPECT_EQ(content_of(folder / "frames.1"), "TCPSNIF1" + frame_of("{}", "one"));
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "two"));
}

TEST(OutputWriterReopen, FramesHaveTheirMagicAgainInAFileThatWasEmptiedAndNotInOneThatWasNot) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "frames";
  Output output(path, true);
  output.start();
  output.put_now(frame_of("{}", "one"));
  ASSERT_TRUE(until([&] { return output.writer().written() == 1; }));
  output.writer().reopen();
  output.put_now(frame_of("{}", "two"));
  ASSERT_TRUE(until([&] { return output.writer().written() == 2; }));
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "one") + frame_of("{}", "two"));
  std::filesystem::resize_file(path, 0);
  output.writer().reopen();
  output.put_now(frame_of("{}", "three"));
  output.finish();
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "three"));
}

TEST(OutputWriterReopen, TheNewFileIsThereAtOnceAlthoughNoLineComes) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  for (int round = 1; round <= 3; round++) {
    std::filesystem::rename(path, folder / ("lines." + std::to_string(round)));
    output.writer().reopen();
    EXPECT_TRUE(until([&] { return std::filesystem::exists(path); })) << round;
  }
  std::filesystem::remove(path);
  output.writer().reopen();
  output.finish();
  EXPECT_TRUE(std::filesystem::exists(path)) << "at the end, too";
}

TEST(OutputWriterReopen, TheOldFileIsKeptAndItIsSaidWhenTheNewOneCanNotBeOpened) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "logs/lines";
  std::filesystem::create_directory(folder / "logs");
  Output output(path);
  output.start();
  std::filesystem::rename(folder / "logs", folder / "logs.1");
  output.writer().reopen();
  ASSERT_TRUE(until([&] { return output.reopen_failures() == 1; })) << "without a line";
  EXPECT_EQ(output.reopen_error(), path.string() + ": No such file or directory");
  output.put_now("one\n");
  ASSERT_TRUE(until([&] { return output.writer().written() == 1; }));
  EXPECT_EQ(content_of(folder / "logs.1/lines"), "one\n");
  // The next time it is tried again.
  std::filesystem::create_directory(folder / "logs");
  output.writer().reopen();
  output.put_now("two\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "logs.1/lines"), "one\n");
  EXPECT_EQ(content_of(path), "two\n");
  EXPECT_EQ(output.reopen_failures(), 1);
  EXPECT_EQ(output.writer().end(), End::kNone);
}

TEST(OutputWriterReopen, StandardOutputStaysWhatItIs) {
  const Descriptor file = memory_file();
  Output output(file.get());
  output.start();
  output.writer().reopen();
  output.put_now("one\n");
  output.finish();
  EXPECT_EQ(content_of(file), "one\n");
}

TEST(OutputWriterReopen, InFullFlowNoLineIsLostOrCut) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  std::atomic<bool> ended{false};
  int rotations = 0;
  std::thread rotate([&] {
    while (!ended.load(std::memory_order_relaxed)) {
      std::error_code error;
      std::filesystem::rename(path, folder / ("lines." + std::to_string(rotations)), error);
      if (!error) {
        rotations++;
        output.writer().reopen();
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  std::string all;
  // At least 10,000 lines, and as many as it takes until files have been exchanged.
  for (uint64_t number = 0; number < 10000 || (number < 1'000'000 && output_files(folder) < 5);
       number++) {
    const std::string line = line_of(number, 20 + number * 7919 % 700);
    all += line;
    ASSERT_TRUE(output.put(line));
    if (number % 50 == 0) output.lines().flush();
  }
  output.finish();
  ended.store(true, std::memory_order_relaxed);
  rotate.join();
  EXPECT_GE(rotations, 4);
  std::string found;
  for (int i = 0; i <= rotations; i++) {
    const std::string name = i < rotations ? "lines." + std::to_string(i) : "lines";
    const std::string text = content_of(folder / name);
    EXPECT_TRUE(text.empty() || text.back() == '\n') << name;
    found += text;
  }
  EXPECT_TRUE(found == all) << "of " << all.size() << " bytes came " << found.size();
}

}  // namespace
}  // namespace tcp_sniffer::output_reopen_test
