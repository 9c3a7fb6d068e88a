#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/repetitions.h"

extern char** environ;

// Runs programs, the sniffer above all, as a shell would, and reads what they say.
namespace tcp_sniffer {

using Json = nlohmann::json;

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

inline Pipe make_pipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

inline Descriptor memory_file(std::string_view content = {}) {
  Descriptor file(::memfd_create("test", MFD_CLOEXEC));
  while (!content.empty()) {
    const ssize_t size = ::write(file.get(), content.data(), content.size());
    if (size <= 0) break;
    content.remove_prefix(static_cast<size_t>(size));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

inline std::string content_of(const Descriptor& file) {
  struct stat status {};
  ::fstat(file.get(), &status);
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t size =
        ::pread(file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (size <= 0) break;
    done += static_cast<size_t>(size);
  }
  text.resize(done);
  return text;
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  ASSERT_TRUE(out.good()) << path;
}

// Waits until `done` holds: true; false when it does not within a time that only a fault needs.
inline bool until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Waits until a number that grows has begun to and then stands still, because what makes it grow is
// held up.
inline bool until_still(const std::function<uint64_t()>& number) {
  uint64_t before = 0;
  int unchanged = 0;
  return until([&] {
    const uint64_t now = number();
    unchanged = now == 0 || now != before ? 0 : unchanged + 1;
    before = now;
    return unchanged == 200;
  });
}

// The bytes that wait in a pipe.
inline uint64_t waiting_in(int read_end) {
  int size = 0;
  EXPECT_EQ(::ioctl(read_end, FIONREAD, &size), 0);
  return static_cast<uint64_t>(size);
}

struct Exit {
  int code = -1;   // -1: it did not end by itself
  int signal = 0;  // that ended it
  bool in_time = true;
  uint64_t resident_max = 0;  // bytes, the most it had while it was waited for
};

// A program under way. Whoever leaves it running kills it.
class Child {
 public:
  struct Streams {
    int in = -1;  // -1: /dev/null
    int out = -1;
    int err = -1;
    bool out_closed = false;
  };

  Child(const std::vector<std::string>& command, const Streams& streams) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int wanted[3] = {streams.in, streams.out, streams.err};
    for (int fd = 0; fd < 3; fd++) {
      if (wanted[fd] >= 0) {
        posix_spawn_file_actions_adddup2(&actions, wanted[fd], fd);
      } else {
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY,
                                         0);
      }
    }
    if (streams.out_closed) posix_spawn_file_actions_addclose(&actions, 1);
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const int error =
        ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << command[0] << ": " << std::strerror(error);
    if (error != 0) pid_ = -1;
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
  }
  pid_t pid() const { return pid_; }

  // Whether the program has taken the signal, which it reads from a descriptor.
  bool has_taken(int number) const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("ShdPnd:")) continue;
      return (std::strtoull(line.c_str() + 7, nullptr, 16) >> (number - 1) & 1) == 0;
    }
    return true;
  }

  Exit wait(std::chrono::milliseconds longest = std::chrono::minutes(5)) {
    const auto deadline = std::chrono::steady_clock::now() + longest;
    Exit exit;
    while (pid_ > 0) {
      exit.resident_max = std::max(exit.resident_max, resident_max());
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
        if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
        return exit;
      }
      if (std::chrono::steady_clock::now() >= deadline) break;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    exit.in_time = false;
    return exit;
  }

 private:
  // VmHWM. The kernel's ru_maxrss is no use here: it begins with what the parent had.
  uint64_t resident_max() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
    }
    return 0;
  }

  pid_t pid_ = -1;
};

struct Finished {
  Exit exit;
  std::string out;
  std::string err;
};

// TCP_SNIFFER_COMMAND: another program, or the words that run it, for instance in an emulator.
inline std::vector<std::string> sniffer(const std::vector<std::string>& arguments) {
  const char* said = std::getenv("TCP_SNIFFER_COMMAND");
  std::istringstream words(said == nullptr ? TCP_SNIFFER_BINARY : said);
  std::vector<std::string> command{std::istream_iterator<std::string>(words), {}};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

// Runs to the end with standard output and standard error in memory.
inline Finished run(const std::vector<std::string>& command, std::string_view standard_input = {}) {
  const Descriptor in = memory_file(standard_input);
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  Child child(command, {in.get(), out.get(), err.get()});
  Finished result;
  result.exit = child.wait();
  result.out = content_of(out);
  result.err = content_of(err);
  return result;
}

inline Finished run_sniffer(const std::vector<std::string>& arguments,
                            std::string_view standard_input = {}) {
  return run(sniffer(arguments), standard_input);
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

inline std::vector<std::string> sorted_lines(std::string_view text) {
  std::vector<std::string> lines = lines_of(text);
  std::sort(lines.begin(), lines.end());
  return lines;
}

inline std::vector<Json> json_lines(std::string_view text) {
  std::vector<Json> values;
  for (const std::string& line : lines_of(text)) {
    values.push_back(Json::parse(line, nullptr, false));
    EXPECT_FALSE(values.back().is_discarded()) << "not JSON: " << line;
  }
  return values;
}

// The events of that name, in their order.
inline std::vector<Json> events_named(std::string_view standard_error, std::string_view name) {
  std::vector<Json> found;
  for (Json& event : json_lines(standard_error)) {
    if (event.is_object() && event.value("event", "") == name) found.push_back(std::move(event));
  }
  return found;
}

inline Json event_named(std::string_view standard_error, std::string_view name) {
  std::vector<Json> found = events_named(standard_error, name);
  EXPECT_EQ(found.size(), 1u) << "events named " << name << " in:\n" << standard_error;
  return found.empty() ? Json::object() : std::move(found.front());
}

inline std::filesystem::path source_dir() {
  return TCP_SNIFFER_SOURCE_DIR;
}
inline std::filesystem::path capture(std::string_view name) {
  return source_dir() / "pcaps" / name;
}
inline std::filesystem::path corpus_dir() {
  return source_dir().parent_path() / "shared" / "corpus";
}

// Capture files of a folder in the order of their names.
inline std::vector<std::filesystem::path> captures_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  if (!std::filesystem::is_directory(folder)) return found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string extension = entry.path().extension();
    if (extension == ".pcap" || extension == ".pcapng" || extension == ".cap" ||
        extension == ".trace" || extension == ".dump" || extension == ".pcapdump") {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// A folder of its own, removed afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tcp_sniffer_test.XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tcp_sniffer
