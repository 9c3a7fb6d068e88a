// The output of the whole program: files, pipes and their readers, and how signals end it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::output_test {
namespace {

using namespace std::chrono_literals;

// ------------------------------------------------------------------ the output's end

TEST(Output, AReaderThatLeavesAfterOneLineEndsTheRunQuietly) {
  const TemporaryFolder folder;
  write_file(folder / "many.pcap", many_exchanges(50000));
  for (const char* shards : {"0", "2"}) {
    Pipe pipe = make_pipe();
    const Descriptor err = memory_file();
    Child child(
        sniffer({"-r", (folder / "many.pcap").string(), "--format", "ndjson", "--shards", shards}),
        {-1, pipe.write_end.get(), err.get()});
    pipe.write_end.reset();
    const std::string text = read_all(pipe.read_end.get(), [](const std::string& so_far) {
      return so_far.find('\n') != std::string::npos;
    });
    pipe.read_end.reset();
    const Exit exit = child.wait(120s);
    EXPECT_EQ(exit.code, 0) << "signal " << exit.signal;
    const std::string said = content_of(err);
    EXPECT_TRUE(events_named(said, "fatal").empty()) << said;
    EXPECT_TRUE(events_named(said, "drain_incomplete").empty()) << said;
    const Json stopped = event_named(said, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_GT(stopped["messages"]["discarded"], 0);
    EXPECT_FALSE(stopped["deterministic"]);
  }
}

TEST(Output, AFullDiskIsAnErrorWithExitCode7) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_GE(full.get(), 0);
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", kShop, "--format", "ndjson"}), {-1, full.get(), err.get()});
  EXPECT_EQ(child.wait(120s).code, 7);
  const std::string said = content_of(err);
  EXPECT_EQ(event_named(said, "fatal")["code"], "OUTPUT_FAILED");
  EXPECT_TRUE(events_named(said, "drain_incomplete").empty()) << "no reader was slow: " << said;
  const Json stopped = event_named(said, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["messages"]["written"], 0);
  EXPECT_EQ(stopped["messages"]["discarded"], kShopMessages);
}

TEST(Output, AFolderCanNotBeTheOutput) {
  const TemporaryFolder folder;
  const Finished run = run_sniffer({"-r", kShop, "--output", folder.path().string()});
  EXPECT_EQ(run.exit.code, 7);
  const Json fatal = fatal_of(run);
  EXPECT_EQ(fatal["code"], "OUTPUT_FAILED");
  EXPECT_NE(fatal["message"].get<std::string>().find(folder.path().string()), std::string::npos);
}

TEST(Output, AClosedStandardOutputIsAnErrorWithExitCode7AndNoOtherFileIsWrittenInItsPlace) {
  const TemporaryFolder folder;
  const std::string capture_path = (folder / "shop.pcap").string();
  std::filesystem::copy_file(kShop, capture_path);
  // The capture file may be written, so that lines would get into it.
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"-r", capture_path, "--format", "ndjson"}, {"--version"}}) {
    const Descriptor err = memory_file();
    Child child(sniffer(arguments), {.in = -1, .out = -1, .err = err.get(), .out_closed = true});
    EXPECT_EQ(child.wait(120s).code, 7) << arguments[0];
    if (arguments[0] != "-r") continue;
    const Json fatal = event_named(content_of(err), "fatal");
    EXPECT_EQ(fatal["code"], "OUTPUT_FAILED");
    EXPECT_EQ(fatal["message"], "standard output is closed, or not open for writing");
  }
  EXPECT_TRUE(content_of(std::filesystem::path(capture_path)) ==
              content_of(std::filesystem::path(kShop)));
}

TEST(Output, AClosedStandardOutputDoesNotMatterWhenTheMessagesGoIntoAFile) {
  const TemporaryFolder folder;
  const std::string path = (folder / "lines").string();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", kShop, "--format", "ndjson", "--output", path}),
              {.in = -1, .out = -1, .err = err.get(), .out_closed = true});
  EXPECT_EQ(child.wait(120s).code, 0);
  EXPECT_EQ(lines_of(content_of(std::filesystem::path(path))).size(), kShopMessages);
}

TEST(Output, AFileIsAppendedTo) {
  const TemporaryFolder folder;
  const std::string path = (folder / "lines").string();
  for (size_t runs = 1; runs <= 2; runs++) {
    const Finished run = run_sniffer({"-r", kShop, "--format", "ndjson", "--output", path});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(lines_of(content_of(std::filesystem::path(path))).size(), runs * kShopMessages);
  }
}

