#include "io/output/output_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/output_lab.h"
#include "support/run_program.h"
#include "support/small_disk.h"

namespace tcp_sniffer::output_file_test {
namespace {

using namespace output_lab;

// ---------------------------------------------------------------- a file that ends in the middle

// What stands in the file after one more message.
std::string appended_to(const std::string& before, bool framed, const std::string& message,
                        std::string* error = nullptr) {
  const TemporaryFolder folder;
  write_file(folder / "out", before);
  Output output(folder / "out", framed);
  const auto problem = output.writer().open();
  if (error != nullptr) *error = problem ? problem->message() : "";
  if (problem) return content_of(folder / "out");
  output.start_opened();
  output.put(message);
  output.finish();
  return content_of(folder / "out");
}

TEST(OutputFileEnd, ALineWithoutItsEndGetsOneAndStays) {
  EXPECT_EQ(appended_to("whole\ncut", false, "next\n"), "whole\ncut\nnext\n");
  EXPECT_EQ(appended_to("whole\n", false, "next\n"), "whole\nnext\n");
  EXPECT_EQ(appended_to("", false, "next\n"), "next\n");
}

TEST(OutputFileEnd, AFrameThatWasCutAnywhereIsCutOff) {
  const std::string magic = "TCPSNIF1";
  const std::string one = frame_of("{}", "one\n");
  const std::string two = frame_of("{\"a\":1}", std::string(300, 'b'));
  const std::string next = frame_of("{}", "next");
  const std::string all = magic + one + two;
  for (size_t size = 0; size <= all.size(); size++) {
    const std::string whole = size < 8                           ? magic
                              : size < magic.size() + one.size() ? magic
                              : size < all.size()                ? magic + one
                                                                 : all;
    ASSERT_EQ(appended_to(all.substr(0, size), true, next), whole + next) << size;
  }
}

TEST(OutputFileEnd, AFileThatHasNoFramesIsNotTouched) {
  for (const std::string& foreign :
       {std::string("{\"a\":1}\n"), std::string("x"), "TCPSNIF1" + le32(5) + le32(0) + "hello"}) {
    std::string error;
    EXPECT_EQ(appended_to(foreign, true, frame_of("{}", ""), &error), foreign);
    EXPECT_NE(error, "") << foreign;
  }
}

TEST(OutputFileEnd, ATableHasItsHeadOnce) {
  const std::string head = "method,path\r\n";
  const std::string row = "GET,/\r\n";
  const auto appended = [&](const std::string& before, std::string* error = nullptr) {
    const TemporaryFolder folder;
    write_file(folder / "out", before);
    Output output(OutputWriter::Settings{
        .path = (folder / "out").string(), .framing = MessageFraming::kLines, .head = head});
    const auto problem = output.writer().open();
    if (error != nullptr) *error = problem ? problem->message() : "";
    if (problem) return content_of(folder / "out");
    output.start_opened();
    output.put(row);
    output.finish();
    output.expect_every_message_counted();
    return content_of(folder / "out");
  };
  // Cut anywhere in its head, it is begun anew.
  for (size_t size = 0; size < head.size(); size++) {
    EXPECT_EQ(appended(head.substr(0, size)), head + row) << size;
  }
  EXPECT_EQ(appended(head), head + row);
  EXPECT_EQ(appended(head + row), head + row + row);
  EXPECT_EQ(appended(head + "GET,"), head + "GET,\n" + row);
  for (const std::string foreign : {"path,method\r\n", "{}\n", "method,path\n"}) {
    std::string error;
    EXPECT_EQ(appended(foreign, &error), foreign);
    EXPECT_NE(error.find("names other columns"), std::string::npos) << error;
  }
}

// ---------------------------------------------------------------- a disk that fills and empties

// Numbers of the messages in a file, all of which have to be whole.
std::vector<uint64_t> numbers_in(std::string_view text, bool framed) {
  std::vector<uint64_t> numbers;
  if (framed) {
    EXPECT_TRUE(text.starts_with("TCPSNIF1"));
    text.remove_prefix(std::min<size_t>(8, text.size()));
  }
  while (!text.empty()) {
    const size_t size = first_message(text, framing_of(framed));
    const std::string_view message = text.substr(0, size);
    EXPECT_EQ(whole_messages(message, message.size(), framing_of(framed)), message.size());
    if (!framed) {
      EXPECT_EQ(message.back(), '\n');
    }
    const size_t number = message.find_first_of("0123456789", framed ? 8 : 0);
    numbers.push_back(std::stoull(std::string(message.substr(number, 10))));
    text.remove_prefix(size);
  }
  return numbers;
}

TEST(OutputWriterFullDisk, ThatEmptiesIsGoneOnWithAndEachMessageThatIsLostIsCounted) {
  for (const bool framed : {false, true}) {
    SCOPED_TRACE(framed ? "framed" : "lines");
    const SmallDisk disk(3000);
    if (!disk.mounted()) GTEST_SKIP() << "no file system can be mounted here";
    OutputWriter::Settings settings{.path = (disk / "out").string(), .framing = framing_of(framed)};
    settings.when_full = OutputWriter::WhenFull::kDrop;
    Output output(settings);
    output.start();
    std::vector<uint64_t> found;
    uint64_t number = 0;
    for (int times = 0; times < 5; times++) {
      // Twice what the disk and the memory for lines have room for.
      const uint64_t dropped = output.writer().dropped();
      while (output.writer().dropped() == dropped) {
        const std::string text = std::to_string(number) + std::string(number % 5000, ' ');
        ASSERT_TRUE(output.put(framed ? frame_of("{" + text + "}", "b") : text + "\n"));
        number++;
      }
      // As logrotate does it, which takes the old file away. What waited in memory can fill the new
      // one as well, or all of it was dropped: then the next message shows that there is room.
      int emptied = 0;
      ASSERT_TRUE(until([&] {
        if (output.fulls() > emptied) {
          emptied = output.fulls();
          const std::string text = content_of(disk / "out");
          for (const uint64_t one : numbers_in(text, framed)) found.push_back(one);
          std::filesystem::rename(disk / "out", disk / "out.1");
          std::filesystem::remove(disk / "out.1");
          output.writer().reopen();
        }
        const std::string text = std::to_string(number++);
        output.put_now(framed ? frame_of("{" + text + "}", "b") : text + "\n");
        return output.rooms() == output.fulls();
      }));
    }
    output.finish();
    for (const uint64_t one : numbers_in(content_of(disk / "out"), framed)) found.push_back(one);
    EXPECT_GE(output.fulls(), 5);
    EXPECT_EQ(output.fulls(), output.rooms());
    EXPECT_EQ(output.writer().discarded(), 0u);
    EXPECT_EQ(found.size(), output.writer().written()) << "what is counted is there";
    EXPECT_EQ(output.writer().written() + output.writer().dropped(), number);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  }
}

}  // namespace
}  // namespace tcp_sniffer::output_file_test
