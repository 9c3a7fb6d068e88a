// A shard alone, fed with blocks that were prepared before: the time of its thread, a packet, for
// the workloads of the traffic generator and for a thousand to a million connections. Lines are
// built and thrown away.

#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "prepared_connections.h"
#include "prepared_traffic.h"

namespace tcp_sniffer {
namespace {

using namespace prepared;

void report(benchmark::State& state, uint64_t packets) {
  state.SetItemsProcessed(static_cast<int64_t>(packets));
  state.counters["ns_per_packet"] = benchmark::Counter(
      static_cast<double>(packets), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void workload(benchmark::State& state, const std::string& options, ShardSettings settings) {
  const MemoryCapture capture(options);
  const Blocks blocks(capture);
  settings.ports = PortSet(std::vector<uint16_t>{80});
  uint64_t messages = 0;
  for (auto _ : state) {
    LoneShard shard(settings);
    const double before = thread_seconds();
    for (const auto& block : blocks.blocks()) shard.process(*block);
    state.SetIterationTime(thread_seconds() - before);
    shard.drain();
    messages += shard.count(ShardCounter::messages_written);
    if (shard.count(ShardCounter::messages_dropped_overload) != 0) {
      state.SkipWithError("lines were dropped");
    }
  }
  const uint64_t packets = static_cast<uint64_t>(state.iterations()) * blocks.packets();
  report(state, packets);
  state.counters["packets_per_message"] =
      static_cast<double>(packets) / static_cast<double>(messages);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(capture.size()));
}

ShardSettings with_bodies_up_to(int64_t body_max) {
  ShardSettings settings;
  settings.protocols.http.body_max = static_cast<uint64_t>(body_max);
  return settings;
}

void BM_Api(benchmark::State& state) {
  workload(state, "-w api -s 100M", with_bodies_up_to(state.range(0)));
}
void BM_Short(benchmark::State& state) {
  workload(state, "-w short -s 100M", with_bodies_up_to(state.range(0)));
}
void BM_Bulk(benchmark::State& state) {
  workload(state, "-w bulk -s 200M", with_bodies_up_to(state.range(0)));
}

void with_and_without_bodies(benchmark::internal::Benchmark* bench) {
  bench->ArgName("maxBodySize")->Arg(0)->Arg(1 << 20)->UseManualTime();
  bench->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Api)->Apply(with_and_without_bodies);
BENCHMARK(BM_Short)->Apply(with_and_without_bodies);
BENCHMARK(BM_Bulk)->Apply(with_and_without_bodies);

// Packed records with large bodies, which are copied into the output, or handed over.
void BM_PackedBodies(benchmark::State& state) {
  ShardSettings settings;
  settings.lines.format = LineOptions::kPacked;
  settings.lines.binary_base64 = true;
  settings.protocols.http.hands_bodies_over = state.range(0) != 0;
  workload(state, "-w bulk -s 1G", settings);
}
BENCHMARK(BM_PackedBodies)
    ->ArgName("handed_over")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Exchanges of two segments on connections in random order, so that nothing but the prefetch
// brings a connection into the cache.
void BM_Connections(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  Connections connections(count);
  ShardSettings settings;
  settings.ports = PortSet(std::vector<uint16_t>{80});
  settings.connections_max = 2'000'000;
  settings.protocols.http.body_max = 0;
  LoneShard shard(settings);
  PacketBlock block;
  const auto add = [&](const Segment& segment) {
    block.segments[block.count++] = segment;
    block.clock_ns = segment.clock_ns;
  };
  for (uint32_t i = 0; i < count; i++) {
    if (block.count + 2 > kSegmentsPerBlock) {
      shard.process(block);
      block.count = 0;
    }
    add(connections.request(i));
    add(connections.response(i));
  }
  shard.process(block);
  std::mt19937 random(1);
  std::vector<uint32_t> chosen(kSegmentsPerBlock / 2);
  constexpr uint32_t kBlocks = 256;
  for (auto _ : state) {
    double seconds = 0;
    for (uint32_t i = 0; i < kBlocks; i++) {
      block.count = 0;
      for (uint32_t& one : chosen)
        add(connections.request(one = static_cast<uint32_t>(random()) % count));
      const double before = thread_seconds();
      shard.process(block);
      seconds += thread_seconds() - before;
      block.count = 0;
      for (const uint32_t one : chosen) add(connections.response(one));
      const double again = thread_seconds();
      shard.process(block);
      seconds += thread_seconds() - again;
    }
    state.SetIterationTime(seconds);
  }
  report(state, static_cast<uint64_t>(state.iterations()) * kBlocks * kSegmentsPerBlock);
  if (shard.count(ShardCounter::connections_open) != count) {
    state.SkipWithError("connections are missing");
  }
}
BENCHMARK(BM_Connections)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(100000)
    ->Arg(1000000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
