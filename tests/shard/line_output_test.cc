#include "shard/line_output.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/limits.h"

namespace tcp_sniffer::line_output_test {
namespace {

struct LineOutputTest : testing::Test {
  LineQueue queue;
  static constexpr uint32_t kBlocks = 64;
  BufferPool memory{size_t{1} << 30};
  LineOutput output{queue, memory, {false, kBlocks}};

  ~LineOutputTest() override {
    output.flush();
    take();
  }

  // In pieces, as a line writer asks for room.
  static void append(LineOutput& to, std::string_view text, size_t piece = 1000) {
    while (!text.empty()) {
      const std::string_view part = text.substr(0, piece);
      char* out = to.reserve(part.size());
      std::memcpy(out, part.data(), part.size());
      to.commit(out + part.size());
      text.remove_prefix(part.size());
    }
  }
  bool write(std::string_view line, size_t piece = 1000) {
    if (!output.begin_line(line.size())) return false;
    append(output, line, piece);
    output.end_line(1, 5, 0);
    return true;
  }
  // Everything that was handed over; the blocks go back.
  std::string take() {
    std::string all;
    LineBlock* block = nullptr;
    while (queue.try_dequeue(block)) {
      all.append(block->data, block->used);
      messages += block->messages;
      blocks++;
      block->owner->give_back(block);
    }
    return all;
  }

