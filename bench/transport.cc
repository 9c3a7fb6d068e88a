// How bytes get from one process to another. transport.py drives it.
//
//   transport drain KIND COMMAND...   runs the command with its standard output on a transport of
//                                     this kind, and reads that in pieces of 1 MiB
//   transport write FILE BYTES PIECE  writes bytes of the file from memory, as the engine's writer
//                                     would that has nothing else to do
//   transport ring FILE BYTES         writes them into a ring in shared memory, for itself to read
//
// KIND: null, pipe, pipe-small (64 KiB), pipe-large (8 MiB, needs CAP_SYS_RESOURCE), fifo, socket.
// `drain` and `ring` print one line of JSON: seconds, and processor seconds of both ends. Every
// reader looks at one byte of each cache line, so that one that need not copy has read all the
// same.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kBlockBytes = 256 << 10;  // the engine's
constexpr size_t kWindowBytes = 4 << 20;   // of the file: about what the engine's blocks have
constexpr size_t kRingBytes = 4 << 20;

[[noreturn]] void fail(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

uint64_t sum_of(const char* data, size_t size) {
  uint64_t sum = 0;
  for (size_t at = 0; at < size; at += 64) sum += static_cast<unsigned char>(data[at]);
  return sum;
}

double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

void report(double wall, double writer, double reader, uint64_t bytes, uint64_t sum) {
  std::printf(R"({"wall": %.4f, "writerCpu": %.4f, "readerCpu": %.4f, "bytes": %llu, "sum": %llu})"
              "\n",
              wall, writer, reader, static_cast<unsigned long long>(bytes),
              static_cast<unsigned long long>(sum));
}

struct Ends {
  int read = -1;
  int write = -1;
};

Ends make_pipe(int size) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  if (size > 0 && fcntl(ends[1], F_SETPIPE_SZ, size) < 0) fail("F_SETPIPE_SZ");
  return {ends[0], ends[1]};
}

Ends make_fifo() {
  std::string path = "/tmp/transport-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) fail("mkdtemp");
  const std::string name = path + "/fifo";
  if (mkfifo(name.c_str(), 0600) != 0) fail("mkfifo");
  const int read = open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int write = open(name.c_str(), O_WRONLY | O_CLOEXEC);
  unlink(name.c_str());
  rmdir(path.c_str());
  if (read < 0 || write < 0 || fcntl(read, F_SETFL, 0) != 0) fail("fifo");
  if (fcntl(write, F_SETPIPE_SZ, 1 << 20) < 0) fail("F_SETPIPE_SZ");
  return {read, write};
}

Ends make_socket() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail("socketpair");
  const int size = 8 << 20;
  if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  }
  return {ends[0], ends[1]};
}

Ends make(std::string_view kind) {
  if (kind == "null") return {-1, open("/dev/null", O_WRONLY | O_CLOEXEC)};
  if (kind == "pipe") return make_pipe(1 << 20);
  if (kind == "pipe-small") return make_pipe(0);
  if (kind == "pipe-large") return make_pipe(8 << 20);
  if (kind == "fifo") return make_fifo();
  if (kind == "socket") return make_socket();
  std::fprintf(stderr, "transport: no kind %s\n", std::string(kind).c_str());
  std::exit(2);
}

int drain(std::string_view kind, char** command) {
  const Ends ends = make(kind);
  const double begin = now();
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends.write, STDOUT_FILENO);
    execvp(command[0], command);
    fail(command[0]);
  }
  close(ends.write);
  std::vector<char> piece(kReadBytes);
  uint64_t bytes = 0;
  uint64_t sum = 0;
  while (ends.read >= 0) {
    const ssize_t size = read(ends.read, piece.data(), piece.size());
    if (size <= 0) break;
    bytes += static_cast<uint64_t>(size);
    sum += sum_of(piece.data(), static_cast<size_t>(size));
  }
  int status = 0;
  waitpid(child, &status, 0);
  report(now() - begin, cpu_seconds(RUSAGE_CHILDREN), cpu_seconds(RUSAGE_SELF), bytes, sum);
  return status == 0 ? 0 : 1;
}

std::vector<char> window_of(const char* path) {
  std::vector<char> window(kWindowBytes);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t size = read(fd, window.data(), window.size());
  if (size <= 0) fail(path);
  window.resize(static_cast<size_t>(size));
  close(fd);
  return window;
}

