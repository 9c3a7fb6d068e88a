// The work of a packet does not grow with what has been, with who else is there, or with how badly
// the traffic is arranged. What can be counted is counted; where only time can show it, it is the
// thread's own, the best of three, and a factor of ten is allowed for caches and busy machines:
// work that grew with the size would show as a factor of a hundred and more.

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "../../bench/prepared_connections.h"
#include "support/reassembler_wire.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::scaling_test {
namespace {

constexpr double kFactor = 10;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint32_t kManyConnections = 100'000;
#else
constexpr uint32_t kManyConnections = 1'000'000;
#endif

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The least time that one of three calls takes.
template <class Work>
double least_seconds(Work work) {
  double least = 1e9;
  for (int i = 0; i < 3; i++) {
    const double before = thread_seconds();
    work();
    least = std::min(least, thread_seconds() - before);
  }
  return least;
}

// A shard with that many keep-alive connections, each with one exchange behind it.
class BusyShard {
 public:
  explicit BusyShard(uint32_t connections) : connections_(connections) {
    for (uint32_t i = 0; i < connections; i++) exchange(i);
    process();
  }
  // Exchanges on connections in random order.
  void exchanges(uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
      exchange(static_cast<uint32_t>(random_()) % connections_.count());
    process();
  }
  uint64_t count(ShardCounter counter) const { return shard_.counters().get(counter); }

 private:
  static ShardSettings settings() {
    ShardSettings made;
    made.connections_max = 2 * kManyConnections;
    return made;
  }
  void exchange(uint32_t connection) {
    if (block_->count + 2 > kSegmentsPerBlock) process();
    block_->segments.at(block_->count++) = connections_.request(connection);
    block_->segments.at(block_->count++) = connections_.response(connection);
  }
  void process() {
    block_->clock_ns = connections_.clock_ns();
    shard_.process(*block_);
    block_->count = 0;
    LineBlock* lines = nullptr;
    while (queue_.try_dequeue(lines)) lines->owner->give_back(lines);
  }

  prepared::Connections connections_;
  ConnectionCensus census_{1};
  shard_harness::RecordedEvents events_;
  LineQueue queue_;
  Shard shard_{0, settings(), census_, queue_, true, events_};
  std::unique_ptr<PacketBlock> block_ = std::make_unique<PacketBlock>();
  std::mt19937 random_{1};
};

TEST(Scaling, WorkPerPacketDoesNotGrowWithConnections) {
  constexpr uint32_t kExchanges = 20'000;
  BusyShard few(1000);
  BusyShard many(kManyConnections);
  few.exchanges(kExchanges);
  const double with_few = least_seconds([&] { few.exchanges(kExchanges); });
  const double with_many = least_seconds([&] { many.exchanges(kExchanges); });
  EXPECT_LT(with_many, kFactor * with_few);
  // No chain of the table was longer than kProbesMax, and nobody idle holds memory.
  EXPECT_EQ(many.count(ShardCounter::connections_refused), 0u);
  EXPECT_EQ(many.count(ShardCounter::connections_open), kManyConnections);
  EXPECT_EQ(many.count(ShardCounter::memory_bytes), few.count(ShardCounter::memory_bytes));
}

TEST(Scaling, WorkPerPacketAndMemoryDoNotGrowWithTheLengthOfTheCapture) {
  constexpr uint32_t kExchanges = 10'000;
  BusyShard shard(1000);
  const double early = least_seconds([&] { shard.exchanges(kExchanges); });
  const uint64_t memory = shard.count(ShardCounter::memory_bytes);
  shard.exchanges(40 * kExchanges);
  const double late = least_seconds([&] { shard.exchanges(kExchanges); });
  EXPECT_LT(late, kFactor * early);
  EXPECT_EQ(shard.count(ShardCounter::memory_bytes), memory);
  EXPECT_EQ(shard.count(ShardCounter::messages_parsed), 2u * (1000 + 46 * kExchanges));
}

// Flights of 2 * `holes` segments of a connection, of which every second one comes first.
class Holes {
 public:
  Holes() { wire_.handshake(); }

  void flights(uint32_t holes, uint32_t segments) {
    for (uint32_t base = 0; base < segments; base += 2 * holes) {
      for (uint32_t i = 0; i < holes; i++) send(base + 2 * i + 1);
      ranges_max_ = std::max(ranges_max_, wire_.stream(Side::kHigh).reorder->range_count());
      for (uint32_t i = holes; i-- > 0;) send(base + 2 * i);
      EXPECT_EQ(wire_.stream(Side::kHigh).reorder, nullptr);
    }
    next_ += segments;
    // Only the reassembly is to be measured.
    wire_.protocol.text = {};
    wire_.protocol.order.clear();
    wire_.protocol.metas.clear();
  }
  uint32_t ranges_max() const { return ranges_max_; }
  uint64_t rotations() const { return wire_.count(ShardCounter::rotations); }
  uint64_t consumed() const { return wire_.protocol.consumed; }

