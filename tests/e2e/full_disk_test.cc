// The whole program, and a disk that fills and empties five times while messages come.

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/exchange_lines.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/small_disk.h"

namespace tcp_sniffer::full_disk_test {
namespace {

using namespace std::chrono_literals;

// A message as it is told apart from all others.
std::string name_of(const Json& message) {
  return message["connectionId"].get<std::string>() + " " +
         message["timestamp"].get<std::string>() + " " + message["direction"].get<std::string>();
}

// Of messages one by one, or of exchanges.
std::vector<Json> messages_of_line(const Json& line) {
  return line.contains("direction") ? std::vector<Json>{line} : messages_of_exchange(line);
}

// Adds the messages of one file, each of which has to be whole and to come once.
void collect(std::string_view text, bool framed, std::set<std::string>& found) {
  std::vector<Json> messages;
  if (!framed) {
    EXPECT_TRUE(text.empty() || text.back() == '\n');
    messages = json_lines(text);
  } else if (!text.empty()) {
    ASSERT_TRUE(text.starts_with("TCPSNIF1"));
    text.remove_prefix(8);
    while (!text.empty()) {
      ASSERT_GE(text.size(), 8u);
      uint32_t sizes[2];
      std::memcpy(sizes, text.data(), 8);
      const size_t size = size_t{8} + sizes[0] + sizes[1];
      ASSERT_GE(text.size(), size) << "a cut message";
      messages.push_back(Json::parse(text.substr(8, sizes[0]), nullptr, false));
      ASSERT_TRUE(messages.back().is_object());
      text.remove_prefix(size);
    }
  }
  for (const Json& line : messages) {
    for (const Json& message : messages_of_line(line)) {
      EXPECT_TRUE(found.insert(name_of(message)).second) << message;
    }
  }
}

struct Form {
  const char* format;
  const char* records;
};

class FullDisk : public testing::TestWithParam<std::tuple<const char*, Form>> {};

TEST_P(FullDisk, FiveTimesUnderLoadLeavesWholeMessagesAndCountsTheOthers) {
  const auto& [shards, form] = GetParam();
  const bool framed = std::string_view(form.format) == "framed";
  const SmallDisk disk(1024);
  if (!disk.mounted()) GTEST_SKIP() << "no file system can be mounted here";
  const std::string out = (disk / "out").string();
  Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", form.format, "--records", form.records, "--output",
                       out, "--shards", shards, "--overload", "drop", "--memory-limit", "16M"}),
              {in.read_end.get(), -1, err.get()});
  in.read_end.reset();

  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 8; i++) connections.push_back(maker.open());
  uint64_t sent = 0;
  const auto feed = [&] {
    for (size_t i = 0; i < 200; i++, sent += 2) {
      maker.exchange(connections[i % connections.size()], "/" + std::to_string(sent),
                     std::string(sent % 2000, 'b'));
    }
    std::string bytes = maker.take();
    for (std::string_view rest = bytes; !rest.empty();) {
      const ssize_t size = ::write(in.write_end.get(), rest.data(), rest.size());
      ASSERT_GT(size, 0);
      rest.remove_prefix(static_cast<size_t>(size));
    }
  };
  const auto came = [&](const char* name) { return events_named(content_of(err), name).size(); };

  std::set<std::string> found;
  size_t rotated = 0;
  // As logrotate does it, which takes the old file away once the new one is there.
  const auto rotate = [&] {
    rotated++;
    std::filesystem::rename(out, out + ".1");
    child.signal(SIGHUP);
    EXPECT_TRUE(until([&] { return std::filesystem::exists(out); }));
    collect(content_of(std::filesystem::path(out + ".1")), framed, found);
    std::filesystem::remove(out + ".1");
  };
  for (size_t times = 1; times <= 5; times++) {
    // It is full, and then more comes than the lines that wait in memory may take.
    for (int i = 0; i < 2000 && came("output_full") < times; i++) feed();
    ASSERT_EQ(came("output_full"), times);
    for (int i = 0; i < 20; i++) feed();
    rotate();
    ASSERT_TRUE(until([&] { return came("output_resumed") >= times; }));
    ASSERT_EQ(came("output_resumed"), times);
  }
  in.write_end.reset();
  // What still waits may be more than the disk holds. Once for each time that it is full: a program
  // that has gone on may end at any time, and takes no signal then.
  for (int i = 0; i < 3000 && !child.wait(20ms).in_time; i++) {
    if (came("output_full") > rotated) rotate();
  }
  collect(content_of(std::filesystem::path(out)), framed, found);

  const std::string said = content_of(err);
  const Json stopped = event_named(said, "stopped");
  expect_ledger_closes(stopped);
  const uint64_t dropped = stopped["messages"]["dropped_overload"];
  EXPECT_EQ(stopped["messages"]["discarded"], 0);
  EXPECT_EQ(stopped["messages"]["written"], found.size());
  EXPECT_EQ(found.size() + dropped, stopped["messages"]["parsed"]);
  if (stopped["frames"]["dropped_overload"] == 0) {
    EXPECT_EQ(stopped["messages"]["parsed"], sent);
  }
  uint64_t told = 0;
  for (const Json& loss : events_named(said, "loss")) told += loss.value("messages", uint64_t{0});
  EXPECT_EQ(told, dropped);
}

INSTANTIATE_TEST_SUITE_P(
    Shards, FullDisk,
    testing::Combine(testing::Values("0", "1", "4"),
                     testing::Values(Form{"ndjson", "message"}, Form{"framed", "message"},
                                     Form{"ndjson", "exchange"}, Form{"framed", "exchange"})));

}  // namespace
}  // namespace tcp_sniffer::full_disk_test