  uint64_t messages = 0;
  uint64_t blocks = 0;
};

TEST_F(LineOutputTest, LinesAreHandedOverWhenAsked) {
  write("one\n");
  write("two\n");
  EXPECT_TRUE(output.has_unsent());
  EXPECT_EQ(output.oldest_ns(), 5);
  EXPECT_EQ(take(), "");
  output.flush();
  EXPECT_FALSE(output.has_unsent());
  EXPECT_EQ(take(), "one\ntwo\n");
  EXPECT_EQ(messages, 2u);
  EXPECT_EQ(blocks, 1u);
  EXPECT_EQ(output.line_bytes(), 8u);
}

// An output that waits for its own memory waits for ever.
TEST(LineOutputCancelled, ALongLineHasNoMemoryThatTheNextOneWaitsFor) {
  LineQueue queue;
  BufferPool memory{size_t{64} << 20};
  LineOutput output{queue, memory, {.may_wait = false, .blocks_max = 4}};
  for (const size_t size : {size_t{1} << 20, size_t{8} << 20}) {
    ASSERT_TRUE(output.begin_line(size));
    char* const out = output.reserve(size);
    std::memset(out, 'x', size);
    output.commit(out + size);
    output.cancel_line();
    EXPECT_FALSE(output.has_unsent());
    EXPECT_EQ(output.begin_long_line(size_t{15} << 20), LineOutput::Room::kEnough) << size;
    output.cancel_line();
  }
}

TEST(LineOutputCancelled, LinesBeforeALongLineStay) {
  LineQueue queue;
  BufferPool memory{size_t{64} << 20};
  LineOutput output{queue, memory, {.may_wait = false, .blocks_max = 4}};
  const auto append = [&](size_t size, char letter) {
    char* const out = output.reserve(size);
    std::memset(out, letter, size);
    output.commit(out + size);
  };
  ASSERT_TRUE(output.begin_line(4));
  append(4, 'a');
  output.end_line(3, 5, 0);
  ASSERT_TRUE(output.begin_line(2 * kLineBlockBytes));
  append(2 * kLineBlockBytes, 'x');
  output.cancel_line();
  ASSERT_TRUE(output.begin_line(4));
  append(4, 'b');
  output.end_line(1, 6, 0);
  output.flush();
  std::string all;
  uint64_t messages = 0;
  for (LineBlock* block = nullptr; queue.try_dequeue(block);) {
    all.append(block->data, block->used);
    messages += block->messages;
    block->owner->give_back(block);
  }
  EXPECT_EQ(all, "aaaabbbb");
  EXPECT_EQ(messages, 4u);
}

// What the sanitizer for leaks looks at, too.
TEST(LineOutputCancelled, ARunThatEndsWithinALongLineKeepsNoMemory) {
  LineQueue queue;
  BufferPool memory{size_t{64} << 20};
  {
    LineOutput output{queue, memory, {.may_wait = false, .blocks_max = 4}};
    ASSERT_TRUE(output.begin_line(2 * kLineBlockBytes));
    output.commit(output.reserve(2 * kLineBlockBytes) + 2 * kLineBlockBytes);
    EXPECT_GT(output.charged_bytes(), 0u);
  }
  EXPECT_EQ(memory.used_bytes(), 0u);
}

TEST_F(LineOutputTest, AFullBlockIsHandedOverByItself) {
  const std::string line(kLineBlockBytes / 4, 'x');
  for (int i = 0; i < 4; i++) write(line);
  EXPECT_EQ(take().size(), line.size() * 4);
}

TEST_F(LineOutputTest, ALineThatDoesNotFitTheRestBeginsANewBlock) {
  const std::string first(kLineBlockBytes * 3 / 4, 'a');
  const std::string second(kLineBlockBytes / 2, 'b');
  write(first);
  write(second);
  EXPECT_EQ(take(), first);
  output.flush();
  EXPECT_EQ(take(), second);
  EXPECT_EQ(messages, 2u);
}

TEST_F(LineOutputTest, ALineLongerThanABlockIsInOnePiece) {
  const std::string long_line(kLineBlockBytes * 5 + 17, 'x');
  write("before\n");
  write(long_line);
  write("behind\n");
  output.flush();
  EXPECT_EQ(take(), "before\n" + long_line + "behind\n");
  EXPECT_EQ(messages, 3u);
}

TEST_F(LineOutputTest, ALongLineInOneReservationIsInOnePiece) {
  const std::string long_line(kLineBlockBytes * 3, 'x');
  write(long_line, long_line.size());
  write("before\n");
  write(long_line, long_line.size());
  output.flush();
  EXPECT_EQ(take(), long_line + "before\n" + long_line);
}

TEST_F(LineOutputTest, WithoutABlockLinesAreRefusedUntilOneComesBack) {
  const std::string line(kLineBlockBytes - 100, 'x');
  for (uint32_t i = 0; i < kBlocks; i++) ASSERT_TRUE(write(line)) << i;
  EXPECT_FALSE(write("lost\n"));
  EXPECT_FALSE(write("lost\n"));
  LineBlock* block = nullptr;
  ASSERT_TRUE(queue.try_dequeue(block));
  output.give_back(block);
  EXPECT_TRUE(write("found\n"));
  output.flush();
  EXPECT_EQ(take().size(), line.size() * (kBlocks - 1) + 6);
}

TEST_F(LineOutputTest, WhileTheReaderPausesBlocksLeaveFull) {
  // A line at a time, as at a moderate rate: each would take a block of its own along.
  const std::string line(1000, 'l');
  const uint64_t room = uint64_t{kBlocks - LineOutput::kBlocksAhead} * kLineBlockBytes * 7 / 8;
  for (uint64_t i = 0; i < room / line.size(); i++) {
    ASSERT_TRUE(write(line)) << i;
    output.flush_when_idle();
    if (i < LineOutput::kBlocksAhead) {
      ASSERT_FALSE(output.has_unsent()) << i;
    }
  }
  EXPECT_TRUE(output.has_unsent());
  // The reader goes on: what waited leaves with the next question.
  take();
  output.flush_when_idle();
  EXPECT_FALSE(output.has_unsent());
  EXPECT_FALSE(take().empty());
}

TEST_F(LineOutputTest, LongLinesDoNotGoBeyondThePool) {
  const std::string long_line(kLineBlockBytes * 2, 'x');
  uint32_t written = 0;
  while (written < 1000 && write(long_line)) written++;
  EXPECT_EQ(written, kBlocks);
  EXPECT_EQ(take().size(), long_line.size() * written);
  for (uint32_t i = 0; i < kBlocks; i++) EXPECT_TRUE(write(long_line)) << i;
}

TEST_F(LineOutputTest, ALongLineIsChargedForItsLongestAndThenForWhatItIs) {
  constexpr size_t kMost = kLineBlockBytes * 10;
  const std::string line(kLineBlockBytes * 3, 'x');
  ASSERT_TRUE(output.can_hold(kMost));
  ASSERT_TRUE(output.begin_line(kMost));
  append(output, line);
  EXPECT_EQ(memory.used_bytes(), kMost);
  output.end_line(1, 5, 0);
  EXPECT_EQ(memory.used_bytes(), line.size());
  EXPECT_EQ(take(), line);
}

TEST_F(LineOutputTest, TheMemoryOfSomeLongLinesIsKeptUntilMemoryIsShort) {
  constexpr size_t kKept = LineOutput::kSparesMax;
  const std::string line(kLineBlockBytes * 3, 'x');
  for (size_t i = 0; i < kKept + 2; i++) write(line);
  EXPECT_EQ(output.charged_bytes(), (kKept + 2) * line.size());
  take();
  output.collect();
  EXPECT_EQ(output.charged_bytes(), kKept * line.size());
  write(line);
  EXPECT_EQ(output.charged_bytes(), kKept * line.size());
  take();
  output.collect();
  const size_t all = memory.limit_bytes() - memory.limit_bytes() / 16;
  EXPECT_EQ(output.begin_long_line(all + 1), LineOutput::Room::kNever);
  EXPECT_EQ(memory.used_bytes(), 0u);
}

TEST_F(LineOutputTest, ALineThatMayGetLongAndDoesNotTakesNoMemory) {
  ASSERT_TRUE(output.begin_line(kLineBlockBytes * 10));
  append(output, std::string(kLineBlockBytes / 2, 'x'));
  EXPECT_EQ(memory.used_bytes(), 0u);
  output.end_line(1, 5, 0);
}

// Where it may not fit what is left of the last block.
TEST_F(LineOutputTest, ALineIsNotBegunWithoutABlockThatItSurelyFits) {
  const std::string line(kLineBlockBytes - 100, 'x');
  for (uint32_t i = 0; i < kBlocks - 1; i++) write(line);
  write("short\n");
  EXPECT_FALSE(output.begin_line(kLineBlockBytes));
  EXPECT_EQ(memory.used_bytes(), 0u);
  EXPECT_EQ(take().size(), line.size() * (kBlocks - 1) + 6);
}

TEST_F(LineOutputTest, ALineLongerThanItWasSaidToGetIsFinished) {
  const std::string line(kLineBlockBytes * 5, 'x');
  write("before\n");
  ASSERT_TRUE(output.begin_line(100));
  append(output, line);
  output.end_line(1, 5, 0);
  EXPECT_EQ(output.charged_bytes(), line.size());
  EXPECT_EQ(take(), "before\n" + line);
}

TEST_F(LineOutputTest, LinesOfEverySizeComeWholeAndInOrder) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::string expected;
    std::string got;
    for (int i = 0; i < 40; i++) {
      const size_t most = random() % 4 == 0 ? kLineBlockBytes * 2 : 5000;
      std::string line(1 + random() % most, static_cast<char>('a' + i % 26));
      line += '\n';
      ASSERT_TRUE(write(line, 1 + random() % 50'000));
      expected += line;
      if (random() % 3 == 0) output.flush();
      got += take();
    }
    output.flush();
    got += take();
    ASSERT_TRUE(got == expected);
  }
}

constexpr uint32_t kBlocks = LineOutput::kBlocksForWaiting;

TEST(LineOutputWaiting, AShardWaitsForABlockAndGoesOn) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput output(queue, memory, {true, kBlocks});
  constexpr uint64_t kLines = 100;
  const std::string line(kLineBlockBytes / 2, 'x');
  std::thread shard([&] {
    for (uint64_t i = 0; i < kLines; i++) {
      ASSERT_TRUE(output.begin_line(line.size()));
      LineOutputTest::append(output, line);
      output.end_line(1, 0, 0);
    }
    output.flush();
  });
  uint64_t messages = 0;
  while (messages < kLines) {
    LineBlock* block = nullptr;
    queue.wait_dequeue(block);
    messages += block->messages;
    output.give_back(block);
  }
  shard.join();
  EXPECT_EQ(messages, kLines);
}

TEST(LineOutputWaiting, AbandonEndsTheWaitAndTheLinesAreLost) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput output(queue, memory, {true, kBlocks});
  const std::string line(kLineBlockBytes - 100, 'x');
  std::atomic<uint32_t> written{0};
  std::thread shard([&] {
    for (uint32_t i = 0; i < kBlocks + 5; i++) {
      if (!output.begin_line(line.size())) continue;
      LineOutputTest::append(output, line);
      output.end_line(1, 0, 0);
      written++;
    }
  });
  output.abandon();
  shard.join();
  EXPECT_LE(written, kBlocks);
  LineBlock* block = nullptr;
  while (queue.try_dequeue(block)) output.give_back(block);
}

}  // namespace
}  // namespace tcp_sniffer::line_output_test