// Calls take(data, size), which returns how much it took, until `bytes` are gone.
template <typename Take>
void write_all(const std::vector<char>& window, uint64_t bytes, size_t piece, Take take) {
  size_t at = 0;
  while (bytes > 0) {
    const size_t rest = std::min<uint64_t>(bytes, std::min(piece, window.size() - at));
    const size_t size = take(window.data() + at, rest);
    bytes -= size;
    at = at + size == window.size() ? 0 : at + size;
  }
}

int write_file(const char* path, uint64_t bytes, size_t piece) {
  write_all(window_of(path), bytes, piece, [](const char* data, size_t size) {
    const ssize_t written = write(STDOUT_FILENO, data, size);
    if (written <= 0) fail("write");
    return static_cast<size_t>(written);
  });
  return 0;
}

// One writer, one reader. Each says that it sleeps before it looks a last time, so that the other
// calls the system only for one that sleeps.
struct Ring {
  alignas(64) std::atomic<uint64_t> written{0};
  alignas(64) std::atomic<uint64_t> read{0};
  alignas(64) std::atomic<bool> reader_sleeps{false};
  alignas(64) std::atomic<bool> writer_sleeps{false};
  std::atomic<bool> ended{false};
};

void wait_on(int event) {
  uint64_t count = 0;
  if (read(event, &count, sizeof(count)) < 0) fail("eventfd");
}

void wake(int event, std::atomic<bool>& sleeps) {
  const uint64_t one = 1;
  if (sleeps.exchange(false) && write(event, &one, sizeof(one)) < 0) fail("eventfd");
}

int ring(const char* path, uint64_t total) {
  const std::vector<char> window = window_of(path);
  const int memory = memfd_create("ring", MFD_CLOEXEC);
  if (ftruncate(memory, kRingBytes + 4096) != 0) fail("memfd");
  void* mapped = mmap(nullptr, kRingBytes + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                      memory, 0);
  if (mapped == MAP_FAILED) fail("mmap");
  auto* ends = new (mapped) Ring;
  char* data = static_cast<char*>(mapped) + 4096;
  const int filled = eventfd(0, EFD_CLOEXEC);
  const int emptied = eventfd(0, EFD_CLOEXEC);
  const double begin = now();
  const pid_t child = fork();
  if (child == 0) {
    write_all(window, total, kBlockBytes, [&](const char* from, size_t size) {
      const uint64_t at = ends->written.load();
      size_t room = kRingBytes - (at - ends->read.load());
      if (room < size) {
        ends->writer_sleeps.store(true);
        room = kRingBytes - (at - ends->read.load());
        if (room < size) {
          wait_on(emptied);
          return size_t{0};
        }
        ends->writer_sleeps.store(false);
      }
      const size_t part = std::min<size_t>(size, kRingBytes - at % kRingBytes);
      std::memcpy(data + at % kRingBytes, from, part);
      ends->written.store(at + part);
      wake(filled, ends->reader_sleeps);
      return part;
    });
    ends->ended.store(true);
    wake(filled, ends->reader_sleeps);
    _exit(0);
  }
  uint64_t sum = 0;
  for (uint64_t at = 0;;) {
    const uint64_t end = ends->written.load();
    if (at == end) {
      if (ends->ended.load() && at == ends->written.load()) break;
      ends->reader_sleeps.store(true);
      if (ends->written.load() == at && !ends->ended.load()) wait_on(filled);
      ends->reader_sleeps.store(false);
      continue;
    }
    const size_t part = std::min<uint64_t>(end - at, kRingBytes - at % kRingBytes);
    sum += sum_of(data + at % kRingBytes, part);
    at += part;
    ends->read.store(at);
    // Half of it at once, for one wake-up.
    if (ends->written.load() - at <= kRingBytes / 2) wake(emptied, ends->writer_sleeps);
  }
  waitpid(child, nullptr, 0);
  report(now() - begin, cpu_seconds(RUSAGE_CHILDREN), cpu_seconds(RUSAGE_SELF), total, sum);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "drain" && argc > 3) return drain(argv[2], argv + 3);
  if (what == "write" && argc == 5) {
    return write_file(argv[2], std::strtoull(argv[3], nullptr, 10),
                      std::strtoull(argv[4], nullptr, 10));
  }
  if (what == "ring" && argc == 4) return ring(argv[2], std::strtoull(argv[3], nullptr, 10));
  std::fputs("usage: transport drain KIND COMMAND... | write FILE BYTES PIECE | ring FILE BYTES\n",
             stderr);
  return 2;
}