TEST(Output, ALineLongerThanAPipeIsWrittenWhole) {
  CaptureMaker maker;
  auto connection = maker.open();
  const std::string body(3u << 20, 'y');
  maker.exchange(connection, "/long", body);
  maker.exchange(connection, "/short", "z");
  maker.close(connection);
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Child child(sniffer({"-r", "-", "--format", "ndjson", "--max-body-size", "8M"}),
              {in.read_end.get(), out.write_end.get(), -1});
  out.write_end.reset();
  in.read_end.reset();
  const Feeder feeder(std::move(in.write_end), maker.bytes());
  const std::vector<Json> lines = json_lines(read_all(out.read_end.get()));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1]["body"], body);
  EXPECT_EQ(child.wait(120s).code, 0);
}

// ------------------------------------------------------------------ a FIFO

bool has_come(const Descriptor& err, std::string_view event) {
  return content_of(err).find(event) != std::string::npos;
}

struct Fifo : testing::Test {
  const TemporaryFolder folder;
  const std::string path = (folder / "fifo").string();
  void SetUp() override { ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); }
};

TEST_F(Fifo, WithoutAReaderIsWaitedForAndASignalEndsTheWait) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    const Descriptor err = memory_file();
    Child child(sniffer({"-r", kShop, "--format", "ndjson", "--output", path}),
                {-1, -1, err.get()});
    EXPECT_TRUE(until([&] { return has_come(err, "no_reader"); }));
    child.signal(number);
    const Exit exit = child.wait(30s);
    EXPECT_EQ(exit.code, 0) << strsignal(number);
    const std::string said = content_of(err);
    EXPECT_EQ(event_named(said, "no_reader")["file"], path);
    EXPECT_TRUE(events_named(said, "started").empty()) << "nothing was captured, nor lost";
    expect_ledger_closes(event_named(said, "stopped"));
  }
}

TEST_F(Fifo, AReaderThatComesLateGetsEveryLine) {
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", kShop, "--format", "ndjson", "--output", path}), {-1, -1, err.get()});
  ASSERT_TRUE(until([&] { return has_come(err, "no_reader"); }));
  const Descriptor reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string text = read_all(reader.get());
  EXPECT_EQ(child.wait(120s).code, 0);
  EXPECT_EQ(lines_of(text).size(), kShopMessages);
  EXPECT_TRUE(all_lines_whole(text));
}

TEST_F(Fifo, WithoutAReaderCheckSaysSoAndOneThatReadsIsNotDisturbed) {
  const std::vector<std::string> arguments = {"-r", kShop, "--output", path, "--check"};
  const Finished alone = run_sniffer(arguments);
  EXPECT_EQ(alone.exit.code, 0);
  EXPECT_NE(alone.out.find("this FIFO has no reader"), std::string::npos) << alone.out;
  EXPECT_EQ(alone.out.find("\nready\n"), std::string::npos) << alone.out;
  const Descriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const Finished read = run_sniffer(arguments);
  EXPECT_NE(read.out.find("\nready\n"), std::string::npos) << read.out;
  const Descriptor writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  pollfd ready{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ready, 1, 0), 0) << "no end of file has come";
}

TEST_F(Fifo, ThatNobodyReadsAtAHangUpIsAnErrorAndTheOldOutputIsKept) {
  const std::string lines = (folder / "lines").string();
  const Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", "ndjson", "--output", lines}),
              {in.read_end.get(), -1, err.get()});
  const auto wait_for = [&](std::string_view event) {
    EXPECT_TRUE(until([&] { return has_come(err, event); })) << event;
  };
  wait_for("\"started\"");
  std::filesystem::rename(path, lines);
  child.signal(SIGHUP);
  wait_for("output_reopen_failed");
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(30s).code, 0);
  EXPECT_EQ(event_named(content_of(err), "output_reopen_failed")["file"], lines);
}

// ------------------------------------------------------------------ signals and slow readers

// As nohup starts it.
TEST(Signals, AHangUpThatWasIgnoredFromTheStartEndsNothing) {
  const Pipe in = make_pipe();
  const Descriptor err = memory_file();
  std::vector<std::string> command = {"sh", "-c", "trap '' HUP; exec \"$@\"", "sh"};
  for (const std::string& word : sniffer({"-r", "-", "--format", "ndjson"})) {
    command.push_back(word);
  }
  Child child(command, {in.read_end.get(), -1, err.get()});
  ASSERT_TRUE(until([&] { return has_come(err, "started"); }));
  child.signal(SIGHUP);
  EXPECT_FALSE(child.wait(500ms).in_time) << "it has ended";
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(30s).code, 0);
}

