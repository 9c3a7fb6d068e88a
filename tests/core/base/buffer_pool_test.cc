#include "core/base/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace tcp_sniffer::buffer_pool_test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(BufferPool, GivesPowersOfTwo) {
  BufferPool pool(kMiB);
  using Sizes = std::pair<size_t, size_t>;
  for (const auto& [size, capacity] : {Sizes{0, 256},
                                       {1, 256},
                                       {256, 256},
                                       {257, 512},
                                       {1000, 1024},
                                       {1024, 1024},
                                       {1025, 2048}}) {
    Buffer buffer = pool.allocate(size);
    EXPECT_EQ(buffer.capacity, capacity) << size;
    EXPECT_EQ(BufferPool::capacity_of(size), capacity) << size;
    EXPECT_EQ(pool.used_bytes(), capacity);
    std::memset(buffer.data, 1, buffer.capacity);
    pool.release(buffer);
  }
  EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST(BufferPool, AReleasedHandleIsEmptyAndMayBeReleasedAgain) {
  BufferPool pool(kMiB);
  Buffer buffer = pool.allocate(100);
  pool.release(buffer);
  EXPECT_FALSE(buffer);
  EXPECT_EQ(buffer.capacity, 0u);
  pool.release(buffer);
  EXPECT_EQ(pool.used_bytes(), 0u);
}

TEST(BufferPool, AReleasedBufferIsTakenAgain) {
  BufferPool pool(kMiB);
  Buffer buffer = pool.allocate(1000);
  const uint8_t* const data = buffer.data;
  pool.release(buffer);
  buffer = pool.allocate(600);
  EXPECT_EQ(buffer.data, data);
  pool.release(buffer);
}

TEST(BufferPool, RefusesWhatIsBeyondTheLimitAndCountsIt) {
  BufferPool pool(1024);
  Buffer first = pool.allocate(512);
  Buffer second = pool.allocate(512);
  EXPECT_TRUE(second);
  EXPECT_FALSE(pool.allocate(1));
  EXPECT_EQ(pool.refusals(), 1u);
  pool.release(first);
  Buffer third = pool.allocate(512);
  EXPECT_TRUE(third);
  pool.release(second);
  pool.release(third);
}

TEST(BufferPool, RefusesWhatNoBufferCanHold) {
  BufferPool pool(~size_t{0});
  EXPECT_FALSE(pool.allocate(BufferPool::kSizeMax + 1));
  EXPECT_FALSE(pool.allocate(~size_t{0}));
  for (const bool small : {false, true}) {
    EXPECT_FALSE(pool.spares(BufferPool::kSizeMax + 1, small));
    EXPECT_FALSE(pool.spares(~size_t{0}, small));
  }
}

// Sizes of which half does not fit 32 bits. The memory is never touched.
TEST(BufferPool, GivesBuffersOfGibibytes) {
  BufferPool pool(size_t{16} << 30);
  for (const size_t size : {(size_t{1} << 31) + 1, BufferPool::kSizeMax}) {
    EXPECT_EQ(BufferPool::capacity_of(size), BufferPool::kSizeMax);
    EXPECT_TRUE(pool.spares(size, false));
    Buffer buffer = pool.allocate(size);
    if (!buffer) continue;  // the machine has no such memory
    EXPECT_EQ(buffer.capacity, BufferPool::kSizeMax);
    EXPECT_EQ(pool.used_bytes(), BufferPool::kSizeMax);
    pool.release(buffer);
    EXPECT_EQ(pool.used_bytes(), 0u);
  }
}

TEST(BufferPool, IdleBuffersMakeRoomForOtherSizes) {
  BufferPool pool(4096);
  std::vector<Buffer> small(16);
  for (Buffer& buffer : small) ASSERT_TRUE(buffer = pool.allocate(256));
  for (Buffer& buffer : small) pool.release(buffer);
  Buffer large = pool.allocate(4096);
  EXPECT_TRUE(large);
  EXPECT_EQ(pool.refusals(), 0u);
  pool.release(large);
}

// The memory is never touched but for the links of idle buffers.
TEST(BufferPool, KeepsIdleInProportionToWhatIsInUse) {
  BufferPool pool(kMiB * 1024);
  std::vector<Buffer> bodies(64);
  for (Buffer& body : bodies) ASSERT_TRUE(body = pool.allocate(kMiB));
  for (size_t released = 1; released <= 21; released++) {
    pool.release(bodies[64 - released]);
    EXPECT_EQ(pool.idle_bytes(), released * kMiB);
    pool.check_invariants();
  }
  for (size_t left = 43; left-- > 0;) {
    pool.release(bodies[left]);
    EXPECT_LE(pool.idle_bytes(), std::max<size_t>(16, left / 2) * kMiB);
    pool.check_invariants();
  }
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_EQ(pool.idle_bytes(), 16 * kMiB);
}

TEST(BufferPool, WhatOthersGiveBackLetsIdleBuffersGo) {
  BufferPool pool(kMiB * 1024);
  ASSERT_TRUE(pool.charge(100 * kMiB));
  std::vector<Buffer> bodies(40);
  for (Buffer& body : bodies) ASSERT_TRUE(body = pool.allocate(kMiB));
  for (Buffer& body : bodies) pool.release(body);
  EXPECT_EQ(pool.idle_bytes(), 40 * kMiB);
  pool.uncharge(100 * kMiB);
  EXPECT_EQ(pool.idle_bytes(), 16 * kMiB);
  pool.check_invariants();
}