 private:
  static constexpr uint32_t kSize = 100;

  void send(uint32_t index) { wire_.server(int64_t{next_ + index} * kSize, text_, {.ack = 0}); }

  const std::string text_ = std::string(kSize, 'x');
  reassembler_wire::Wire wire_;
  uint32_t next_ = 0;
  uint32_t ranges_max_ = 0;
};

TEST(Scaling, WorkPerSegmentDoesNotGrowWithTheNumberOfHoles) {
  constexpr uint32_t kSegments = 8192;
  Holes one;
  Holes many;
  const double with_one = least_seconds([&] { one.flights(1, kSegments); });
  const double with_many = least_seconds([&] { many.flights(64, kSegments); });
  EXPECT_EQ(one.ranges_max(), 1u);
  EXPECT_EQ(many.ranges_max(), 64u);
  EXPECT_EQ(many.consumed(), uint64_t{3} * kSegments * 100);
  // The buffer of a flight grows by doubling: a few copies a flight, not one a segment.
  EXPECT_LE(many.rotations(), uint64_t{3} * kSegments / 128 * 8);
  EXPECT_LT(with_many, kFactor * with_one);
}

// A shard meets a server in the middle of its stream and gets `bytes` of the pattern, in segments
// of `size` bytes: small ones, so that nothing is ever found within a segment, or large ones.
double seconds_to_search(std::string_view pattern, size_t bytes, uint64_t& memory_max,
                         const size_t size = 500) {
  std::string text;
  while (text.size() < bytes) text += pattern;
  double least = 1e9;
  for (int round = 0; round < 3; round++) {
    shard_harness::ShardHarness harness({});
    int64_t clock_ns = shard_harness::kStartNs;
    double seconds = 0;
    for (size_t at = 0; at < text.size(); at += size) {
      const std::string_view piece = std::string_view(text).substr(at, size);
      Segment segment;
      segment.key = shard_harness::key_of(40000);
      segment.side = Side::kHigh;
      segment.flags = kTcpAck;
      segment.sequence = static_cast<uint32_t>(1 + at);
      segment.clock_ns = segment.time_ns = clock_ns += 1000;
      segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(piece.size());
      harness.add(segment, piece);
      if (at / size % 200 != 199 && size < 10'000) continue;
      const double before = thread_seconds();
      harness.process();
      seconds += thread_seconds() - before;
      memory_max = std::max(memory_max, harness.count(ShardCounter::memory_bytes));
    }
    harness.drain();
    harness.check_ledger();
    least = std::min(least, seconds);
  }
  return least;
}

constexpr std::string_view kPatterns[] = {
    "x",
    "\n",
    "HTTP/1.",
    "\r\nHTTP/1.1 2",
    "GET / HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "GET / HTTP/1.1\r\nA: b\r\n",
    "HTTP/1.1 200 OK\r\nA: HTTP/1.1 200 OK\r\nB: 1\r\n",
    "GET / HTTP/1.1\r\nA: b\r\n\x01\r\n",
};

TEST(Scaling, WorkPerByteDoesNotGrowWithTheGarbageThatIsSearched) {
  // Both beyond maxHeaderBytes, up to which something may still become a header.
  constexpr size_t kLittle = 500'000;
  constexpr size_t kMuch = 4'000'000;
  for (const std::string_view pattern : kPatterns) {
    uint64_t memory_max = 0;
    const double little = seconds_to_search(pattern, kLittle, memory_max);
    const double much = seconds_to_search(pattern, kMuch, memory_max);
    EXPECT_LT(much / kMuch, kFactor * little / kLittle) << pattern;
    EXPECT_LT(memory_max, size_t{2} << 20) << pattern;
    // A byte is looked at a few times, not once for each byte near it.
    EXPECT_LT(much / kMuch, 2e-6) << pattern;
  }
}

// Each candidate within a segment has the rest of it behind it.
TEST(Scaling, WorkPerByteDoesNotGrowWithTheSegmentThatIsSearched) {
  constexpr size_t kBytes = 2'000'000;
  for (const std::string_view pattern : kPatterns) {
    uint64_t memory_max = 0;
    const double small = seconds_to_search(pattern, kBytes, memory_max, 2'500);
    const double large = seconds_to_search(pattern, kBytes, memory_max, 250'000);
    EXPECT_LT(large, kFactor * small) << pattern;
  }
}

}  // namespace
}  // namespace tcp_sniffer::scaling_test
