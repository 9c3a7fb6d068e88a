// Reassembly alone: what a segment costs in order, reordered, with losses, and when somebody
// arranges the segments as badly as possible.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/tcp/reassembler.h"

namespace tcp_sniffer {
namespace {

constexpr uint32_t kSize = 1448;
constexpr uint32_t kSegments = 1 << 16;
constexpr int64_t kApart = 12'000;  // 1 Gbit/s

// Takes everything and looks at nothing.
struct Taker {
  uint64_t taken = 0;
  uint64_t lost = 0;

  uint32_t try_consume(Side, uint64_t, std::span<const uint8_t> bytes, const SegmentMeta&, bool) {
    taken += bytes.size();
    return static_cast<uint32_t>(bytes.size());
  }
  bool pass_over(Side, uint64_t, const SegmentMeta&) { return false; }
  void on_gap(Side, uint64_t, uint64_t length, GapCause) { lost += length; }
  void on_midstream(Side) {}
  void on_beginning(Side) {}
  void on_end(Side) {}
  bool in_message(Side) const { return true; }
  bool begins_message(std::span<const uint8_t>) const { return false; }
  bool ends_with_stream(Side) const { return false; }
};

// The order in which the segments 0 … kSegments - 1 of one direction are captured.
using Order = std::vector<uint32_t>;

Order in_order() {
  Order order(kSegments);
  for (uint32_t i = 0; i < kSegments; i++) order[i] = i;
  return order;
}

Order reordered(uint32_t one_in) {
  Order order = in_order();
  std::mt19937 random(1);
  for (uint32_t i = 0; i + 4 < kSegments; i++) {
    if (random() % one_in == 0) {
      std::rotate(order.begin() + i, order.begin() + i + 1, order.begin() + i + 4);
    }
  }
  return order;
}

Order with_losses(uint32_t one_in) {
  Order order;
  std::mt19937 random(1);
  for (uint32_t i = 0; i < kSegments; i++) {
    if (random() % one_in != 0) order.push_back(i);
  }
  return order;
}

// Flights of 2 * `holes` segments: every second one first, then those between in random order.
Order holes_everywhere(uint32_t holes) {
  Order order;
  std::mt19937 random(1);
  for (uint32_t base = 0; base < kSegments; base += 2 * holes) {
    Order between;
    for (uint32_t i = 0; i < holes; i++) {
      order.push_back(base + 2 * i + 1);
      between.push_back(base + 2 * i);
    }
    std::shuffle(between.begin(), between.end(), random);
    order.insert(order.end(), between.begin(), between.end());
  }
  return order;
}

Order backwards(uint32_t flight) {
  Order order;
  for (uint32_t base = 0; base < kSegments; base += flight) {
    for (uint32_t i = flight; i-- > 0;) order.push_back(base + i);
  }
  return order;
}

void reassemble(benchmark::State& state, const Order& order) {
  const std::string payload(kSize, 'x');
  uint64_t taken = 0;
  uint64_t lost = 0;
  uint64_t rotations = 0;
  for (auto _ : state) {
    BufferPool pool(size_t{256} << 20);
    ShardCounters counters;
    Reassembler reassembler(pool, counters, {});
    TcpStreams streams;
    Taker taker;
    int64_t clock_ns = 1'000'000'000;
    uint64_t frame = 0;
    uint32_t highest = 0;
    Segment syn;
    syn.flags = kTcpSyn;
    syn.clock_ns = syn.time_ns = clock_ns;
    reassembler.on_segment(streams, taker, syn);
    syn.side = Side::kHigh;
    syn.flags = kTcpSyn | kTcpAck;
    syn.acknowledgment = 1;
    reassembler.on_segment(streams, taker, syn);
    for (const uint32_t index : order) {
      Segment segment;
      segment.flags = kTcpAck;
      segment.window = 65535;
      segment.clock_ns = segment.time_ns = clock_ns += kApart;
      segment.frame = ++frame;
      segment.sequence = 1 + index * kSize;
      segment.acknowledgment = 1;
      segment.payload = reinterpret_cast<const uint8_t*>(payload.data());
      segment.payload_size = segment.payload_wire_size = kSize;
      reassembler.advance_clock(streams, taker, clock_ns);
      reassembler.on_segment(streams, taker, segment);
      highest = std::max(highest, index + 1);
      if (frame % 2 == 0) continue;
      // The receiver got everything: a segment missing here was lost by the tap.
      Segment ack;
      ack.side = Side::kHigh;
      ack.flags = kTcpAck;
      ack.clock_ns = ack.time_ns = clock_ns;
      ack.sequence = 1;
      ack.acknowledgment = 1 + highest / 512 * 512 * kSize;
      reassembler.on_segment(streams, taker, ack);
    }
    reassembler.flush(streams, taker, clock_ns);
    reassembler.release(streams);
    taken = taker.taken;
    lost = taker.lost;
    rotations = counters.get(ShardCounter::rotations);
  }
  const auto segments =
      static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(order.size());
  state.SetItemsProcessed(segments);
  state.SetBytesProcessed(segments * kSize);
  state.counters["lost_segments"] = static_cast<double>(lost) / kSize;
  state.counters["rotations"] = static_cast<double>(rotations);
  if (taken + lost != uint64_t{kSegments} * kSize) state.SkipWithError("bytes are missing");
}

void BM_InOrder(benchmark::State& state) {
  reassemble(state, in_order());
}
BENCHMARK(BM_InOrder)->Unit(benchmark::kMillisecond);

void BM_Reordered(benchmark::State& state) {
  reassemble(state, reordered(static_cast<uint32_t>(state.range(0))));
}
BENCHMARK(BM_Reordered)->ArgName("one_in")->Arg(100)->Arg(10)->Unit(benchmark::kMillisecond);

void BM_Lost(benchmark::State& state) {
  reassemble(state, with_losses(static_cast<uint32_t>(state.range(0))));
}
BENCHMARK(BM_Lost)->ArgName("one_in")->Arg(100)->Unit(benchmark::kMillisecond);

void BM_HolesEverywhere(benchmark::State& state) {
  reassemble(state, holes_everywhere(static_cast<uint32_t>(state.range(0))));
}
BENCHMARK(BM_HolesEverywhere)
    ->ArgName("holes")
    ->Arg(1)
    ->Arg(8)
    ->Arg(64)
    ->Arg(256)
    ->Unit(benchmark::kMillisecond);

void BM_Backwards(benchmark::State& state) {
  reassemble(state, backwards(static_cast<uint32_t>(state.range(0))));
}
BENCHMARK(BM_Backwards)
    ->ArgName("flight")
    ->Arg(8)
    ->Arg(64)
    ->Arg(256)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
