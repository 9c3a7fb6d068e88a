// The connection table alone, from a thousand to a million connections: looking up in random
// order, with and without the prefetch that a block's processing does, misses, and a connection's
// coming and going.

#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <vector>

#include "prepared_connections.h"
#include "shard/connection_table.h"

namespace tcp_sniffer {
namespace {

struct Wanted {
  uint64_t hash;
  FlowKey key;
};

Wanted wanted(uint32_t connection) {
  Wanted made{0, prepared::Connections::key_of(connection)};
  made.hash = XXH3_64bits_withSeed(&made.key, sizeof(FlowKey), 42);
  return made;
}

std::unique_ptr<ConnectionTable> table_of(uint32_t connections) {
  auto table = std::make_unique<ConnectionTable>();
  for (uint32_t i = 0; i < connections; i++) {
    const Wanted one = wanted(i);
    table->insert(one.hash, one.key);
  }
  return table;
}

std::vector<Wanted> in_random_order(uint32_t connections, uint32_t first) {
  std::mt19937 random(1);
  std::vector<Wanted> made;
  for (uint32_t i = 0; i < 65536; i++)
    made.push_back(wanted(first + static_cast<uint32_t>(random()) % connections));
  return made;
}

void look_up(benchmark::State& state, bool hits, bool prefetches) {
  const auto connections = static_cast<uint32_t>(state.range(0));
  const auto table = table_of(connections);
  const std::vector<Wanted> order = in_random_order(connections, hits ? 0 : connections);
  for (auto _ : state) {
    uint64_t found = 0;
    for (size_t i = 0; i < order.size(); i++) {
      if (prefetches && i + 16 < order.size()) table->prefetch(order[i + 16].hash);
      if (prefetches && i + 8 < order.size()) table->prefetch_connection(order[i + 8].hash);
      Connection* connection = table->find(order[i].hash, order[i].key);
      if (connection == nullptr) continue;
      found++;
      connection->last_clock_ns++;
      connection->streams[1].head++;
    }
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(order.size()));
}

void BM_Find(benchmark::State& state) {
  look_up(state, true, true);
}
BENCHMARK(BM_Find)->Arg(1000)->Arg(10000)->Arg(100000)->Arg(1000000);

void BM_FindWithoutPrefetch(benchmark::State& state) {
  look_up(state, true, false);
}
BENCHMARK(BM_FindWithoutPrefetch)->Arg(1000)->Arg(10000)->Arg(100000)->Arg(1000000);

void BM_FindMissing(benchmark::State& state) {
  look_up(state, false, true);
}
BENCHMARK(BM_FindMissing)->Arg(1000)->Arg(1000000);

// A connection ends and another begins, among so many.
void BM_InsertAndErase(benchmark::State& state) {
  const auto connections = static_cast<uint32_t>(state.range(0));
  const auto table = table_of(connections);
  const std::vector<Wanted> order = in_random_order(connections, connections);
  for (auto _ : state) {
    for (const Wanted& one : order) {
      Connection* connection = table->insert(one.hash, one.key);
      if (connection != nullptr) table->erase(connection);
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(order.size()));
}
BENCHMARK(BM_InsertAndErase)->Arg(1000)->Arg(100000)->Arg(1000000);

}  // namespace
}  // namespace tcp_sniffer
