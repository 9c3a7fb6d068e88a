// Captures that still grow (`--follow`): the whole program beside writers of files.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/capture_maker.h"
#include "support/content_coders.h"
#include "support/follow_lab.h"
#include "support/run_engine.h"
#include "support/run_program.h"

namespace tcp_sniffer::follow_test {
namespace {

using namespace std::chrono_literals;

// The records of one connection in a capture, to be written in any pieces.
class Traffic {
 public:
  explicit Traffic(size_t number = 0) {
    while (number-- > 0) maker_.connection();
    maker_.take();
    connection_ = maker_.open();
  }

  // What an exchange adds to the capture.
  std::string exchange(std::string_view path = "/", std::string_view body = "body") {
    maker_.exchange(connection_, path, body);
    return maker_.take();
  }
  std::string request(std::string_view path) {
    maker_.segment(connection_, CaptureMaker::kClient,
                   "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return maker_.take();
  }
  std::string response() {
    maker_.segment(connection_, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
    return maker_.take();
  }
  static std::string header() { return CaptureMaker().bytes(); }

 private:
  CaptureMaker maker_;
  CaptureMaker::Connection connection_;
};

std::vector<std::string> values_of(std::string_view text, const char* field) {
  std::vector<std::string> values;
  for (const Json& line : json_lines(text)) {
    if (line.contains(field)) values.push_back(line[field]);
  }
  return values;
}

TEST(Follow, AFileIsReadAsItGrowsAndACutPacketWaitsForItsRest) {
  const TemporaryFolder folder;
  const auto path = folder / "a.pcap";
  Traffic traffic;
  FollowRunning run({path.string()});
  ASSERT_TRUE(run.reports("follow_waiting"));
  append_to(path, Traffic::header().substr(0, 10));
  append_to(path, Traffic::header().substr(10));
  append_to(path, traffic.exchange("/one"));
  ASSERT_TRUE(run.reaches(2));
  const std::string bytes = traffic.exchange("/two");
  for (const char& byte : bytes) append_to(path, {&byte, 1});
  ASSERT_TRUE(run.reaches(4));
  const Json stopped = run.stop();
  EXPECT_EQ(values_of(run.out(), "path"), (std::vector<std::string>{"/one", "/two"}));
  EXPECT_EQ(stopped["follow"]["read"], 1);
  EXPECT_EQ(stopped["follow"]["cut"], 0);
  EXPECT_EQ(stopped["follow"]["bytes"], std::filesystem::file_size(path));
  EXPECT_EQ(run.events("follow_begun"), 1u);
  EXPECT_EQ(run.events("follow_ended"), 1u);
}

TEST(Follow, LinesComeOutWithinATenthOfASecond) {
  for (const char* shards : {"0", "1", "2"}) {
    const TemporaryFolder folder;
    const auto path = folder / "a.pcap";
    Traffic traffic;
    append_to(path, Traffic::header() + traffic.exchange());
    FollowRunning run({path.string(), "--shards", shards});
    ASSERT_TRUE(run.reaches(2));
    std::vector<double> delays_ms;
    for (size_t i = 0; i < 20; i++) {
      append_to(path, traffic.exchange());
      const auto written = std::chrono::steady_clock::now();
      ASSERT_TRUE(run.reaches(4 + 2 * i));
      delays_ms.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - written)
              .count());
    }
    // A machine that is busy may be late now and then.
    std::ranges::sort(delays_ms);
    EXPECT_LT(delays_ms[10], 100) << "shards " << shards;
    run.stop();
  }
}

TEST(Follow, ARunEndsWhenNothingCameForFollowIdle) {
  const TemporaryFolder folder;
  const auto path = folder / "a.pcap";
  Traffic traffic;
  append_to(path, Traffic::header() + traffic.exchange());
  const auto began = std::chrono::steady_clock::now();
  FollowRunning run({path.string(), "--follow-idle", "300ms"});
  const Json stopped = run.end();
  EXPECT_GE(std::chrono::steady_clock::now() - began, 300ms);
  EXPECT_EQ(stopped["messages"]["written"], 2);
}

// The request in one file and its response in the next.
TEST(Follow, AConnectionGoesOnOverTheBorderOfFiles) {
  const TemporaryFolder folder;
  Traffic traffic;
  append_to(folder / "b-named-first", Traffic::header() + traffic.request("/over"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reaches(1));
  append_to(folder / "a-named-second", Traffic::header() + traffic.response());
  ASSERT_TRUE(run.reaches(2));
  const Json stopped = run.stop();
  const std::vector<Json> lines = json_lines(run.out());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["exchange"], lines[1]["exchange"]);
  EXPECT_EQ(lines[0]["connectionId"], lines[1]["connectionId"]);
  EXPECT_EQ(stopped["follow"]["read"], 2);
  EXPECT_EQ(stopped["messages"]["unpaired"], 0);
}

TEST(Follow, FilesThatAreThereAreReadFirstInTheOrderOfTheirPackets) {
  const TemporaryFolder folder;
  Traffic traffic;
  for (const char* name : {"c.pcap", "a.pcap", "d.pcap", "b.pcap"}) {
    append_to(folder / name, Traffic::header() + traffic.exchange(name));
  }
  append_to(folder / "not.txt", "no capture at all");
  append_to(folder / ".hidden", "hidden");
  append_to(folder / "empty", "");
  FollowRunning run({folder.path().string(), "--follow-idle", "200ms"});
  const Json stopped = run.end();
  EXPECT_EQ(values_of(run.out(), "path"),
            (std::vector<std::string>{"c.pcap", "a.pcap", "d.pcap", "b.pcap"}));
  EXPECT_EQ(stopped["follow"]["found"], 6);
  EXPECT_EQ(stopped["follow"]["read"], 4);
  EXPECT_EQ(stopped["follow"]["skipped"], 1);
  EXPECT_EQ(stopped["follow"]["waiting"], 1);
  const Json skipped = event_named(run.err(), "follow_skipped");
  EXPECT_TRUE(skipped["file"].get<std::string>().ends_with("not.txt"));
  EXPECT_EQ(skipped["level"], "warn");
}

TEST(Follow, APatternChoosesFiles) {
  const TemporaryFolder folder;
  Traffic traffic;
  append_to(folder / "a.pcap", Traffic::header() + traffic.exchange("/a"));
  append_to(folder / "b.cap", Traffic::header() + Traffic(1).exchange("/b"));
  FollowRunning run({(folder / "?.pcap").string()});
  ASSERT_TRUE(run.reaches(2));
  append_to(folder / "c.pcap", Traffic::header() + traffic.exchange("/c"));
  ASSERT_TRUE(run.reaches(4));
  // It gets a name that matches when it is whole.
  append_to(folder / "d.part", Traffic::header() + traffic.exchange("/d"));
  std::filesystem::rename(folder / "d.part", folder / "d.pcap");
  ASSERT_TRUE(run.reaches(6));
  run.stop();
  EXPECT_EQ(values_of(run.out(), "path"), (std::vector<std::string>{"/a", "/c", "/d"}));
}

TEST(Follow, AFileThatIsRenamedOrDeletedIsReadToItsEnd) {
  const TemporaryFolder folder;
  Traffic traffic;
  const auto path = folder / "a.pcap";
  const Descriptor writer(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, S_IRWXU));
  const auto write = [&](const std::string& bytes) {
    ASSERT_EQ(::write(writer.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  };
  write(Traffic::header() + traffic.exchange("/one"));
  FollowRunning run({(folder / "*.pcap").string()});
  ASSERT_TRUE(run.reaches(2));
  std::filesystem::rename(path, folder / "a.pcap.1");
  write(traffic.exchange("/renamed"));
  ASSERT_TRUE(run.reaches(4));
  std::filesystem::remove(folder / "a.pcap.1");
  write(traffic.exchange("/deleted"));
  ASSERT_TRUE(run.reaches(6));
  append_to(folder / "b.pcap", Traffic::header() + traffic.exchange("/next"));
  ASSERT_TRUE(run.reaches(8));
  ASSERT_TRUE(run.reports("follow_ended"));
  run.stop();
}

// tcpdump -W empties the oldest file and writes it anew: the same name and the same inode.
TEST(Follow, ANameThatIsUsedAgainIsANewFile) {
  const TemporaryFolder folder;
  Traffic traffic;
  FollowRunning run({(folder / "ring*").string()});
  std::vector<std::string> expected;
  for (size_t i = 0; i < 12; i++) {
    const auto path = folder / ("ring" + std::to_string(i % 3));
    const std::string name = "/" + std::to_string(i);
    write_file(path, Traffic::header());
    append_to(path, traffic.exchange(name));
    expected.push_back(name);
    ASSERT_TRUE(run.reaches(2 * (i + 1)));
  }
  const Json stopped = run.stop();
  EXPECT_EQ(values_of(run.out(), "path"), expected);
  EXPECT_EQ(stopped["follow"]["read"], 12);
  EXPECT_EQ(stopped["follow"]["missed"], 0);
}

TEST(Follow, AFileThatIsEmptiedWhileItIsReadIsReportedAndReadAnew) {
  const TemporaryFolder folder;
  Traffic traffic;
  const auto path = folder / "a.pcap";
  append_to(path, Traffic::header() + traffic.exchange("/one"));
  FollowRunning run({path.string()});
  ASSERT_TRUE(run.reaches(2));
  std::filesystem::resize_file(path, 0);
  append_to(path, Traffic::header() + traffic.exchange("/two"));
  ASSERT_TRUE(run.reaches(4));
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["read"], 2);
  const std::vector<Json> ended = run.events_named("follow_ended");
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0]["level"], "warn");
  EXPECT_EQ(ended[1]["level"], "info");
}

