// From thread to thread: packet blocks through a ThreadLane, as the engine does it; one queue item
// a packet, the alternative that was rejected; and line blocks through the merged queue.

#include <benchmark/benchmark.h>

#include <cstring>
#include <thread>

#include "prepared_traffic.h"

namespace tcp_sniffer {
namespace {

constexpr uint32_t kPackets = 1 << 20;

void report(benchmark::State& state, uint64_t items) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(items));
  state.counters["ns_per_item"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(items),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Blocks of `segments` segments each: filled by one thread, looked at by the other.
void BM_PacketBlocks(benchmark::State& state) {
  const auto per_block = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    PacketQueue inbox;
    ThreadLane lane(inbox);
    std::thread shard([&] {
      uint64_t sum = 0;
      for (;;) {
        PacketBlock* block = nullptr;
        inbox.wait_dequeue(block);
        for (uint32_t i = 0; i < block->count; i++) sum += block->segments[i].sequence;
        const bool last = block->order == BlockOrder::kEnd;
        lane.give_back(block);
        if (last) break;
      }
      benchmark::DoNotOptimize(sum);
    });
    Segment segment;
    for (uint32_t sent = 0; sent < kPackets;) {
      PacketBlock* block = lane.take(true);
      while (block->count < per_block) {
        segment.sequence = sent++;
        block->segments[block->count++] = segment;
      }
      if (sent >= kPackets) block->order = BlockOrder::kEnd;
      lane.send(block);
    }
    shard.join();
  }
  report(state, kPackets);
}
BENCHMARK(BM_PacketBlocks)
    ->ArgName("segments")
    ->Arg(1)
    ->Arg(16)
    ->Arg(64)
    ->Arg(256)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

// One queue item a packet.
void BM_OneItemAPacket(benchmark::State& state) {
  for (auto _ : state) {
    moodycamel::BlockingConcurrentQueue<Segment, QueueTraits> queue(ThreadLane::kBlocks *
                                                                    kSegmentsPerBlock);
    std::thread shard([&] {
      uint64_t sum = 0;
      Segment segment;
      for (uint32_t i = 0; i < kPackets; i++) {
        queue.wait_dequeue(segment);
        sum += segment.sequence;
      }
      benchmark::DoNotOptimize(sum);
    });
    moodycamel::ProducerToken token(queue);
    Segment segment;
    for (uint32_t i = 0; i < kPackets; i++) {
      segment.sequence = i;
      queue.enqueue(token, segment);
    }
    shard.join();
  }
  report(state, kPackets);
}
BENCHMARK(BM_OneItemAPacket)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

// Lines of `bytes` bytes from a shard's LineOutput to a thread that gives the blocks back.
void BM_LineBlocks(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  constexpr uint32_t kLines = 1 << 18;
  const std::string line(size - 1, 'x');
  for (auto _ : state) {
    LineQueue queue;
    BufferPool memory(size_t{1} << 30);
    LineOutput output(queue, memory, {true, LineOutput::kBlocksForWaiting});
    std::thread writer([&] {
      for (uint64_t lines = 0; lines < kLines;) {
        LineBlock* block = nullptr;
        queue.wait_dequeue(block);
        lines += block->messages;
        block->owner->give_back(block);
      }
    });
    for (uint32_t i = 0; i < kLines; i++) {
      output.begin_line(size);
      char* out = output.reserve(size);
      std::memcpy(out, line.data(), line.size());
      out[line.size()] = '\n';
      output.commit(out + size);
      output.end_line(1, 0, 0);
    }
    output.flush();
    writer.join();
  }
  report(state, kLines);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * kLines *
                          static_cast<int64_t>(size));
}
BENCHMARK(BM_LineBlocks)
    ->ArgName("bytes")
    ->Arg(600)
    ->Arg(4096)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
