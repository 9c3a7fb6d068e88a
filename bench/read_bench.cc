// Reading a capture file from the page cache: FileSource beside libpcap's own loop, and beside
// mapped memory. Every reader touches the first 66 bytes of each frame (Ethernet, IP, TCP with
// options), as the dispatcher does; `whole` also sums the rest, as a parser would.
//
// The file is made in the temporary directory (256 MiB each of 1,514-byte and of 120-byte frames);
// set TCP_SNIFFER_BENCH_FILE to read a file of your own instead.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "io/file/file_source.h"
#include "packets/pcap.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kFileSize = size_t{256} << 20;
constexpr size_t kHeaderBytes = 66;

// A capture of frames of one size, removed at exit.
class CaptureFile {
 public:
  explicit CaptureFile(uint32_t frame_size) {
    if (const char* own = std::getenv("TCP_SNIFFER_BENCH_FILE")) {
      path_ = own;
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "read_bench.XXXXXX").string();
    const int fd = mkstemp(pattern.data());
    if (fd >= 0) close(fd);
    path_ = pattern;
    made_ = true;
    using packets::operator+;
    std::ofstream out(path_, std::ios::binary);
    const auto write = [&out](const packets::Bytes& bytes) {
      out.write(reinterpret_cast<const char*>(bytes.data()),
                static_cast<std::streamsize>(bytes.size()));
    };
    const packets::Bytes record = packets::pcap_record({1'740'139'200, 0, frame_size, frame_size}) +
                                  packets::Bytes(frame_size, 'x');
    write(packets::pcap_header({}));
    for (size_t size = 0; size < kFileSize; size += record.size()) write(record);
  }
  ~CaptureFile() {
    if (made_) std::filesystem::remove(path_);
  }
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return static_cast<int64_t>(std::filesystem::file_size(path_)); }

 private:
  std::string path_;
  bool made_ = false;
};

const CaptureFile& capture_file(int64_t frame_size) {
  static const CaptureFile bulk(1514);
  static const CaptureFile small(120);
  return frame_size == 1514 ? bulk : small;
}

uint64_t sum(const uint8_t* data, size_t size) {
  uint64_t total = 0;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, data, sizeof word);
    total += word;
  }
  return total;
}

uint64_t touch(const uint8_t* data, size_t size, bool whole) {
  return sum(data, whole ? size : std::min(size, kHeaderBytes));
}

class Toucher final : public FrameSink {
 public:
  explicit Toucher(bool whole) : whole_(whole) {}
  void on_frames(std::span<const Frame> frames, CapturePiece*) override {
    for (const Frame& frame : frames) total += touch(frame.data.data(), frame.data.size(), whole_);
    count += frames.size();
  }
  void on_file(const std::string&) override {}
  uint64_t total = 0;
  uint64_t count = 0;

 private:
  bool whole_;
};

void report(benchmark::State& state, const CaptureFile& file, uint64_t frames) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * file.size());
  state.counters["frames/s"] =
      benchmark::Counter(static_cast<double>(frames), benchmark::Counter::kIsRate);
}

void file_source(benchmark::State& state) {
  const CaptureFile& file = capture_file(state.range(0));
  PiecePool pool(8, static_cast<size_t>(state.range(2)) * 1024);
  uint64_t frames = 0;
  for (auto unused : state) {
    FileSource source({file.path()}, pool);
    Toucher toucher(state.range(1) != 0);
    while (source.poll(toucher) == SourceStatus::kMore) continue;
    if (source.problem().code != ErrorCode::kNone)
      state.SkipWithError(source.problem().message().c_str());
    benchmark::DoNotOptimize(toucher.total);
    frames += toucher.count;
  }
  report(state, file, frames);
}

struct LoopState {
  uint64_t total = 0;
  uint64_t frames = 0;
  bool whole = false;
};

void on_packet(u_char* user, const pcap_pkthdr* header, const u_char* data) {
  auto* loop = reinterpret_cast<LoopState*>(user);
  loop->total += touch(data, header->caplen, loop->whole);
  ++loop->frames;
}

void libpcap_loop(benchmark::State& state) {
  const CaptureFile& file = capture_file(state.range(0));
  LoopState loop;
  loop.whole = state.range(1) != 0;
  for (auto unused : state) {
    char text[PCAP_ERRBUF_SIZE];
    pcap_t* handle = pcap_open_offline(file.path().c_str(), text);
    if (handle == nullptr) {
      state.SkipWithError(text);
      break;
    }
    pcap_loop(handle, -1, on_packet, reinterpret_cast<u_char*>(&loop));
    pcap_close(handle);
    benchmark::DoNotOptimize(loop.total);
  }
  report(state, file, loop.frames);
}

// The same parser over mapped windows of the file; a frame that straddles two windows is met again
// in the next, which begins at its page.
void mapped(benchmark::State& state, size_t window, int flags, int advice) {
  const CaptureFile& file = capture_file(state.range(0));
  const bool whole = state.range(1) != 0;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t frames = 0;
  for (auto unused : state) {
    const int fd = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    const auto size = static_cast<uint64_t>(file.size());
    PcapFormat format;
    uint64_t total = 0;
    for (uint64_t at = 0; at < size;) {
      const uint64_t start = at / page * page;
      const size_t length = std::min<uint64_t>(window, size - start);
      void* memory =
          mmap(nullptr, length, PROT_READ, MAP_PRIVATE | flags, fd, static_cast<off_t>(start));
      if (memory == MAP_FAILED) {
        state.SkipWithError("mmap");
        break;
      }
      if (advice != 0) madvise(memory, length, advice);
      const auto* bytes = static_cast<const uint8_t*>(memory);
      const uint64_t before = at;
      for (;;) {
        Frame frame;
        const size_t offset = at - start;
        const FormatStep step = format.next({bytes + offset, length - offset}, frame);
        if (step.kind == FormatStep::Kind::kFrame) {
          total += touch(frame.data.data(), frame.data.size(), whole);
          ++frames;
        } else if (step.kind != FormatStep::Kind::kSkip) {
          break;
        }
        at += step.bytes;
      }
      munmap(memory, length);
      if (at == before) break;
    }
    benchmark::DoNotOptimize(total);
    close(fd);
  }
  report(state, file, frames);
}

void mapped_populate(benchmark::State& state) {
  mapped(state, static_cast<size_t>(state.range(2)) * 1024, MAP_POPULATE, 0);
}

void mapped_sequential(benchmark::State& state) {
  mapped(state, static_cast<size_t>(state.range(2)) * 1024, 0, MADV_SEQUENTIAL);
}

void whole_or_headers(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"frame", "whole"})->ArgsProduct({{1514, 120}, {0, 1}});
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(libpcap_loop)->Apply(whole_or_headers);

BENCHMARK(file_source)
    ->ArgNames({"frame", "whole", "piece_kib"})
    ->ArgsProduct({{1514, 120}, {0, 1}, {128, 256, 1024, 4096}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK(mapped_populate)
    ->ArgNames({"frame", "whole", "window_kib"})
    ->ArgsProduct({{1514, 120}, {0, 1}, {1024, 16384, 262144}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK(mapped_sequential)
    ->ArgNames({"frame", "whole", "window_kib"})
    ->ArgsProduct({{1514, 120}, {0}, {16384, 1048576}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
