#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "core/base/limits.h"
#include "core/message/message.h"
#include "shard/line_output.h"

// Bodies that go to the writer in the memory where they lie.
namespace tcp_sniffer::line_output_bodies_test {
namespace {

constexpr size_t kCapacity = size_t{128} << 10;

struct LineOutputBodies : testing::Test {
  LineQueue queue;
  BufferPool memory{size_t{64} << 20};
  LineOutput output{queue, memory, {.may_wait = false, .blocks_max = 4}};
  bool was_taken = false;

  ~LineOutputBodies() override {
    output.flush();
    take();
    output.collect();
    EXPECT_EQ(output.charged_bytes(), 0u);
    EXPECT_EQ(memory.used_bytes(), 0u);
  }

  static void append(LineOutput& to, std::string_view text) {
    char* out = to.reserve(text.size());
    std::memcpy(out, text.data(), text.size());
    to.commit(out + text.size());
  }
  bool write(std::string_view line) {
    if (!output.begin_line(line.size())) return false;
    append(output, line);
    output.end_line(1, 5, 0);
    return true;
  }
  // A line of `head`, a body of this size that begins at `front` of its buffer, and an end.
  bool write_body(std::string_view head, size_t front, size_t size, LineOutput& to) {
    Buffer buffer = memory.allocate(kCapacity);
    std::memset(buffer.data + front, 'b', size);
    const std::string_view body(reinterpret_cast<const char*>(buffer.data) + front, size);
    to.offer(&buffer);
    const bool is_begun = to.begin_line(head.size() + size + 8);
    if (is_begun) {
      append(to, head);
      was_taken = to.take_over(body);
      if (!was_taken) append(to, body);
      append(to, "end\n");
      to.end_line(1, 7, 0);
    }
    to.offer(nullptr);
    EXPECT_EQ(!buffer, is_begun && was_taken) << "whoever takes it leaves an empty one";
    memory.release(buffer);
    return is_begun;
  }
  bool write_body(std::string_view head, size_t front = kBodyFront, size_t size = kLargeBody) {
    return write_body(head, front, size, output);
  }
  static std::string line_of(std::string_view head, size_t size = kLargeBody) {
    return std::string(head) + std::string(size, 'b') + "end\n";
  }
  // Everything that was handed over; the blocks go back.
  std::string take() {
    std::string all;
    for (LineBlock* block = nullptr; queue.try_dequeue(block);) {
      all.append(block->data, block->used);
      messages += block->messages;
      blocks++;
      oldest_ns = block->oldest_ns;
      block->owner->give_back(block);
    }
    return all;
  }

