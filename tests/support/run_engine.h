#pragma once

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "io/config/options.h"
#include "io/event/event_log.h"
#include "io/run/engine.h"
#include "support/run_program.h"

// Runs the whole engine inside the test: the same as the program with these arguments, without the
// cost of starting it.
namespace tcp_sniffer {

inline Finished run_engine(std::vector<std::string> arguments) {
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  arguments.push_back("--output");
  arguments.push_back("/proc/self/fd/" + std::to_string(out.get()));
  std::vector<const char*> words;
  for (const std::string& word : arguments) words.push_back(word.c_str());
  const ParseResult parsed = parse_command_line(words, Environment{});
  Finished result;
  if (const auto* rejection = std::get_if<Rejection>(&parsed)) {
    ADD_FAILURE() << rejection->problem.message();
    return result;
  }
  const Invocation& invocation = std::get<Invocation>(parsed);
  EventLog::Settings settings;
  settings.level = invocation.config.log_level;
  settings.fd = err.get();
  settings.events_per_window_max = 1000000;
  EventLog log(settings);
  {
    Engine engine(invocation.config, false, log);
    result.exit.code = engine.run();
  }
  EXPECT_TRUE(log.close(60000));
  result.out = content_of(out);
  result.err = content_of(err);
  return result;
}

}  // namespace tcp_sniffer
