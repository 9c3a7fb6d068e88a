#include "core/tcp/reorder_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/limits.h"

namespace tcp_sniffer::reorder_buffer_test {
namespace {

constexpr size_t kPlenty = size_t{64} << 20;
constexpr uint64_t kCapacityMax = 1u << 20;

std::span<const uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct ReorderBufferTest : testing::Test {
  BufferPool pool{kPlenty};
  ReorderBuffer buffer{pool};

  ReorderBuffer::Result insert(uint64_t offset, std::string_view text, uint64_t head = 0,
                               uint64_t lost = 0) {
    SegmentMeta meta;
    meta.frame = offset;
    return buffer.insert(offset, as_bytes(text), lost, head, meta, kCapacityMax);
  }

  // Takes everything up to the next hole, a stretch in brackets for each segment, lost bytes as
  // '?'.
  std::string take() {
    std::string taken;
    if (buffer.empty()) return taken;
    for (uint64_t at = buffer.front(); !buffer.empty() && buffer.front() == at;) {
      const ReorderBuffer::Run run = buffer.front_run();
      taken += '[';
      taken += run.lost ? std::string(run.size, '?')
                        : std::string(reinterpret_cast<const char*>(run.data), run.size);
      taken += ']';
      at += run.size;
      buffer.consume(run.size);
    }
    return taken;
  }
};

TEST_F(ReorderBufferTest, KeepsWhatLiesBehindAHole) {
  const auto result = insert(10, "abc");
  EXPECT_FALSE(result.full);
  EXPECT_EQ(result.accepted, 3u);
  EXPECT_EQ(result.duplicate, 0u);
  EXPECT_EQ(buffer.front(), 10u);
  EXPECT_EQ(buffer.front_end(), 13u);
  EXPECT_EQ(buffer.buffered_bytes(), 3u);
  EXPECT_EQ(take(), "[abc]");
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.buffered_bytes(), 0u);
}

TEST_F(ReorderBufferTest, NeighboursBecomeOneRangeInEitherOrder) {
  insert(13, "def");
  insert(10, "abc");
  insert(16, "ghi");
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(take(), "[abc][def][ghi]");
}

TEST_F(ReorderBufferTest, TheFirstCopyOfAByteWins) {
  insert(12, "CDE");
  const auto result = insert(10, "abXdYfg");
  EXPECT_EQ(result.accepted, 4u);
  EXPECT_EQ(result.duplicate, 3u);
  EXPECT_EQ(result.conflicting, 3u);
  EXPECT_EQ(take(), "[ab][CDE][fg]");
}

TEST_F(ReorderBufferTest, ASegmentOverSeveralRangesOnlyFillsTheHolesBetween) {
  insert(2, "c");
  insert(5, "f");
  insert(8, "i");
  const auto result = insert(0, "abcdefghij");
  EXPECT_EQ(result.accepted, 7u);
  EXPECT_EQ(result.duplicate, 3u);
  EXPECT_EQ(result.conflicting, 0u);
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(take(), "[ab][c][de][f][gh][i][j]");
}

TEST_F(ReorderBufferTest, ASegmentTakenInPartsKeepsItsPlace) {
  insert(10, "abcdef");
  buffer.consume(2);
  EXPECT_EQ(buffer.front(), 12u);
  EXPECT_EQ(buffer.buffered_bytes(), 4u);
  const auto run = buffer.front_run();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(run.data), run.size), "cdef");
  EXPECT_EQ(run.meta.frame, 10u);
}

TEST_F(ReorderBufferTest, BytesTheSnaplenCutOffAreARunOfTheirOwn) {
  const auto result = insert(10, "ab", 0, 3);
  EXPECT_EQ(result.accepted, 2u);
  insert(15, "fg");
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(buffer.buffered_bytes(), 4u);
  EXPECT_EQ(take(), "[ab][???][fg]");
}

TEST_F(ReorderBufferTest, CutOffBytesAreTakenFromALaterCopy) {
  insert(10, "ab", 0, 2);
  insert(14, "ef");
  const auto result = insert(10, "aXcdeY");
  EXPECT_EQ(result.accepted, 2u);
  EXPECT_EQ(result.duplicate, 4u);
  EXPECT_EQ(result.conflicting, 2u);
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(take(), "[ab][cd][ef]");
}

