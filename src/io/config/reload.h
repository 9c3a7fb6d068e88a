#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/base/problem.h"
#include "io/config/config.h"
#include "io/config/config_check.h"

namespace tcp_sniffer {

// What a run takes from its configuration file when it is read again.
struct Reload {
  Config config;                     // of the run, from here on
  std::vector<std::string> changed;  // keys that have another value now
  // Keys that have another value in the file, or are not there any more, and cannot change.
  std::vector<std::string> ignored;
};

// The configuration file of a run, read again with the flags of its start: a flag beats the file.
class ConfigFile {
 public:
  // `path`: Invocation::config_file. The arguments outlive it.
  ConfigFile(std::span<const char* const> arguments, Environment environment, std::string path);

  const std::string& path() const { return path_; }
  // `running` is the configuration of the run. The file has to be one with which a start would
  // succeed, and so has what comes of it for the run; else the first rule broken, in the words of a
  // start. Does not wait for a pipe that has taken the place of the file.
  std::variant<Reload, Problem> read_again(const Config& running) const;

 private:
  const std::span<const char* const> arguments_;
  const Environment environment_;
  const std::string path_;
};

// Gives `to` the values of `from` that a run takes over, and touches no other member.
void copy_reloaded(const Config& from, Config& to);

}  // namespace tcp_sniffer