TEST(Follow, AFileThatIsReplacedByAnotherIsReadToItsEndAndThenTheOther) {
  const TemporaryFolder folder;
  Traffic traffic;
  const auto path = folder / "live.pcap";
  append_to(path, Traffic::header() + traffic.request("/one"));
  FollowRunning run({path.string()});
  ASSERT_TRUE(run.reaches(1));
  append_to(folder / "next", Traffic::header() + traffic.response());
  std::filesystem::rename(folder / "next", path);
  ASSERT_TRUE(run.reaches(2));
  EXPECT_EQ(run.stop()["messages"]["unpaired"], 0);
}

// Each of them has a pause in which the other is read.
TEST(Follow, FilesThatGrowAtTheSameTimeAreBothRead) {
  const TemporaryFolder folder;
  Traffic one(1);
  Traffic two(2);
  append_to(folder / "one.pcap", Traffic::header() + one.exchange("/1"));
  append_to(folder / "two.pcap", Traffic::header() + two.exchange("/2"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reaches(4));
  for (size_t i = 0; i < 50; i++) {
    append_to(folder / "one.pcap", one.exchange("/1"));
    append_to(folder / "two.pcap", two.exchange("/2"));
    ASSERT_TRUE(run.reaches(4 * (i + 2)));
  }
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["read"], 2);
  EXPECT_EQ(stopped["follow"]["cut"], 0);
  const std::vector<std::string> paths = values_of(run.out(), "path");
  EXPECT_EQ(std::ranges::count(paths, "/1"), 51);
  EXPECT_EQ(std::ranges::count(paths, "/2"), 51);
}

