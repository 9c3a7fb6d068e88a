// Configurations, as JSON and as flags: each is taken whole or rejected with one line that a
// terminal can show, and what is taken lies in the ranges of the table.

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "fuzz_input.h"
#include "io/config/config_check.h"
#include "io/config/config_parse.h"
#include "io/config/options.h"
#include "io/run/engine_settings.h"
#include "support/run_program.h"

namespace tcp_sniffer::fuzz {
namespace {

void expect_sentence(const Problem& problem) {
  EXPECT_EQ(problem.code, ErrorCode::kInvalidConfig);
  const std::string message = problem.message();
  EXPECT_FALSE(message.empty());
  for (const char c : message) {
    EXPECT_TRUE(static_cast<uint8_t>(c) >= 0x20 && c != 0x7f) << message;
  }
}

void expect_in_range(const Config& config) {
  for (const KeySpec& key : config_keys()) {
    if (const auto* number = std::get_if<uint64_t Config::*>(&key.target)) {
      if (!is_given(config, key.name)) continue;
      EXPECT_GE(config.**number, key.minimum) << key.name;
      EXPECT_LE(config.**number, key.maximum) << key.name;
    } else if (const auto* ports = std::get_if<std::vector<uint16_t> Config::*>(&key.target)) {
      for (const uint16_t port : config.**ports) {
        EXPECT_GE(port, key.minimum) << key.name;
        EXPECT_LE(port, key.maximum) << key.name;
      }
    }
  }
}

Environment environment() {
  Environment environment;
  environment.cpus = 4;
  return environment;
}

// What is accepted can be used: every translation of it into settings makes sense.
void expect_usable(Config config) {
  resolve_defaults(config, environment());
  if (const auto error = check_config(config, environment())) {
    expect_sentence(*error);
    return;
  }
  const uint32_t shards = std::max(1u, shard_count(config, may_read_in_team(config)));
  const ShardSettings settings = shard_settings(config, shards);
  EXPECT_GT(settings.memory_bytes_max, 0u);
  EXPECT_GT(settings.protocols.http.outstanding_max, 0u);
  EXPECT_GT(settings.protocols.http.header_bytes_max, 0u);
  EXPECT_GT(settings.idle_timeout_ns, 0);
  EXPECT_GT(settings.reassembly.buffer_max, 0u);
  EXPECT_LE(settings.reassembly.buffer_max, config.memory_limit);
  keys_without_effect(config);
}

void check_json(std::string_view text) {
  Config config;
  if (const auto error = parse_config_json(text, config)) {
    expect_sentence(*error);
    return;
  }
  expect_in_range(config);
  expect_usable(config);
}

// The words of a command line, apart by line feeds. A configuration file is read from memory.
void check_flags(std::string_view text) {
  std::vector<std::string> words;
  const size_t first_end = std::min(text.find('\n'), text.size());
  const Descriptor json = memory_file(text.substr(0, first_end));
  text.remove_prefix(std::min(text.size(), first_end + 1));
  while (!text.empty() && words.size() < 64) {
    const size_t end = std::min(text.find('\n'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
    // Only what the input brings is read, no file of the machine.
    if (words.back().find("config") != std::string::npos) words.back() = "--config=-";
  }
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  const ParseResult result = parse_command_line(arguments, environment(), json.get());
  if (const auto* rejection = std::get_if<Rejection>(&result)) {
    expect_sentence(rejection->problem);
    return;
  }
  const Config& config = std::get<Invocation>(result).config;
  expect_in_range(config);
  if (std::get<Invocation>(result).action == Action::kRun) expect_usable(config);
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  FuzzInput input(data, size);
  if ((input.u8() & 1) == 0) {
    check_json(input.rest());
  } else {
    check_flags(input.rest());
  }
  return 0;
}