TEST(BufferPool, GrowingKeepsTheBytesInUse) {
  BufferPool pool(kMiB);
  Buffer buffer = pool.allocate(256);
  std::memset(buffer.data, 'a', 200);
  ASSERT_TRUE(pool.grow(buffer, 5000, 200));
  EXPECT_EQ(buffer.capacity, 8192u);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(buffer.data), 200), std::string(200, 'a'));
  EXPECT_EQ(pool.used_bytes(), 8192u);
  const uint8_t* const data = buffer.data;
  ASSERT_TRUE(pool.grow(buffer, 8192, 200));
  EXPECT_EQ(buffer.data, data);
  pool.release(buffer);
}

TEST(BufferPool, GrowingFromNothingIsTaking) {
  BufferPool pool(kMiB);
  Buffer buffer;
  ASSERT_TRUE(pool.grow(buffer, 10, 0));
  EXPECT_EQ(buffer.capacity, 256u);
  pool.release(buffer);
}

TEST(BufferPool, ABufferThatCanNotGrowStaysAsItIs) {
  BufferPool pool(1024);
  Buffer buffer = pool.allocate(512);
  buffer.data[511] = 7;
  EXPECT_FALSE(pool.grow(buffer, 1024, 512));
  EXPECT_EQ(buffer.capacity, 512u);
  EXPECT_EQ(buffer.data[511], 7);
  EXPECT_EQ(pool.used_bytes(), 512u);
  pool.release(buffer);
}

// Memory runs short in a stated order.
TEST(BufferPool, LargeBodiesLeaveMoreThanSmallOnes) {
  BufferPool pool(64 * 1024);
  Buffer most = pool.allocate(32 * 1024);
  Buffer more = pool.allocate(16 * 1024);
  EXPECT_TRUE(pool.spares(8 * 1024, false));
  EXPECT_FALSE(pool.spares(8 * 1024 + 1, false));
  Buffer rest = pool.allocate(8 * 1024);
  EXPECT_FALSE(pool.spares(256, false));
  EXPECT_TRUE(pool.spares(4 * 1024, true));
  EXPECT_FALSE(pool.spares(4 * 1024 + 1, true));
  EXPECT_FALSE(pool.exhausted());
  Buffer last = pool.allocate(8 * 1024);
  EXPECT_TRUE(pool.exhausted());
  for (Buffer* buffer : {&most, &more, &rest, &last}) pool.release(*buffer);
}

TEST(BufferPool, IsPlentifulUntilAQuarterIsInUse) {
  BufferPool pool(size_t{1} << 20);
  EXPECT_TRUE(pool.has_plenty(size_t{256} << 10));
  EXPECT_FALSE(pool.has_plenty((size_t{256} << 10) + 1));
  EXPECT_FALSE(pool.has_plenty(BufferPool::kSizeMax + 1));
  Buffer buffer = pool.allocate(1);
  EXPECT_TRUE(pool.has_plenty(size_t{128} << 10));
  EXPECT_FALSE(pool.has_plenty(size_t{256} << 10));
  pool.release(buffer);
}

TEST(BufferPool, IsShortAfterARefusalUntilAQuarterIsFree) {
  BufferPool pool(4096);
  std::vector<Buffer> all(16);
  for (Buffer& buffer : all) ASSERT_TRUE(buffer = pool.allocate(256));
  EXPECT_FALSE(pool.is_short());
  EXPECT_FALSE(pool.allocate(256));
  EXPECT_TRUE(pool.is_short());
  for (size_t i = 0; i < 3; i++) pool.release(all[i]);
  EXPECT_TRUE(pool.is_short());
  pool.release(all[3]);
  EXPECT_FALSE(pool.is_short());
  for (Buffer& buffer : all) pool.release(buffer);
}

TEST(BufferPool, NeverHasMoreThanItsLimit) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const size_t limit = 1024 + random() % 100'000;
    BufferPool pool(limit);
    std::vector<Buffer> held;
    size_t used = 0;
    for (int step = 0; step < 300; step++) {
      const size_t size = random() % 20'000;
      if (held.empty() || random() % 3 != 0) {
        Buffer buffer = pool.allocate(size);
        const bool fits = used + BufferPool::capacity_of(size) <= limit;
        ASSERT_EQ(static_cast<bool>(buffer), fits);
        if (!buffer) continue;
        std::memset(buffer.data, static_cast<int>(step), buffer.capacity);
        used += buffer.capacity;
        held.push_back(buffer);
      } else {
        const size_t which = random() % held.size();
        used -= held[which].capacity;
        pool.release(held[which]);
        held.erase(held.begin() + static_cast<ptrdiff_t>(which));
      }
      pool.check_invariants();
      ASSERT_EQ(pool.used_bytes(), used);
      ASSERT_LE(used, limit);
    }
    for (Buffer& buffer : held) pool.release(buffer);
    ASSERT_EQ(pool.used_bytes(), 0u);
  }
}

}  // namespace
}  // namespace tcp_sniffer::buffer_pool_test
