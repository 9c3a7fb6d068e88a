#include "io/output/output_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "support/output_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::output_writer_test {
namespace {

using namespace output_lab;
using End = OutputWriter::End;
using namespace std::chrono_literals;

// ---------------------------------------------------------------- every kind of output

TEST(OutputWriter, AppendsToAFile) {
  const TemporaryFolder folder;
  write_file(folder / "lines", "old\n");
  Output output(folder / "lines");
  output.start();
  output.put("one\n");
  output.put("two\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "lines"), "old\none\ntwo\n");
  EXPECT_EQ(output.writer().written(), 2u);
  EXPECT_EQ(output.writer().bytes(), 8u);
  EXPECT_EQ(output.writer().end(), End::kNone);
}

TEST(OutputWriter, BeginsFramesWithTheirMagic) {
  const Descriptor file = memory_file();
  Output output(file.get(), true);
  output.start();
  output.put(frame_of("{}", "body"));
  output.finish();
  EXPECT_EQ(content_of(file), "TCPSNIF1" + frame_of("{}", "body"));
}

TEST(OutputWriter, FramesBeginInAPipeToo) {
  Pipe pipe = make_pipe();
  ASSERT_EQ(::write(pipe.write_end.get(), "x", 1), 1) << "that somebody has written before";
  Output output(pipe.write_end.get(), true);
  output.start();
  output.put(frame_of("{}", "body"));
  output.finish();
  pipe.write_end.reset();
  Reader reader(std::move(pipe.read_end));
  EXPECT_EQ(reader.text(), "xTCPSNIF1" + frame_of("{}", "body"));
}

TEST(OutputWriter, FramesThatAreAppendedToAFileHaveNoMagicInItsMiddle) {
  const TemporaryFolder folder;
  for (const char* body : {"one", "two"}) {
    Output output(folder / "frames", true);
    output.start();
    output.put(frame_of("{}", body));
    output.finish();
  }
  const std::string both = "TCPSNIF1" + frame_of("{}", "one") + frame_of("{}", "two");
  EXPECT_EQ(content_of(folder / "frames"), both);
  // Standard output may be such a file, too: `>> frames`.
  const Descriptor file(::open((folder / "frames").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  Output output(file.get(), true);
  output.start();
  output.put(frame_of("{}", "three"));
  output.finish();
  EXPECT_EQ(content_of(folder / "frames"), both + frame_of("{}", "three"));
}

TEST(OutputWriter, WhatStandsBehindTheEndMarkerIsWrittenToo) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput first(queue, memory, {}), second(queue, memory, {});
  const Descriptor file = memory_file();
  OutputWriter writer(
      OutputWriter::Settings{.path = {}, .framing = MessageFraming::kLines, .fd = file.get()},
      queue);
  const auto put = [](LineOutput& to, std::string_view line) {
    ASSERT_TRUE(to.begin_line(line.size()));
    char* at = to.reserve(line.size());
    std::memcpy(at, line.data(), line.size());
    to.commit(at + line.size());
    to.end_line(1, 1, 0);
    to.flush();
  };
  // Queues keep the order of one producer, not of all.
  put(first, "first\n");
  writer.end_of_input();
  put(second, "second\n");
  ASSERT_FALSE(writer.open());
  writer.start({});
  ASSERT_TRUE(until([&] { return writer.done(); }));
  EXPECT_EQ(writer.written(), 2u);
  EXPECT_EQ(content_of(file).size(), std::string("first\nsecond\n").size());
}

TEST(OutputWriter, WaitingForAReaderWhoStandsStillCostsNextToNothing) {
  const auto processor_time = [] {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  Pipe pipe = make_pipe();
  Output output(pipe.write_end.get());
  output.start();
  // The second one does not fit, although half of the pipe is free.
  output.put_now(line_of(1, 540'000));
  output.put_now(line_of(2, 540'000));
  ASSERT_TRUE(until([&] { return output.writer().written() == 1; }));
  const auto before = processor_time();
  const uint64_t waits_before = waits_of_other_threads();
  EXPECT_TRUE(until([&] { return waits_of_other_threads() >= waits_before + 100; }));
  EXPECT_LT(processor_time() - before, 60ms);
  Reader reader(std::move(pipe.read_end));
  output.finish();
  pipe.write_end.reset();
  EXPECT_EQ(reader.text(), line_of(1, 540'000) + line_of(2, 540'000));
}

// How often this process has asked the system to write.
uint64_t writes_of_this_process() {
  std::ifstream counters("/proc/self/io");
  for (std::string name; counters >> name;) {
    uint64_t value = 0;
    counters >> value;
    if (name == "syscw:") return value;
  }
  return 0;
}

TEST(OutputWriter, BlocksThatWaitGoIntoAPipeTogether) {
  Pipe pipe = make_pipe();
  Output output(pipe.write_end.get());
  std::string all;
  for (uint64_t number = 0; number < 8; number++) {
    all += line_of(number, 100'000);
    output.put_now(line_of(number, 100'000));
  }
  const uint64_t before = writes_of_this_process();
  if (before == 0) GTEST_SKIP() << "the kernel does not count calls in /proc/self/io";
  output.start();
  ASSERT_TRUE(until([&] { return output.writer().written() == 8; }));
  EXPECT_LT(writes_of_this_process(), before + 4) << "naming the thread is a write as well";
  Reader reader(std::move(pipe.read_end));
  output.finish();
  pipe.write_end.reset();
  EXPECT_TRUE(reader.text() == all);
  EXPECT_EQ(output.writer().bytes(), all.size());
}

TEST(OutputWriter, AnotherOneInTheSamePipeTakesNoByteAway) {
  Pipe pipe = make_pipe();
  ::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK);
  Reader reader(std::move(pipe.read_end));
  Output first(pipe.write_end.get());
  Output second(pipe.write_end.get());
  first.start();
  second.start();
  // Both find room for the same bytes now and then, and one of them is taken in part.
  size_t bytes = 0;
  for (uint64_t number = 0; number < 3000; number++) {
    const std::string line = line_of(number, 3001);
    ASSERT_TRUE(first.put(line) && second.put(line));
    bytes += 2 * line.size();
  }
  first.finish();
  second.finish();
  first.expect_every_message_counted();
  second.expect_every_message_counted();
  EXPECT_EQ(first.writer().discarded() + second.writer().discarded(), 0u);
  EXPECT_EQ(first.writer().bytes() + second.writer().bytes(), bytes);
  pipe.write_end.reset();
  EXPECT_EQ(reader.text().size(), bytes);
}

// ---------------------------------------------------------------- errors

TEST(OutputWriterErrors, AnOutputThatCanNotBeOpenedIsNamed) {
  const TemporaryFolder folder;
  const std::string path = (folder / "no such folder/lines").string();
  LineQueue queue;
  OutputWriter writer(OutputWriter::Settings{.path = path}, queue);
  const auto problem = writer.open();
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->message(), "output " + path + " cannot be opened: No such file or directory");
}

TEST(OutputWriterErrors, ADescriptorThatCanNotBeWrittenIsRefusedBeforeTheRun) {
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {null.get(), 1 << 20}) {
    LineQueue queue;
    OutputWriter writer(
        OutputWriter::Settings{.path = {}, .framing = MessageFraming::kLines, .fd = fd}, queue);
    const auto problem = writer.open();
    ASSERT_TRUE(problem);
    EXPECT_EQ(problem->message(), "standard output is closed, or not open for writing");
  }
}

TEST(OutputWriterErrors, AFullDiskIsAnErrorAndEverythingBehindItIsCounted) {
  Output output(std::filesystem::path("/dev/full"));
  output.start();
  output.put_now("one\n");
  ASSERT_TRUE(until([&] { return output.writer().end() != End::kNone; }));
  output.put_now("two\n");
  output.put_now("three\n");
  output.finish();
  EXPECT_EQ(output.writer().end(), End::kFailed);
  EXPECT_EQ(output.writer().problem().message(),
            "/dev/full cannot be written: No space left on device");
  EXPECT_EQ(output.writer().written(), 0u);
  EXPECT_EQ(output.writer().discarded(), 3u);
  EXPECT_EQ(output.writer().bytes(), 0u);
}

TEST(OutputWriterErrors, OfABlockThatFitsInPartTheWholeLinesCountAsWritten) {
  const TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  Output output(folder / "lines");
  output.start();
  for (uint64_t number = 0; number < 100; number++) output.put(line_of(number, 100));
  // The file may grow to 25 lines and a half; the writer's thread has the signal blocked.
  rlimit small = before;
  small.rlim_cur = 2550;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  output.finish();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(output.writer().end(), End::kFailed);
  EXPECT_EQ(output.writer().problem().message(),
            (folder / "lines").string() + " cannot be written: File too large");
  EXPECT_EQ(output.writer().written(), 25u);
  EXPECT_EQ(output.writer().discarded(), 75u);
}

TEST(OutputWriterErrors, WhatWasWrittenOfALineThatFailedIsTakenBack) {
  for (const bool framed : {false, true}) {
    const TemporaryFolder folder;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    Output output(folder / "out", framed);
    output.start();
    std::string whole = framed ? "TCPSNIF1" : "";
    for (uint64_t number = 0; number < 100; number++) {
      const std::string line = framed ? frame_of("{}", std::string(90, 'b')) : line_of(number, 100);
      output.put(line);
      if (number < 25) whole += line;
    }
    rlimit small = before;
    small.rlim_cur = 2550 + (framed ? 8 : 0);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    output.finish();
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(output.writer().written(), 25u);
    EXPECT_EQ(content_of(folder / "out"), whole);
  }
}

}  // namespace
}  // namespace tcp_sniffer::output_writer_test
