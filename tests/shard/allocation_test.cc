#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>

#include "support/shard_harness.h"

// Counts every allocation of the program. The sanitizers bring their own malloc: with them only the
// lines are checked.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
#else
#define COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<uint64_t> allocations{0};
}

#if COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(size_t size);                 // NOLINT: glibc's name
void* __libc_calloc(size_t count, size_t size);   // NOLINT
void* __libc_realloc(void* memory, size_t size);  // NOLINT

void* malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}
}
#endif

namespace tcp_sniffer::allocation_test {
namespace {

using namespace shard_harness;

// A shard on this thread, fed from one block that is used again and again.
class Feeder {
 public:
  explicit Feeder(const ShardSettings& settings = {})
      : shard_(0, settings, census_, queue_, true, events_), block_(new PacketBlock) {
    segment_.key = key_of(40000);
    segment_.flow_hash = hash_of(segment_.key);
    segment_.clock_ns = segment_.time_ns = kStartNs;
    send(Side::kLow, "", kTcpSyn);
    send(Side::kHigh, "", kTcpSyn | kTcpAck);
  }

  ~Feeder() {
    block_->order = BlockOrder::kDrain;
    process();
  }
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  void send(Side side, std::string_view text, int flags = kTcpAck) {
    const auto me = static_cast<size_t>(side);
    segment_.side = side;
    segment_.flags = static_cast<uint8_t>(flags);
    segment_.sequence = sent_[me];
    segment_.acknowledgment = sent_[1 - me];
    segment_.payload = reinterpret_cast<const uint8_t*>(text.data());
    segment_.payload_size = segment_.payload_wire_size = static_cast<uint32_t>(text.size());
    segment_.frame++;
    sent_[me] += segment_.payload_size + ((flags & kTcpSyn) != 0 ? 1 : 0);
    block_->segments[block_->count++] = segment_;
    if (block_->count == block_->segments.size()) process();
  }
  void process() {
    block_->clock_ns = segment_.clock_ns;
    shard_.process(*block_);
    block_->reset();
    shard_.output().flush();
    LineBlock* block = nullptr;
    while (queue_.try_dequeue(block)) {
      messages += block->messages;
      block->owner->give_back(block);
    }
  }

  uint64_t segments() const { return segment_.frame; }
  uint64_t messages = 0;

 private:
  LineQueue queue_;
  ConnectionCensus census_{1};
  RecordedEvents events_;
  Shard shard_;
  std::unique_ptr<PacketBlock> block_;
  Segment segment_;
  uint32_t sent_[2] = {1000, 5000};
};

TEST(Allocations, NoneForSegmentsInOrderOfOneConnection) {
  Feeder feeder;
  const std::string request = "GET /index.html HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
  const std::string piece(1400, 'x');
  const std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 2800\r\n\r\n";
  const auto exchanges = [&](uint64_t segments) {
    const uint64_t end = feeder.segments() + segments;
    while (feeder.segments() < end) {
      feeder.send(Side::kLow, request);
      feeder.send(Side::kHigh, response);
      feeder.send(Side::kHigh, piece);
      feeder.send(Side::kHigh, piece);
      feeder.send(Side::kLow, "");
    }
    feeder.process();
  };
  exchanges(5000);  // pools and queues come to their sizes
  const uint64_t messages = feeder.messages;
  const uint64_t before = allocations;
  exchanges(100'000);
  EXPECT_EQ(allocations - before, 0u);
  EXPECT_EQ(feeder.messages - messages, 40'000u);
}

// Requests that wait, or whose exchanges are left out.
TEST(Allocations, NoneForAConditionOnExchanges) {
  for (const char* where :
       {"status >= 500", "path = '/b' or latencyMs < 1000", "path = '/a' and host ~ '*.example'"}) {
    SCOPED_TRACE(where);
    ShardSettings settings;
    settings.choice.where = where;
    Feeder feeder(settings);
    const auto exchanges = [&](int count) {
      for (int i = 0; i < count; i++) {
        feeder.send(Side::kLow, i % 2 == 0 ? "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
                                           : "GET /b HTTP/1.1\r\nHost: b.example\r\n\r\n");
        feeder.send(Side::kHigh, i % 3 == 0 ? "HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx"
                                            : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy");
      }
      feeder.process();
    };
    exchanges(5000);
    const uint64_t messages = feeder.messages;
    const uint64_t before = allocations;
    exchanges(50'000);
    EXPECT_EQ(allocations - before, 0u);
    EXPECT_GT(feeder.messages - messages, 20'000u);
    EXPECT_LE(feeder.messages - messages, 100'000u);
  }
}

// Hosts that have a place, one that has none any more, and a route.
TEST(Allocations, NoneForMetricsOfRequests) {
  RequestSeries series({.series_max = 42, .routes = {"/users/{id}", "/**"}});
  RequestMeter meter(series);
  ShardSettings settings;
  settings.protocols.http.meter = &meter;
  Feeder feeder(settings);
  const auto exchanges = [&](int count) {
    for (int i = 0; i < count; i++) {
      const std::array<std::string_view, 3> requests = {
          "GET /users/1 HTTP/1.1\r\nHost: a.example\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: b.example:80\r\n\r\n",
          "BREW /c HTTP/1.1\r\nHost: c\xff.example\r\n\r\n"};
      feeder.send(Side::kLow, requests.at(static_cast<size_t>(i) % 3));
      feeder.send(Side::kHigh, i % 5 == 0 ? "HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx"
                                          : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy");
    }
    feeder.process();
  };
  exchanges(5000);
  const uint64_t before = allocations;
  exchanges(50'000);
  EXPECT_EQ(allocations - before, 0u);
  uint64_t requests = 0;
  series.for_each_count(
      [&](const LabelSet&, size_t number, size_t) { requests += meter.count(number); });
  EXPECT_EQ(requests, 55'000u);
}

TEST(Allocations, NoneForALongBody) {
  Feeder feeder;
  const std::string piece(1400, 'x');
  feeder.send(Side::kLow, "GET / HTTP/1.1\r\n\r\n");
  feeder.send(Side::kHigh, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
  for (int i = 0; i < 2000; i++) feeder.send(Side::kHigh, piece);  // maxBodySize is reached
  feeder.process();
  const uint64_t before = allocations;
  for (int i = 0; i < 100'000; i++) feeder.send(Side::kHigh, piece);
  feeder.process();
  EXPECT_EQ(allocations - before, 0u);
}

#if COUNTS_ALLOCATIONS
TEST(Allocations, AreCounted) {
  const uint64_t before = allocations;
  const std::unique_ptr<std::string> one(new std::string(100, 'x'));
  EXPECT_GE(allocations - before, 1u + (one->size() > 50));
}
#endif

}  // namespace
}  // namespace tcp_sniffer::allocation_test
