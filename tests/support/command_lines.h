#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/config/options.h"

// Command lines as the program parses them, and files and standard inputs for --config.
namespace tcp_sniffer::command_lines {

using Arguments = std::vector<const char*>;

inline constexpr Environment kServer = {.cpus = 4};

inline ParseResult parse(const Arguments& arguments) {
  return parse_command_line(arguments, kServer);
}

inline Invocation accepted(const Arguments& arguments) {
  ParseResult result = parse(arguments);
  if (auto* refused = std::get_if<Rejection>(&result)) {
    ADD_FAILURE() << refused->problem.message();
    return {};
  }
  return std::get<Invocation>(result);
}

inline std::string refusal(const Arguments& arguments) {
  ParseResult result = parse(arguments);
  if (auto* refused = std::get_if<Rejection>(&result)) return refused->problem.message();
  return "";
}

// Standard input with a text in it, for --config -.
class FakeInput {
 public:
  explicit FakeInput(std::string_view text) {
    EXPECT_EQ(::pipe(ends_), 0);
    EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(ends_[1]);
  }
  ~FakeInput() { ::close(ends_[0]); }
  int fd() const { return ends_[0]; }

 private:
  int ends_[2] = {-1, -1};
};

// A configuration file that lives as long as the test.
class FakeFile {
 public:
  explicit FakeFile(std::string_view text) {
    char name[] = "/tmp/options_test.XXXXXX";
    const int fd = ::mkstemp(name);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
    path_ = name;
  }
  ~FakeFile() { std::filesystem::remove(path_); }
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

}  // namespace tcp_sniffer::command_lines