TEST_F(ReorderBufferTest, OfCutOffBytesThoseThatDidNotComeAgainStayCutOff) {
  insert(10, "ab", 0, 8);
  EXPECT_EQ(insert(14, "ef").accepted, 2u);
  EXPECT_EQ(insert(19, "jk").accepted, 2u);
  EXPECT_EQ(insert(12, "c").accepted, 1u);
  buffer.check_invariants();
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(buffer.buffered_bytes(), 7u);
  EXPECT_EQ(take(), "[ab][c][?][ef][???][j][k]");
}

TEST_F(ReorderBufferTest, EverySegmentKeepsWhatIsRememberedOfIt) {
  SegmentMeta early;
  early.time_ns = 1;
  early.frame = 7;
  early.acknowledged = 70;
  SegmentMeta late;
  late.time_ns = 2;
  late.frame = 8;
  late.acknowledged = 80;
  buffer.insert(10, as_bytes("cd"), 0, 0, early, kCapacityMax);
  buffer.insert(8, as_bytes("abcdef"), 0, 0, late, kCapacityMax);
  EXPECT_EQ(buffer.front_run().meta.frame, 8u);
  buffer.consume(2);
  EXPECT_EQ(buffer.front_run().meta.frame, 7u);
  EXPECT_EQ(buffer.front_run().meta.time_ns, 1);
  EXPECT_EQ(buffer.front_run().meta.acknowledged, 70u);
  buffer.consume(2);
  EXPECT_EQ(buffer.front_run().meta.frame, 8u);
}

TEST_F(ReorderBufferTest, AnEmptiedBufferIsUsedAgainWhereTheHeadStands) {
  const std::string kilobyte(1024, 'x');
  uint64_t head = 0;
  for (uint64_t at = 1024; at < (40u << 20); at += 2048) {
    const auto result = insert(at, kilobyte, head);
    ASSERT_FALSE(result.full);
    ASSERT_FALSE(result.rotated);
    take();
    head = at + 1024;
  }
  EXPECT_LE(pool.used_bytes(), 16u << 10);
}

TEST_F(ReorderBufferTest, RotationCopiesALimitedNumberOfBytesPerByte) {
  // A window of 60 KiB that moves on by a segment at a time, its first segment always missing.
  const std::string segment(1024, 'x');
  for (uint64_t i = 1; i < 60; i++) insert(i * 1024, segment);
  uint64_t rotations = 0;
  constexpr uint64_t kSegments = 10000;
  for (uint64_t i = 60; i < kSegments; i++) {
    const uint64_t head = (i - 59) * 1024;
    buffer.consume(buffer.front_run().size);
    rotations += insert(i * 1024, segment, head).rotated;
  }
  EXPECT_GT(rotations, 0u);
  EXPECT_LT(rotations, kSegments / 14);
  EXPECT_LE(pool.used_bytes(), 192u << 10);
}

// Five megabytes behind a hole, of which the oldest leave as the newest come.
TEST_F(ReorderBufferTest, RotationIsRareWhereTheBufferIsNearlyFull) {
  constexpr uint64_t kSpan = 4u << 20;
  const std::string segment(730, 'x');
  uint64_t rotations = 0;
  uint64_t at = 100;
  for (; at + segment.size() <= kSpan; at += segment.size()) {
    ASSERT_FALSE(buffer.insert(at, as_bytes(segment), 0, 0, {}, kSpan).full);
  }
  for (const uint64_t end = at + 5'000'000; at < end; at += segment.size()) {
    buffer.consume(buffer.front_run().size);
    const auto result = buffer.insert(at, as_bytes(segment), 0, buffer.front(), {}, kSpan);
    ASSERT_FALSE(result.full);
    rotations += result.rotated;
  }
  EXPECT_GE(rotations, 1u);
  EXPECT_LE(rotations, 5u);
  EXPECT_LE(buffer.held_bytes(), 9u << 20);
}

// What is charged is what is stored, not how far ahead it lies.
TEST_F(ReorderBufferTest, TwoBytesFarAheadTakeTheMemoryOfTwoBytes) {
  ASSERT_FALSE(insert(kCapacityMax - 2, "ab").full);
  EXPECT_LE(pool.used_bytes(), 4 * BufferPool::kSizeMin);
  EXPECT_EQ(buffer.held_bytes(), pool.used_bytes());
  ASSERT_FALSE(insert(1, "cd").full);
  EXPECT_LE(pool.used_bytes(), 4 * BufferPool::kSizeMin);
  EXPECT_EQ(take(), "[cd]");
}

