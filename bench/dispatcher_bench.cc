// The capture thread alone: reading, decoding, hashing, filling blocks that nobody processes.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "prepared_traffic.h"

namespace tcp_sniffer {
namespace {

using namespace prepared;

// Empties every block at once.
class DroppingLane final : public PacketLane {
 public:
  PacketBlock* take(bool) override { return &block_; }
  PacketBlock* take_within(int64_t) override { return &block_; }
  void send(PacketBlock* block) override { block->reset(); }
  void give_back(PacketBlock*) override {}
  uint32_t in_flight() const override { return 0; }

 private:
  PacketBlock block_;
};

// Frames as a live source hands them over: the memory is not theirs, payload has to be copied.
class CopyingSink final : public FrameSink {
 public:
  explicit CopyingSink(Dispatcher& dispatcher) : dispatcher_(dispatcher) {}
  void on_frames(std::span<const Frame> frames, CapturePiece*) override {
    dispatcher_.on_frames(frames, nullptr);
  }
  void on_file(const std::string& name) override { dispatcher_.on_file(name); }

 private:
  Dispatcher& dispatcher_;
};

void dispatch(benchmark::State& state, const std::string& options, bool copies) {
  const MemoryCapture capture(options);
  PiecePool pool(4);
  uint64_t packets = 0;
  for (auto _ : state) {
    std::vector<std::unique_ptr<PacketLane>> owned;
    std::vector<PacketLane*> lanes;
    for (int64_t i = 0; i < state.range(0); i++) {
      owned.push_back(std::make_unique<DroppingLane>());
      lanes.push_back(owned.back().get());
    }
    DispatcherSettings settings;
    settings.ports = PortSet(std::vector<uint16_t>{80});
    Dispatcher dispatcher(settings, lanes, nullptr);
    CopyingSink copying(dispatcher);
    FrameSink& sink = copies ? static_cast<FrameSink&>(copying) : dispatcher;
    FileSource source({capture.path()}, pool);
    const double before = thread_seconds();
    while (source.poll(sink) == SourceStatus::kMore) {
    }
    dispatcher.finish();
    state.SetIterationTime(thread_seconds() - before);
    if (source.problem().code != ErrorCode::kNone)
      state.SkipWithError(source.problem().message().c_str());
    packets += dispatcher.counters().get(FrameCounter::dispatched);
  }
  state.SetItemsProcessed(static_cast<int64_t>(packets));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(capture.size()));
  state.counters["ns_per_packet"] = benchmark::Counter(
      static_cast<double>(packets), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_Api(benchmark::State& state) {
  dispatch(state, "-w api -s 100M", false);
}
void BM_Short(benchmark::State& state) {
  dispatch(state, "-w short -s 100M", false);
}
void BM_Bulk(benchmark::State& state) {
  dispatch(state, "-w bulk -s 200M", false);
}
void BM_BulkCopied(benchmark::State& state) {
  dispatch(state, "-w bulk -s 200M", true);
}
void BM_ApiCopied(benchmark::State& state) {
  dispatch(state, "-w api -s 100M", true);
}

void by_shards(benchmark::internal::Benchmark* bench) {
  bench->ArgName("shards")->Arg(1)->Arg(8)->UseManualTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Api)->Apply(by_shards);
BENCHMARK(BM_Short)->Apply(by_shards);
BENCHMARK(BM_Bulk)->Apply(by_shards);
BENCHMARK(BM_BulkCopied)->Apply(by_shards);
BENCHMARK(BM_ApiCopied)->Apply(by_shards);

}  // namespace
}  // namespace tcp_sniffer