  uint64_t messages = 0;
  uint64_t blocks = 0;
  int64_t oldest_ns = 0;
};

TEST_F(LineOutputBodies, ABodyGoesWithItsMemoryAndComesBack) {
  ASSERT_TRUE(write_body("head "));
  EXPECT_TRUE(was_taken);
  EXPECT_EQ(memory.used_bytes(), kCapacity);
  EXPECT_EQ(output.charged_bytes(), kCapacity);
  EXPECT_EQ(output.line_bytes(), line_of("head ").size());
  EXPECT_TRUE(take() == line_of("head "));
  EXPECT_EQ(messages, 1u);
  EXPECT_EQ(blocks, 1u) << "a line with such a body does not wait for others";
  output.collect();
  EXPECT_EQ(memory.used_bytes(), 0u);
}

TEST_F(LineOutputBodies, ABodyOfALineThatIsTakenBackGoesBackToThePool) {
  for (const bool is_cancelled : {true, false}) {
    LineOutput ending{queue, memory, {.may_wait = false, .blocks_max = 4}};
    Buffer buffer = memory.allocate(kCapacity);
    std::memset(buffer.data, 'b', kCapacity);
    ending.offer(&buffer);
    ASSERT_TRUE(ending.begin_line(kLargeBody + 8));
    ASSERT_TRUE(ending.take_over({reinterpret_cast<char*>(buffer.data) + kBodyFront, kLargeBody}));
    EXPECT_EQ(memory.used_bytes(), kCapacity);
    if (!is_cancelled) continue;  // the run ends within the line
    ending.cancel_line();
    EXPECT_EQ(memory.used_bytes(), 0u);
  }
  EXPECT_EQ(memory.used_bytes(), 0u);
}

TEST_F(LineOutputBodies, LinesBeforeItGoInTheSameBlock) {
  write("one\n");
  write("two\n");
  ASSERT_TRUE(write_body("head "));
  write("three\n");
  output.flush();
  EXPECT_TRUE(take() == "one\ntwo\n" + line_of("head ") + "three\n");
  EXPECT_EQ(messages, 4u);
  EXPECT_EQ(blocks, 2u);
  EXPECT_EQ(oldest_ns, 5);
}

TEST_F(LineOutputBodies, LinesBeforeItThatDoNotFitInFrontGoFirst) {
  const std::string before(kBodyFront, 'a');
  write(before);
  ASSERT_TRUE(write_body("head "));
  EXPECT_TRUE(was_taken);
  EXPECT_TRUE(take() == before + line_of("head "));
  EXPECT_EQ(messages, 2u);
  EXPECT_EQ(blocks, 2u);
}

TEST_F(LineOutputBodies, TheHeadMayFillTheRoomInFront) {
  const std::string head(kBodyFront, 'h');
  ASSERT_TRUE(write_body(head));
  EXPECT_TRUE(was_taken);
  EXPECT_TRUE(take() == line_of(head));
}

TEST_F(LineOutputBodies, ABodyThatCanNotGoIsCopied) {
  ASSERT_TRUE(write_body(std::string(kBodyFront + 1, 'h')));
  EXPECT_FALSE(was_taken) << "the head is longer than the room in front";
  ASSERT_TRUE(write_body("head ", 0));
  EXPECT_FALSE(was_taken) << "there is no room in front";
  ASSERT_TRUE(write_body("head ", kBodyFront, kLargeBody - 1));
  EXPECT_FALSE(was_taken) << "it is small";
  ASSERT_TRUE(write_body("head ", kBodyFront, kCapacity - kBodyFront));
  EXPECT_FALSE(was_taken) << "there is no room for what follows it";
  output.flush();
  take();
  EXPECT_EQ(messages, 4u);
}

TEST_F(LineOutputBodies, BytesThatLieElsewhereAreCopied) {
  const std::string elsewhere(kLargeBody, 'e');
  Buffer buffer = memory.allocate(kCapacity);
  for (Buffer* offered : {&buffer, static_cast<Buffer*>(nullptr)}) {
    output.offer(offered);
    ASSERT_TRUE(output.begin_line(kLargeBody));
    EXPECT_FALSE(output.take_over(elsewhere));
    output.cancel_line();
  }
  output.offer(nullptr);
  memory.release(buffer);
}

// Blocks with notes say more than bytes.
TEST_F(LineOutputBodies, WhereLinesAreNotedBodiesAreCopied) {
  for (const bool marks : {false, true}) {
    LineOutput noted(
        queue, memory,
        {.may_wait = false, .blocks_max = 4, .notes_records = !marks, .marks_lines = marks});
    ASSERT_TRUE(write_body("head ", kBodyFront, kLargeBody, noted));
    EXPECT_FALSE(was_taken);
    noted.flush();
    EXPECT_TRUE(take() == line_of("head "));
  }
}

TEST_F(LineOutputBodies, BodiesAtTheWriterAreBounded) {
  // A sixteenth of the memory.
  const size_t most = memory.limit_bytes() / 16 / kCapacity;
  for (size_t i = 0; i < most; i++) {
    ASSERT_TRUE(write_body("head "));
    EXPECT_TRUE(was_taken) << i;
  }
  ASSERT_TRUE(write_body("head "));
  EXPECT_FALSE(was_taken);
  EXPECT_EQ(take().size(), most * line_of("head ").size());
  ASSERT_TRUE(write_body("head "));
  EXPECT_TRUE(was_taken) << "those that came back make room";
}

// A block that leaves with few lines in it takes its whole room with it.
TEST_F(LineOutputBodies, WhileTheReaderPausesBlocksLeaveFull) {
  constexpr uint32_t kBlocks = 16;
  LineOutput live(queue, memory, {.may_wait = false, .blocks_max = kBlocks});
  const std::string before(kBodyFront + 1, 'a');
  size_t lines = 0;
  while (live.begin_line(before.size())) {
    append(live, before);
    live.end_line(1, 5, 0);
    if (!write_body("head ", kBodyFront, kLargeBody, live)) break;
    lines++;
  }
  // Three such pairs fit a block; half of the blocks may leave early, with none.
  EXPECT_GE(lines, size_t{kBlocks} / 2 * 3);
  live.flush();
  take();
  live.collect();
}

TEST_F(LineOutputBodies, WhereMemoryIsShortABodyIsCopiedUnlessTheCopyTakesMoreOfIt) {
  Buffer others = memory.allocate(memory.limit_bytes() / 2);
  Buffer more = memory.allocate(memory.limit_bytes() / 4);
  ASSERT_TRUE(write_body("head "));
  EXPECT_FALSE(was_taken);
  EXPECT_EQ(memory.used_bytes(), others.capacity + more.capacity);
  Buffer large = memory.allocate(size_t{512} << 10);
  const std::string_view body(reinterpret_cast<const char*>(large.data) + kBodyFront,
                              kLineBlockBytes);
  std::memset(large.data, 'b', large.capacity);
  output.offer(&large);
  ASSERT_TRUE(output.begin_line(kLineBlockBytes + 100));
  EXPECT_TRUE(output.take_over(body));
  output.end_line(1, 7, 0);
  output.offer(nullptr);
  output.flush();
  take();
  output.collect();
  memory.release(others);
  memory.release(more);
}

TEST_F(LineOutputBodies, AShardThatMayWaitWaitsForBodies) {
  constexpr size_t kLines = 500;
  LineOutput waiting(queue, memory, {.may_wait = true, .blocks_max = 4});
  std::string all;
  std::thread writer([&] {
    while (all.size() < kLines * line_of("head ").size()) {
      all += take();
      std::this_thread::yield();
    }
  });
  for (size_t i = 0; i < kLines; i++) {
    ASSERT_TRUE(write_body("head ", kBodyFront, kLargeBody, waiting));
    EXPECT_TRUE(was_taken) << i;
  }
  writer.join();
  EXPECT_EQ(messages, kLines);
  waiting.collect();
  EXPECT_EQ(waiting.charged_bytes(), 0u);
}

TEST_F(LineOutputBodies, AbandonEndsTheWaitForBodies) {
  LineOutput waiting(queue, memory, {.may_wait = true, .blocks_max = 4});
  const size_t most = memory.limit_bytes() / 16 / kCapacity;
  for (size_t i = 0; i < most; i++) write_body("head ", kBodyFront, kLargeBody, waiting);
  std::thread other([&] {
    while (!waiting.waits()) std::this_thread::yield();
    waiting.abandon();
  });
  write_body("head ", kBodyFront, kLargeBody, waiting);
  EXPECT_FALSE(was_taken);
  other.join();
  waiting.flush();
  take();
}

}  // namespace
}  // namespace tcp_sniffer::line_output_bodies_test
