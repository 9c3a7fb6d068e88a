// The hash of a flow key: what it costs a packet, and beside it what else could be taken.

#include <benchmark/benchmark.h>

#include <functional>
#include <string_view>
#include <vector>

#include "prepared_connections.h"

namespace tcp_sniffer {
namespace {

constexpr uint32_t kKeys = 4096;

std::vector<FlowKey> make_keys() {
  std::vector<FlowKey> keys;
  for (uint32_t i = 0; i < kKeys; i++) keys.push_back(prepared::Connections::key_of(i * 977));
  return keys;
}

template <class Hash>
void hash_keys(benchmark::State& state, Hash hash) {
  const std::vector<FlowKey> keys = make_keys();
  for (auto _ : state) {
    uint64_t sum = 0;
    for (const FlowKey& key : keys) sum += hash(key);
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kKeys);
}

// What the dispatcher does: inlined, keyed with the run's secret.
void BM_Xxh3Seeded(benchmark::State& state) {
  uint64_t seed = 0x1234;
  benchmark::DoNotOptimize(seed);
  hash_keys(state,
            [&](const FlowKey& key) { return XXH3_64bits_withSeed(&key, sizeof(key), seed); });
}
BENCHMARK(BM_Xxh3Seeded);

// With sampleRate below 1: a second, public hash.
void BM_Xxh3Twice(benchmark::State& state) {
  uint64_t seed = 0x1234;
  benchmark::DoNotOptimize(seed);
  hash_keys(state, [&](const FlowKey& key) {
    return XXH3_64bits_withSeed(&key, sizeof(key), seed) +
           XXH3_64bits_withSeed(&key, sizeof(key), 0);
  });
}
BENCHMARK(BM_Xxh3Twice);

void BM_StdHash(benchmark::State& state) {
  hash_keys(state, [](const FlowKey& key) {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(&key), sizeof(key)});
  });
}
BENCHMARK(BM_StdHash);

void BM_CompareKeys(benchmark::State& state) {
  const std::vector<FlowKey> keys = make_keys();
  const std::vector<FlowKey> same = make_keys();
  for (auto _ : state) {
    uint64_t equal = 0;
    for (uint32_t i = 0; i < kKeys; i++) equal += keys[i] == same[i];
    benchmark::DoNotOptimize(equal);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kKeys);
}
BENCHMARK(BM_CompareKeys);

}  // namespace
}  // namespace tcp_sniffer
