// The writer alone: lines of 600 bytes to /dev/null, to a file in memory and through a pipe to a
// reader of 1 MiB pieces. `writer_ns_per_line` is the time of the writer's thread only.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cstring>
#include <string>
#include <vector>

#include "io/output/output_writer.h"
#include "prepared_traffic.h"

namespace tcp_sniffer {
namespace {

using namespace prepared;

constexpr uint32_t kLines = 1 << 18;
constexpr size_t kLineSize = 600;

void write_lines(benchmark::State& state, int fd) {
  const std::string line = std::string(kLineSize - 1, 'x') + '\n';
  double writer_seconds = 0;
  for (auto _ : state) {
    LineQueue queue;
    BufferPool memory(size_t{1} << 30);
    LineOutput output(queue, memory, {true, LineOutput::kBlocksForWaiting});
    OutputWriter::Settings settings;
    settings.fd = fd;
    OutputWriter writer(settings, queue);
    if (const auto problem = writer.open()) state.SkipWithError(problem->message().c_str());
    const double others = process_seconds() - thread_seconds();
    writer.start({});
    for (uint32_t i = 0; i < kLines; i++) {
      output.begin_line(2 * kLineSize);
      std::memcpy(output.reserve(kLineSize), line.data(), kLineSize);
      output.commit(output.reserve(kLineSize) + kLineSize);
      output.end_line(1, 0, 0);
    }
    output.flush();
    writer.end_of_input();
    while (!writer.done()) {
      timespec nap{0, 100'000};
      nanosleep(&nap, nullptr);
    }
    writer_seconds += process_seconds() - thread_seconds() - others;
    if (writer.written() != kLines) state.SkipWithError("lines are missing");
    if (lseek(fd, 0, SEEK_SET) == 0 && ftruncate(fd, 0) != 0) errno = 0;
  }
  const auto lines = static_cast<int64_t>(state.iterations()) * kLines;
  state.SetItemsProcessed(lines);
  state.SetBytesProcessed(lines * static_cast<int64_t>(kLineSize));
  state.counters["writer_ns_per_line"] = writer_seconds * 1e9 / static_cast<double>(lines);
}

void BM_ToNull(benchmark::State& state) {
  const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  write_lines(state, fd);
  close(fd);
}
BENCHMARK(BM_ToNull)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ToMemoryFile(benchmark::State& state) {
  const int fd = memfd_create("lines", MFD_CLOEXEC);
  write_lines(state, fd);
  close(fd);
}
BENCHMARK(BM_ToMemoryFile)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ToPipe(benchmark::State& state) {
  int ends[2];
  if (pipe2(ends, 0) != 0) {
    state.SkipWithError("pipe");
    return;
  }
  const pid_t reader = fork();
  if (reader == 0) {
    close(ends[1]);
    std::vector<char> piece(1 << 20);
    while (read(ends[0], piece.data(), piece.size()) > 0) {
    }
    _exit(0);
  }
  close(ends[0]);
  write_lines(state, ends[1]);
  close(ends[1]);
  waitpid(reader, nullptr, 0);
}
BENCHMARK(BM_ToPipe)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