TEST(Follow, AnEndedFileThatGrowsIsTakenUpWhereItEnded) {
  const TemporaryFolder folder;
  Traffic traffic;
  append_to(folder / "a.pcap", Traffic::header() + traffic.exchange("/one"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reaches(2));
  append_to(folder / "b.pcap", Traffic::header() + traffic.exchange("/two"));
  ASSERT_TRUE(run.reaches(4));
  ASSERT_TRUE(run.reports("follow_ended"));
  append_to(folder / "a.pcap", traffic.exchange("/three"));
  ASSERT_TRUE(run.reaches(6));
  const Json stopped = run.stop();
  EXPECT_EQ(values_of(run.out(), "path"), (std::vector<std::string>{"/one", "/two", "/three"}));
  EXPECT_EQ(stopped["follow"]["read"], 2);
}

TEST(Follow, DamageEndsAFileAndNotTheRun) {
  const TemporaryFolder folder;
  Traffic traffic;
  const std::string good = traffic.exchange("/one");
  append_to(folder / "a.pcap", Traffic::header() + good + std::string(64, '\xff'));
  append_to(folder / "b.pcap", Traffic::header() + traffic.exchange("/two"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reaches(4));
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["damaged"], 1);
  const Json ended = run.events_named("follow_ended").at(0);
  EXPECT_EQ(ended["error"].get<std::string>().find("is damaged at byte "), 0u) << ended;
}

TEST(Follow, ACutFileBeforeAnotherIsReportedAndIsNoError) {
  const TemporaryFolder folder;
  Traffic traffic;
  std::string cut = Traffic::header() + traffic.exchange("/one");
  cut += traffic.request("/lost").substr(0, 30);
  append_to(folder / "a.pcap", cut);
  append_to(folder / "b.pcap", Traffic::header() + Traffic(1).exchange("/two"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reports("follow_ended"));
  ASSERT_TRUE(run.reaches(4));
  const Json stopped = run.stop();
  EXPECT_EQ(stopped["follow"]["cut"], 1);
  EXPECT_EQ(run.events_named("follow_ended").at(0)["cutBytes"], 30);
}

TEST(Follow, ACompressedCopyOfAFileThatWasReadIsNotReadAgain) {
  const TemporaryFolder folder;
  Traffic traffic;
  const auto path = folder / "a.pcap";
  append_to(path, Traffic::header() + traffic.exchange("/one"));
  FollowRunning run({folder.path().string()});
  ASSERT_TRUE(run.reaches(2));
  append_to(folder / "b.pcap", Traffic::header() + traffic.exchange("/two"));
  ASSERT_TRUE(run.reaches(4));
  const Finished packed = ::tcp_sniffer::run({"gzip", path.string()});
  ASSERT_EQ(packed.exit.code, 0) << packed.err;
  ASSERT_TRUE(run.reports("follow_skipped"));
  append_to(folder / "c.pcap", Traffic::header() + traffic.exchange("/three"));
  ASSERT_TRUE(run.reaches(6));
  run.stop();
  EXPECT_EQ(run.lines(), 6u);
}

TEST(Follow, CompressedFilesAreReadAsTheyGrow) {
  std::mt19937 random(3);
  const std::string whole = content_of(capture("site_and_api.pcap"));
  const Finished expected =
      run_engine({"-r", capture("site_and_api.pcap").string(), "--format", "ndjson"});
  for (const std::string& packed : {content_coders::gzip(whole), content_coders::zstd(whole)}) {
    const TemporaryFolder folder;
    const auto path = folder / "growing";
    FollowRunning run({path.string()});
    for (std::string_view rest = packed; !rest.empty();) {
      const size_t step = std::min<size_t>(rest.size(), 1 + random() % 2000);
      append_to(path, rest.substr(0, step));
      rest.remove_prefix(step);
    }
    ASSERT_TRUE(run.reports("follow_begun"));
    run.stop();
    EXPECT_EQ(sorted_lines(run.out()), sorted_lines(expected.out));
  }
}

TEST(Follow, CountAndDurationEndIt) {
  const TemporaryFolder folder;
  Traffic traffic;
  const auto path = folder / "a.pcap";
  append_to(path, Traffic::header() + traffic.exchange());
  append_to(path, traffic.exchange());
  {
    FollowRunning run({path.string(), "--count", "1"});
    EXPECT_EQ(run.end()["messages"]["written"], 2);
  }
  FollowRunning run({path.string(), "--duration", "300ms"});
  EXPECT_EQ(run.end()["messages"]["written"], 4);
}

TEST(Follow, AReaderThatPausesLosesNothingAndMemoryStaysBounded) {
  const TemporaryFolder folder;
  const auto path = folder / "a.pcap";
  Traffic traffic;
  append_to(path, Traffic::header());
  Pipe out = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"--follow", "--follow-idle", "500ms", "-r", path.string(), "--format",
                       "ndjson", "--memory-limit", "64M"}),
              {-1, out.write_end.get(), err.get()});
  out.write_end.reset();
  const std::string body(100'000, 'b');
  size_t written = 0;
  for (size_t i = 0; i < 600; i++) {
    append_to(path, traffic.exchange("/", body));
    written += 2;
  }
  // Far more than a pipe and the program's own blocks hold is in the file now.
  std::string text;
  std::vector<char> buffer(size_t{1} << 20);
  for (ssize_t size = 1; size > 0;) {
    size = ::read(out.read_end.get(), buffer.data(), buffer.size());
    if (size > 0) text.append(buffer.data(), static_cast<size_t>(size));
  }
  const Exit exit = child.wait();
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(lines_of(text).size(), written);
  const Json stopped = event_named(content_of(err), "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["messages"]["dropped_overload"], 0);
}

TEST(FollowConfiguration, WhatCannotBeFollowedIsRejected) {
  const TemporaryFolder folder;
  append_to(folder / "text", "this is no capture");
  struct Rejected {
    std::vector<std::string> arguments;
    int code;
    const char* words;
  };
  const std::string text = (folder / "text").string();
  const Rejected table[] = {
      {{"--follow"}, 2, "follow: true without files"},
      {{"--follow", "-r", "-"}, 2, "is standard input"},
      {{"-r", "tcp://127.0.0.1:1"}, 2, "needs follow"},
      {{"--follow", "-r", "tcp://127.0.0.1"}, 2, "is not complete"},
      {{"--follow", "-r", "tcp://127.0.0.1:1", "a.pcap"}, 2, "together with other files"},
      {{"--follow", "-r", "tcp://127.0.0.1:0"}, 2, "is not complete"},
      {{"--follow", "--follow-idle", "25h", "-r", "a.pcap"}, 2, "is out of range"},
      {{"--follow", "-r", text}, 6, "is not a capture file"},
      {{"--follow", "-r", "/nowhere/*.pcap"}, 6, "there is no folder /nowhere/"},
      {{"--follow", "-r", "/nowhere*/*.pcap"}, 6, "in the last part of the path only"},
      {{"--follow", "-r", "/dev/null"}, 6, "it is no file and no folder"},
      {{"--follow", "-r", "tcp-listen://192.0.2.1:1"}, 6, "cannot be listened on"},
  };
  for (const Rejected& rejected : table) {
    const Finished run = run_sniffer(rejected.arguments);
    EXPECT_EQ(run.exit.code, rejected.code) << run.err;
    EXPECT_NE(run.err.find(rejected.words), std::string::npos) << run.err;
  }
  const Finished check = run_sniffer({"--follow", "--check", "-r", text});
  EXPECT_EQ(check.exit.code, 6) << check.out;
  EXPECT_NE(check.out.find("follow:     " + text), std::string::npos) << check.out;
  EXPECT_EQ(run_sniffer({"--follow", "--check", "-r", folder.path().string()}).exit.code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::follow_test
