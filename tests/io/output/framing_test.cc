#include "io/output/framing.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "core/line/json_string.h"
#include "support/output_lab.h"

namespace tcp_sniffer::framing_test {
namespace {

using namespace output_lab;

TEST(WholeMessages, OfLinesEndBehindTheLastLineFeedThatFits) {
  EXPECT_EQ(whole_messages("ab\ncd\n", 6, MessageFraming::kLines), 6u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 5, MessageFraming::kLines), 3u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 3, MessageFraming::kLines), 3u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 2, MessageFraming::kLines), 0u);
  EXPECT_EQ(whole_messages("", 0, MessageFraming::kLines), 0u);
}

TEST(WholeMessages, OfFramesEndBehindTheLastFrameThatFits) {
  // A body may hold anything, line feeds and what looks like lengths included.
  const std::string one = frame_of("{}", "\n\n");
  const std::string two = frame_of("{\"a\":1}", "");
  const std::string both = one + two;
  EXPECT_EQ(whole_messages(both, both.size(), MessageFraming::kFrames), both.size());
  EXPECT_EQ(whole_messages(both, both.size() - 1, MessageFraming::kFrames), one.size());
  EXPECT_EQ(whole_messages(both, one.size(), MessageFraming::kFrames), one.size());
  EXPECT_EQ(whole_messages(both, one.size() - 1, MessageFraming::kFrames), 0u);
}

// As many bytes, of which the first say so.
std::string record_of(size_t size) {
  return (le32(size) + "TP\1\1").append(size - 8, 'x');
}

TEST(WholeMessages, OfRecordsEndBehindTheLastRecordThatFits) {
  const std::string both = record_of(24) + record_of(160);
  EXPECT_EQ(whole_messages(both, both.size(), MessageFraming::kRecords), both.size());
  EXPECT_EQ(whole_messages(both, both.size() - 1, MessageFraming::kRecords), 24u);
  EXPECT_EQ(whole_messages(both, 24, MessageFraming::kRecords), 24u);
  EXPECT_EQ(whole_messages(both, 23, MessageFraming::kRecords), 0u);
  EXPECT_EQ(first_message(both, MessageFraming::kRecords), 24u);
  for (size_t size = 0; size <= both.size(); size++) {
    EXPECT_EQ(count_messages(std::string_view(both).substr(0, size), MessageFraming::kRecords),
              size < 24            ? 0u
              : size < both.size() ? 1u
                                   : 2u);
  }
  // Bytes that are none have no end.
  const std::string none(40, '\0');
  EXPECT_EQ(first_message(none, MessageFraming::kRecords), none.size());
  EXPECT_EQ(whole_messages(none, 30, MessageFraming::kRecords), 0u);
  EXPECT_EQ(count_messages(none, MessageFraming::kRecords), 0u);
}

TEST(WholeMessages, TheFirstOfThemEndsWithItsLineFeedOrItsFrame) {
  EXPECT_EQ(first_message("ab\ncd\n", MessageFraming::kLines), 3u);
  EXPECT_EQ(first_message("\n", MessageFraming::kLines), 1u);
  EXPECT_EQ(first_message("ab", MessageFraming::kLines), 2u);
  const std::string one = frame_of("{}", "\n\n");
  EXPECT_EQ(first_message(one + frame_of("{\"a\":1}", ""), MessageFraming::kFrames), one.size());
  // The bytes in front of the frames do not belong to one.
  EXPECT_EQ(first_message("TCPSNIF1", MessageFraming::kFrames), 8u);
}

TEST(WholeMessages, AreCounted) {
  EXPECT_EQ(count_messages("ab\ncd\nef", MessageFraming::kLines), 2u);
  EXPECT_EQ(count_messages(frame_of("{}", "\n\n") + frame_of("{}", ""), MessageFraming::kFrames),
            2u);
  EXPECT_EQ(count_messages("", MessageFraming::kFrames), 0u);
  const std::string two = frame_of("{}", "one") + frame_of("{}", "two");
  for (size_t size = 0; size < two.size(); size++) {
    EXPECT_EQ(count_messages(std::string_view(two).substr(0, size), MessageFraming::kFrames),
              size < 13 ? 0u : 1u)
        << "a cut frame is none: " << size;
  }
}

// Records of two lines for one message, of one for three, and of one for none.
TEST(WholeMessages, AreCountedWhereALineStandsForAnotherNumberOfThem) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput lines(queue, memory, {.may_wait = true, .blocks_max = 2, .notes_records = true});
  const auto put = [&](std::string_view record, uint64_t messages) {
    ASSERT_TRUE(lines.begin_line(record.size()));
    append_verbatim(record, lines);
    lines.end_line(messages, 1, 0);
  };
  put("a\nb\n", 1);
  put("c\nd\n", 1);
  put("", 2);
  put("e\n", 1);
  put("f\n", 0);
  put("", 5);
  lines.flush();
  LineBlock* block = nullptr;
  ASSERT_TRUE(queue.try_dequeue(block));
  EXPECT_EQ(block->messages, 10u);
  const uint64_t expected[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 5, 5, 5};
  for (size_t size = 0; size < std::size(expected); size++) {
    EXPECT_EQ(messages_in(*block, size, MessageFraming::kLines), expected[size]) << size;
  }
  lines.give_back(block);
}

TEST(WholeMessages, ABlockWhoseRecordsDifferTooOftenLeaves) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput lines(queue, memory, {.may_wait = true, .blocks_max = 2, .notes_records = true});
  for (size_t i = 0; i < LineOutput::kRunsMax; i++) {
    ASSERT_TRUE(lines.begin_line(2));
    append_verbatim("a\n", lines);
    lines.end_line(1 + i % 2, 1, 0);
  }
  LineBlock* block = nullptr;
  ASSERT_TRUE(queue.try_dequeue(block));
  EXPECT_EQ(messages_in(*block, block->used, MessageFraming::kLines), block->messages);
  lines.give_back(block);
}

}  // namespace
}  // namespace tcp_sniffer::framing_test
