#include "core/http/body_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer {
namespace {

using Front = BodyMemory::Front;

struct BodyMemoryTest : testing::Test {
  BufferPool pool{size_t{8} << 20};
  BodyMemory body;

  ~BodyMemoryTest() override {
    body.release(pool);
    EXPECT_EQ(pool.used_bytes(), 0u);
  }
  size_t front() const {
    return static_cast<size_t>(body.text().data() - reinterpret_cast<char*>(body.memory.data));
  }
};

TEST_F(BodyMemoryTest, ALargeBodyHasRoomBeforeItAndASmallOneNone) {
  ASSERT_TRUE(body.reserve(pool, kLargeBody - 1, Front::kPreferred));
  EXPECT_EQ(front(), 0u);
  ASSERT_TRUE(body.reserve(pool, kLargeBody + 1, Front::kPreferred));
  EXPECT_EQ(front(), kBodyFront);
  ASSERT_TRUE(body.reserve(pool, kLargeBody + 1, Front::kNone));
  EXPECT_EQ(front(), 0u);
}

TEST_F(BodyMemoryTest, RoomBeforeItCostsALargerBufferOnlyWhileMemoryIsPlentiful) {
  ASSERT_TRUE(body.reserve(pool, 2 * kLargeBody, Front::kPreferred));
  EXPECT_EQ(front(), kBodyFront);
  Buffer others = pool.allocate(size_t{2} << 20);
  for (const size_t size : {2 * kLargeBody - kBodyFront, 2 * kLargeBody - kBodyFront + 1,
                            2 * kLargeBody, 2 * kLargeBody + 1}) {
    ASSERT_TRUE(body.reserve(pool, size, Front::kPreferred));
    EXPECT_EQ(body.memory.capacity, BufferPool::capacity_of(size));
    EXPECT_EQ(front() > 0, BufferPool::capacity_of(size + kBodyFront) == body.memory.capacity);
    EXPECT_GE(body.room(), size);
  }
  pool.release(others);
}

TEST_F(BodyMemoryTest, RoomBeforeItMayBeWantedOnlyWhereItIsFree) {
  ASSERT_TRUE(body.reserve(pool, 2 * kLargeBody, Front::kWhereFree));
  EXPECT_EQ(front(), 0u);
  ASSERT_TRUE(body.reserve(pool, 2 * kLargeBody - kBodyFront, Front::kWhereFree));
  EXPECT_EQ(front(), kBodyFront);
}

TEST_F(BodyMemoryTest, TheBytesStayWhenItGrows) {
  std::string all;
  for (const size_t size : {100u, 70'000u, 129'000u, 131'072u, 300'000u}) {
    ASSERT_TRUE(body.reserve(pool, size, Front::kPreferred));
    const std::string more(size - all.size(), static_cast<char>('a' + all.size() % 26));
    body.append(more);
    all += more;
    EXPECT_TRUE(body.text() == all);
  }
  body.cut(1000);
  EXPECT_TRUE(body.text() == all.substr(0, 1000));
  body.append("more");
  EXPECT_TRUE(body.text() == all.substr(0, 1000) + "more");
}

TEST_F(BodyMemoryTest, TheFrontOfItCanBeTakenAway) {
  ASSERT_TRUE(body.reserve(pool, kLargeBody + 10, Front::kPreferred));
  body.append(std::string(kLargeBody, 'a') + "the rest");
  body.remove_front(pool, kLargeBody);
  EXPECT_EQ(body.text(), "the rest");
  EXPECT_LT(pool.used_bytes(), kLargeBody);
}

TEST_F(BodyMemoryTest, WithoutABodyNoMemoryIsLeft) {
  ASSERT_TRUE(body.reserve(pool, 1000, Front::kPreferred));
  body.append("all");
  body.remove_front(pool, 3);
  EXPECT_EQ(body.text(), "");
  EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST_F(BodyMemoryTest, TheFrontOfItCanBeTakenAwayWithoutMemory) {
  BufferPool little(kLargeBody * 2);
  BodyMemory large;
  ASSERT_TRUE(large.reserve(little, kLargeBody + 10, Front::kPreferred));
  large.append(std::string(kLargeBody, 'a') + "the rest");
  large.remove_front(little, kLargeBody);
  EXPECT_EQ(large.text(), "the rest");
  large.release(little);
}

TEST_F(BodyMemoryTest, WithoutMemoryNothingChanges) {
  ASSERT_TRUE(body.reserve(pool, 1000, Front::kPreferred));
  body.append("kept");
  EXPECT_FALSE(body.reserve(pool, size_t{16} << 20, Front::kPreferred));
  EXPECT_EQ(body.text(), "kept");
}

}  // namespace
}  // namespace tcp_sniffer
