// The whole engine on a capture in memory, output to /dev/null, beside a bare libpcap loop over
// the same file. `of_loop` is the engine's speed as a share of the loop's.
//
// Size in MiB: TCP_SNIFFER_BENCH_MIB (200 unless set).

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "io/config/options.h"
#include "io/event/event_log.h"
#include "io/run/engine.h"
#include "prepared_traffic.h"

namespace tcp_sniffer {
namespace {

using namespace prepared;

const MemoryCapture& capture_of(const std::string& workload) {
  static std::map<std::string, MemoryCapture> captures;
  const char* mib = std::getenv("TCP_SNIFFER_BENCH_MIB");
  const std::string size = mib == nullptr ? "200" : mib;
  return captures.try_emplace(workload, "-w " + workload + " -s " + size + "M").first->second;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double loop_once(const MemoryCapture& capture) {
  const double before = seconds_now();
  char text[PCAP_ERRBUF_SIZE];
  pcap_t* handle = pcap_open_offline(capture.path().c_str(), text);
  if (handle == nullptr) return 0;
  uint64_t bytes = 0;
  pcap_loop(
      handle, -1,
      [](u_char* user, const pcap_pkthdr* header, const u_char*) {
        *reinterpret_cast<uint64_t*>(user) += header->caplen;
      },
      reinterpret_cast<u_char*>(&bytes));
  pcap_close(handle);
  benchmark::DoNotOptimize(bytes);
  return seconds_now() - before;
}

double loop_seconds(const std::string& workload) {
  static std::map<std::string, double> medians;
  const auto [entry, fresh] = medians.try_emplace(workload, 0);
  if (fresh) {
    std::vector<double> times;
    for (int i = 0; i < 5; i++) times.push_back(loop_once(capture_of(workload)));
    std::sort(times.begin(), times.end());
    entry->second = times[2];
  }
  return entry->second;
}

int run_engine(const std::vector<std::string>& arguments) {
  std::vector<const char*> words;
  for (const std::string& word : arguments) words.push_back(word.c_str());
  const ParseResult parsed = parse_command_line(words, Environment{});
  const auto* invocation = std::get_if<Invocation>(&parsed);
  if (invocation == nullptr) return -1;
  EventLog::Settings settings;
  settings.level = invocation->config.log_level;
  settings.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  EventLog log(settings);
  int status = 0;
  {
    Engine engine(invocation->config, false, log);
    status = engine.run();
  }
  log.close();
  close(settings.fd);
  return status;
}

void whole(benchmark::State& state, const std::string& workload) {
  const MemoryCapture& capture = capture_of(workload);
  const double yardstick = loop_seconds(workload);
  const std::vector<std::string> arguments = {"-r",
                                              capture.path(),
                                              "-p",
                                              "80",
                                              "--shards",
                                              std::to_string(state.range(0)),
                                              "--max-body-size",
                                              std::to_string(state.range(1)),
                                              "--format",
                                              "ndjson",
                                              "--output",
                                              "/dev/null"};
  std::vector<double> times;
  for (auto _ : state) {
    const double before = seconds_now();
    if (run_engine(arguments) != 0) state.SkipWithError("the engine failed");
    times.push_back(seconds_now() - before);
    state.SetIterationTime(times.back());
  }
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  state.counters["of_loop"] = yardstick / times[times.size() / 2];
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(capture.size()));
}

void loop(benchmark::State& state, const std::string& workload) {
  const MemoryCapture& capture = capture_of(workload);
  for (auto _ : state) state.SetIterationTime(loop_once(capture));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(capture.size()));
}

void runs(benchmark::internal::Benchmark* bench) {
  bench->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);
}
void all_ways(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"shards", "maxBodySize"})->ArgsProduct({{0, 1, 2}, {0, 1 << 20}});
  runs(bench);
}

BENCHMARK_CAPTURE(loop, bulk, "bulk")->Apply(runs);
BENCHMARK_CAPTURE(whole, bulk, "bulk")->Apply(all_ways);
BENCHMARK_CAPTURE(loop, api, "api")->Apply(runs);
BENCHMARK_CAPTURE(whole, api, "api")->Apply(all_ways);
BENCHMARK_CAPTURE(loop, short, "short")->Apply(runs);
BENCHMARK_CAPTURE(whole, short, "short")->Apply(all_ways);

}  // namespace
}  // namespace tcp_sniffer