TEST(Signals, TheFirstEndsTheRunInOrderAndTheLastLineIsWhole) {
  for (const int number : {SIGINT, SIGTERM}) {
    for (const char* shards : {"0", "2"}) {
      SCOPED_TRACE(std::string(strsignal(number)) + ", shards " + shards);
      Running running({"--shards", shards}, many_exchanges(2000));
      std::string text = read_all(running.out(), [](const std::string& so_far) {
        return std::count(so_far.begin(), so_far.end(), '\n') >= 100;
      });
      running.child().signal(number);
      text += read_all(running.out());
      const Exit exit = running.child().wait(120s);
      EXPECT_EQ(exit.code, 0) << "signal " << exit.signal;
      EXPECT_TRUE(all_lines_whole(text));
      const Json stopped = event_named(running.said(), "stopped");
      expect_ledger_closes(stopped);
      EXPECT_EQ(stopped["messages"]["written"], lines_of(text).size());
    }
  }
}

TEST(Signals, HangUpReopensTheOutputFile) {
  const TemporaryFolder folder;
  const std::string path = (folder / "lines").string();
  const std::string old_path = (folder / "lines.1").string();
  const std::string bytes = many_exchanges(1000);
  Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", "ndjson", "--output", path}),
              {in.read_end.get(), -1, err.get()});
  in.read_end.reset();
  const auto write_all = [&](std::string_view part) {
    while (!part.empty()) {
      const ssize_t size = ::write(in.write_end.get(), part.data(), part.size());
      ASSERT_GT(size, 0);
      part.remove_prefix(static_cast<size_t>(size));
    }
  };
  write_all(std::string_view(bytes).substr(0, bytes.size() / 2));
  ASSERT_TRUE(until([&] {
    std::error_code error;
    return std::filesystem::file_size(path, error) > 0 && !error;
  }));
  std::filesystem::rename(path, old_path);
  child.signal(SIGHUP);
  ASSERT_TRUE(until([&] { return std::filesystem::exists(path); })) << "before a line comes";
  write_all(std::string_view(bytes).substr(bytes.size() / 2));
  in.write_end.reset();
  EXPECT_EQ(child.wait(120s).code, 0);
  const std::string before = content_of(std::filesystem::path(old_path));
  const std::string after = content_of(std::filesystem::path(path));
  EXPECT_TRUE(all_lines_whole(before));
  EXPECT_TRUE(all_lines_whole(after));
  EXPECT_FALSE(before.empty());
  EXPECT_FALSE(after.empty());
  EXPECT_EQ(lines_of(before).size() + lines_of(after).size(), 2000u);
}

TEST(Signals, AHangUpWhoseFileCanNotBeOpenedKeepsTheOldOneAndSaysSo) {
  const TemporaryFolder folder;
  const std::filesystem::path logs = folder / "logs";
  std::filesystem::create_directory(logs);
  const Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", "ndjson", "--output", (logs / "lines").string()}),
              {in.read_end.get(), -1, err.get()});
  const auto wait_for = [&](std::string_view event) {
    return until([&] { return has_come(err, event); });
  };
  ASSERT_TRUE(wait_for("\"started\""));
  std::filesystem::rename(logs, folder / "elsewhere");
  child.signal(SIGHUP);
  ASSERT_TRUE(wait_for("output_reopen_failed")) << content_of(err);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(120s).code, 0);
  const Json said = event_named(content_of(err), "output_reopen_failed");
  EXPECT_EQ(said["level"], "warn");
  EXPECT_EQ(said["file"], (logs / "lines").string());
  EXPECT_EQ(said["error"], "No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(logs));
}

