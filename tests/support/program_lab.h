#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/capture_maker.h"
#include "support/run_program.h"

// What the tests of the whole program share: captures to read, and readers and writers of pipes.
namespace tcp_sniffer {

inline const std::string kShop = capture("site_and_api.pcap").string();
constexpr size_t kShopMessages = 24;

// Many exchanges on a few connections: `exchanges` requests and responses.
inline std::string many_exchanges(size_t exchanges, size_t body_bytes = 100) {
  CaptureMaker maker;
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 4; i++) connections.push_back(maker.open());
  const std::string body(body_bytes, 'b');
  for (size_t i = 0; i < exchanges; i++) {
    maker.exchange(connections[i % connections.size()], "/" + std::to_string(i), body);
  }
  for (auto& connection : connections) maker.close(connection);
  return maker.bytes();
}

inline Json fatal_of(const Finished& run) {
  EXPECT_EQ(run.out, "") << "nothing but messages belongs on standard output";
  return event_named(run.err, "fatal");
}

inline bool all_lines_whole(std::string_view text) {
  if (!text.empty() && text.back() != '\n') return false;
  for (const std::string& line : lines_of(text)) {
    if (Json::parse(line, nullptr, false).is_discarded()) return false;
  }
  return true;
}

// Reads until the end, or until `stop` says so.
inline std::string read_all(int fd, const std::function<bool(const std::string&)>& stop = {}) {
  std::string text;
  char bytes[65536];
  while (!stop || !stop(text)) {
    const ssize_t size = ::read(fd, bytes, sizeof(bytes));
    if (size <= 0) break;
    text.append(bytes, static_cast<size_t>(size));
  }
  return text;
}

// Puts the text into the pipe from a thread of its own, and closes it.
class Feeder {
 public:
  Feeder(Descriptor to, std::string text)
      : thread_([to = std::move(to), text = std::move(text)]() mutable {
          std::string_view rest = text;
          while (!rest.empty()) {
            const ssize_t size = ::write(to.get(), rest.data(), rest.size());
            if (size <= 0) return;
            rest.remove_prefix(static_cast<size_t>(size));
          }
        }) {}
  ~Feeder() { thread_.join(); }

 private:
  std::thread thread_;
};

// A program that reads a capture which does not end, and what it writes.
class Running {
 public:
  explicit Running(std::vector<std::string> arguments, const std::string& capture_bytes)
      : in_(make_pipe()), out_(make_pipe()), err_(memory_file()) {
    arguments.insert(arguments.begin(), {"-r", "-", "--format", "ndjson"});
    child_ = std::make_unique<Child>(
        sniffer(std::move(arguments)),
        Child::Streams{in_.read_end.get(), out_.write_end.get(), err_.get()});
    out_.write_end.reset();
    in_.read_end.reset();
    feeder_ = std::thread([this, capture_bytes] {
      std::string_view rest = capture_bytes;
      while (!rest.empty()) {
        const ssize_t size = ::write(in_.write_end.get(), rest.data(), rest.size());
        if (size <= 0) return;
        rest.remove_prefix(static_cast<size_t>(size));
      }
      fed_.store(true);
    });
  }
  ~Running() {
    child_.reset();
    feeder_.join();
  }

  Child& child() { return *child_; }
  int out() const { return out_.read_end.get(); }
  bool fed() const { return fed_.load(); }
  std::string said() const { return content_of(err_); }

 private:
  Pipe in_;
  Pipe out_;
  Descriptor err_;
  std::unique_ptr<Child> child_;
  std::atomic<bool> fed_{false};
  std::thread feeder_;
};

class IgnoreSigpipe : public testing::Environment {
  void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }
};
inline const auto* const ignore_sigpipe = testing::AddGlobalTestEnvironment(new IgnoreSigpipe);

}  // namespace tcp_sniffer
