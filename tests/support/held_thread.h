#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <string>

// A thread of another program that never comes back: it is stopped as a debugger stops it.
namespace tcp_sniffer {

// The thread of that name; 0: there is none.
inline pid_t thread_named(pid_t process, const std::string& name) {
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::string found;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, found);
    if (found == name) return static_cast<pid_t>(std::stol(task.path().filename()));
  }
  return 0;
}

// Holds a thread for as long as it lives.
class Held {
 public:
  explicit Held(pid_t thread) : thread_(thread) {
    held_ = ::ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr) == 0 &&
            ::ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr) == 0 &&
            ::waitpid(thread_, nullptr, __WALL) == thread_;
  }
  bool held() const { return held_; }
  // A thread that was held is a zombie, and its process with it, until its tracer has looked.
  void look() const { ::waitpid(thread_, nullptr, __WALL | WNOHANG); }

 private:
  pid_t thread_;
  bool held_ = false;
};

}  // namespace tcp_sniffer