TEST_F(ReorderBufferTest, TheMostSegmentsInAnyOrderTakeAFewHundredBytesEach) {
  for (uint64_t i = 0; i < 5000; i++) ASSERT_FALSE(insert(20'000 - 2 * i, "ab").full);
  EXPECT_LE(pool.used_bytes(), 5000u * 110);
  buffer.check_invariants();
  EXPECT_EQ(buffer.range_count(), 1u);
  EXPECT_EQ(take().size(), 5000u * 4);
}

TEST_F(ReorderBufferTest, RefusesWhatReachesBeyondTheCapacityAndKeepsTheRest) {
  BufferPool small_pool(kPlenty);
  ReorderBuffer small(small_pool);
  const std::string text(1000, 'x');
  EXPECT_FALSE(small.insert(100, as_bytes(text), 0, 0, {}, 5000).full);
  EXPECT_TRUE(small.insert(4001, as_bytes(text), 0, 0, {}, 5000).full);
  EXPECT_FALSE(small.insert(4000, as_bytes(text), 0, 0, {}, 5000).full);
  EXPECT_TRUE(small.insert(5000, as_bytes("x"), 0, 0, {}, 5000).full);
  EXPECT_EQ(small.buffered_bytes(), 2000u);
  EXPECT_EQ(small.range_count(), 2u);
  EXPECT_FALSE(small.insert(5000, as_bytes("x"), 0, 1, {}, 5000).full);
}

TEST_F(ReorderBufferTest, BehindTheMostRangesNoNewRangeIsTakenButHolesAreFilled) {
  for (uint64_t i = 0; i < kRangesMax; i++) ASSERT_FALSE(insert(1 + i * 4, "ab").full) << i;
  EXPECT_EQ(buffer.range_count(), kRangesMax);
  EXPECT_TRUE(insert(1 + kRangesMax * 4, "ab").full);
  EXPECT_EQ(buffer.range_count(), kRangesMax);
  EXPECT_FALSE(insert(0, "xabyz").full);
  EXPECT_EQ(buffer.range_count(), kRangesMax - 1);
  EXPECT_FALSE(insert(1 + kRangesMax * 4, "ab").full);
  EXPECT_EQ(take(), "[x][ab][yz][ab]");
}

TEST_F(ReorderBufferTest, NoMoreSegmentsAreRememberedThanTheMost) {
  uint64_t at = 1;
  while (at < 2 * kMarksMax && !insert(at, "a").full) at++;
  EXPECT_LE(at, kMarksMax + 1);
  EXPECT_GE(at, kMarksMax - 1);
  const std::string kept = take();
  EXPECT_EQ(kept.size(), 3 * (at - 1));
  EXPECT_FALSE(insert(at, "a", at).full);
}

TEST_F(ReorderBufferTest, MarksOfDeliveredSegmentsAreUsedAgain) {
  insert(1, "ab");
  for (uint64_t at = 3; at < 200'000; at += 2) {
    ASSERT_FALSE(insert(at, "ab", at - 2).full);
    buffer.consume(2);
  }
  EXPECT_LE(pool.used_bytes(), 4096u);
}

TEST(ReorderBufferMemory, ARefusalOfMemoryChangesNothing) {
  const std::string text(4096, 'x');
  for (size_t limit = 0; limit < 32768; limit += 256) {
    BufferPool pool(limit);
    ReorderBuffer buffer(pool);
    uint64_t taken = 0;
    for (uint64_t i = 0; i < 8; i++) {
      const uint32_t ranges = buffer.range_count();
      const uint64_t bytes = buffer.buffered_bytes();
      const auto result = buffer.insert(1 + i * 5000, as_bytes(text), 0, 0, {}, kCapacityMax);
      if (result.full) {
        EXPECT_EQ(buffer.range_count(), ranges);
        EXPECT_EQ(buffer.buffered_bytes(), bytes);
        EXPECT_EQ(result.accepted, 0u);
      } else {
        taken += 4096;
      }
      EXPECT_LE(pool.used_bytes(), limit);
    }
    EXPECT_EQ(buffer.buffered_bytes(), taken);
  }
}

TEST(ReorderBufferMemory, GivesEverythingBack) {
  BufferPool pool(kPlenty);
  {
    ReorderBuffer buffer(pool);
    buffer.insert(100, as_bytes("abc"), 5, 0, {}, kCapacityMax);
    EXPECT_GT(pool.used_bytes(), 0u);
  }
  EXPECT_EQ(pool.used_bytes(), 0u);
}

}  // namespace
}  // namespace tcp_sniffer::reorder_buffer_test