// Nobody reads: the pipes fill up to the file. Then the stop may take drainTimeoutMs, no longer.
TEST(SlowReader, AtStopLinesNobodyTakesInTimeAreDiscardedAndCounted) {
  for (const char* shards : {"0", "2"}) {
    SCOPED_TRACE("shards " + std::string(shards));
    Running running({"--shards", shards, "--drain-timeout-ms", "300"}, many_exchanges(40000));
    // A line a millisecond for a while, then nothing.
    std::string text;
    char byte = 0;
    for (int lines = 0; lines < 100;) {
      ASSERT_EQ(::read(running.out(), &byte, 1), 1);
      text += byte;
      if (byte != '\n') continue;
      lines++;
      std::this_thread::sleep_for(1ms);
    }
    ASSERT_TRUE(until_still([&] { return waiting_in(running.out()); }));
    const auto begin = std::chrono::steady_clock::now();
    running.child().signal(SIGTERM);
    const Exit exit = running.child().wait(120s);
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(exit.code, 0) << "signal " << exit.signal;
    EXPECT_LT(took, kSanitized ? 30s : 10s);
    text += read_all(running.out());
    EXPECT_TRUE(all_lines_whole(text)) << text.substr(text.size() - 300);
    const Json stopped = event_named(running.said(), "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], lines_of(text).size());
    EXPECT_GT(stopped["messages"]["discarded"], 0);
    EXPECT_FALSE(stopped["deterministic"]);
    const Json drain = event_named(running.said(), "drain_incomplete");
    EXPECT_EQ(drain["discarded"], stopped["messages"]["discarded"]);
  }
}

TEST(SlowReader, ASecondSignalEndsAtOnceWithoutCuttingALine) {
  for (const char* shards : {"0", "2"}) {
    SCOPED_TRACE("shards " + std::string(shards));
    Running running({"--shards", shards, "--drain-timeout-ms", "60000"}, many_exchanges(40000));
    ASSERT_TRUE(until_still([&] { return waiting_in(running.out()); }));
    running.child().signal(SIGINT);
    ASSERT_TRUE(until([&] { return running.child().has_taken(SIGINT); }));
    running.child().signal(SIGINT);
    const Exit exit = running.child().wait(55s);
    EXPECT_TRUE(exit.in_time);
    EXPECT_EQ(exit.code, 0) << "signal " << exit.signal;
    const std::string text = read_all(running.out());
    EXPECT_TRUE(all_lines_whole(text));
    const Json stopped = event_named(running.said(), "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], lines_of(text).size());
  }
}

TEST(SlowReader, AReaderThatIsOnlySlowGetsEveryLine) {
  const TemporaryFolder folder;
  write_file(folder / "many.pcap", many_exchanges(20000));
  Pipe pipe = make_pipe();
  Child child(sniffer({"-r", (folder / "many.pcap").string(), "--format", "ndjson"}),
              {-1, pipe.write_end.get(), -1});
  pipe.write_end.reset();
  std::string text;
  char bytes[4096];
  for (int reads = 0;; reads++) {
    const ssize_t size = ::read(pipe.read_end.get(), bytes, sizeof(bytes));
    if (size <= 0) break;
    text.append(bytes, static_cast<size_t>(size));
    if (reads % 100 == 0) std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(child.wait(120s).code, 0);
  EXPECT_TRUE(all_lines_whole(text));
  EXPECT_EQ(lines_of(text).size(), 40000u);
}

TEST(SlowReader, WithOverloadDropWholeLinesAreDroppedAndCounted) {
  Running running(
      {"--shards", "0", "--overload", "drop", "--drain-timeout-ms", "300", "--memory-limit", "16M"},
      many_exchanges(40000));
  // With nobody reading, the capture is taken in to its end all the same.
  EXPECT_TRUE(until([&] { return running.fed(); }))
      << "the reader of the output held up the capture";
  ASSERT_TRUE(until_still([&] { return waiting_in(running.out()); }));
  running.child().signal(SIGTERM);
  EXPECT_EQ(running.child().wait(120s).code, 0);
  const std::string text = read_all(running.out());
  EXPECT_TRUE(all_lines_whole(text));
  const Json stopped = event_named(running.said(), "stopped");
  expect_ledger_closes(stopped);
  EXPECT_GT(stopped["messages"]["dropped_overload"], 0);
  EXPECT_EQ(stopped["messages"]["written"], lines_of(text).size());
  // No loss is without a word, and the words add up.
  uint64_t told = 0;
  for (const Json& loss : events_named(running.said(), "loss")) {
    EXPECT_EQ(loss["level"], "warn");
    EXPECT_TRUE(loss["since"].is_string());
    told += loss.value("messages", uint64_t{0});
  }
  EXPECT_EQ(told, stopped["messages"]["dropped_overload"]);
  EXPECT_FALSE(stopped["deterministic"]);
}

}  // namespace
}  // namespace tcp_sniffer::output_test
