#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/ledger_check.h"
#include "support/run_program.h"

// The program that follows captures, and writers of them.
namespace tcp_sniffer {

// Writes to the end of a file at once, as a writer without a buffer does.
inline void append_to(const std::filesystem::path& path, std::string_view bytes) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR));
  ASSERT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

// `--follow` under way. Its lines are those of the format ndjson.
class FollowRunning {
 public:
  explicit FollowRunning(const std::vector<std::string>& arguments)
      : out_(memory_file()), err_(memory_file()), child_(all(arguments), streams()) {}

  std::string out() const { return content_of(out_); }
  std::string err() const { return content_of(err_); }
  size_t lines() const { return lines_of(out()).size(); }
  size_t events(std::string_view name) const {
    return ::tcp_sniffer::events_named(err(), name).size();
  }
  std::vector<Json> events_named(std::string_view name) const {
    return ::tcp_sniffer::events_named(err(), name);
  }
  // Whether it comes to so many lines, or events.
  bool reaches(size_t count) const {
    const bool done = until([&] { return lines() >= count; });
    EXPECT_TRUE(done) << lines() << " lines; " << err().substr(0, 4000);
    return done;
  }
  bool reports(std::string_view name, size_t count = 1) const {
    const bool done = until([&] { return events(name) >= count; });
    EXPECT_TRUE(done) << err().substr(0, 4000);
    return done;
  }

  // Waits for the end, and returns `stopped`, whose sums hold.
  Json end() {
    const Exit exit = child_.wait(std::chrono::minutes(1));
    EXPECT_TRUE(exit.in_time);
    EXPECT_EQ(exit.code, 0) << err().substr(0, 4000);
    const Json stopped = event_named(err(), "stopped");
    expect_ledger_closes(stopped);
    const Json& follow = stopped["follow"];
    EXPECT_EQ(follow["found"], ledger_sum(follow, {"read", "skipped", "missed", "waiting"}))
        << follow;
    return stopped;
  }
  Json stop() {
    child_.signal(SIGTERM);
    return end();
  }
  Child& child() { return child_; }

 private:
  static std::vector<std::string> all(const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {"--follow", "--format", "ndjson", "-r"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return sniffer(words);
  }
  Child::Streams streams() const { return {-1, out_.get(), err_.get()}; }

  const Descriptor out_;
  const Descriptor err_;
  Child child_;
};

}  // namespace tcp_sniffer
