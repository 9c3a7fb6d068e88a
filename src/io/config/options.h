#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "io/base/problem.h"
#include "io/config/completion.h"
#include "io/config/config.h"
#include "io/config/config_check.h"

namespace tcp_sniffer {

enum class Action : uint8_t {
  kRun,
  kCheck,               // report what would be captured and what prevents it
  kShortHelp,           // print short_help_text()
  kHelp,                // print help_text()
  kHelpMarkdown,        // print keys_markdown()
  kHelpFields,          // print fields_text()
  kHelpFieldsMarkdown,  // print fields_markdown()
  kVersion,             // print the versions
  kListInterfaces,      // print the interfaces
  kCompletion,          // print completion_script(Invocation::shell)
};

// A flag that is no key: it asks for something else than a run, or is of the run's start.
struct ActionFlag {
  std::string_view name;
  Action action{};
  char short_flag = 0;
  std::string_view value_name{};  // it has a value
  std::string_view meaning{};     // in --help; empty: it is for the project's own tools
};
// In the order in which they are shown. If a command line has several, the last one in this table
// counts.
std::span<const ActionFlag> action_flags();

// What the command line asks for. The configuration is complete, resolved and checked for kRun
// and kCheck, and left at its defaults for the others.
struct Invocation {
  Action action = Action::kRun;
  Config config;
  // --config -: the end of standard input, the caller's life line, ends a live capture.
  bool config_from_stdin = false;
  Shell shell = Shell::kBash;  // of kCompletion
  // The configuration file, if it can be read again: one that is no pipe.
  std::string config_file{};
};

// Why there is no run.
struct Rejection {
  Problem problem;
  // The form in which to report it, as far as it was known when the problem was found.
  LogFormat log_format = LogFormat::kAuto;
};

using ParseResult = std::variant<Invocation, Rejection>;

// Reads the command line (without the program's name), then the configuration file that it names,
// from `standard_input` for "-", or without --config the one of the environment; a flag beats the
// file. A word without a flag is a capture file (is_file_word), or else a part of the filter. A
// flag for one of `interface` and `files` replaces the file's value of the other. Throws nothing.
// The environment's config_from_stdin is not looked at. `running`: the configuration of the run
// that reads its file again. It keeps its key when the file that has it bears the same name and may
// not be read any more, because the run goes on as another user.
ParseResult parse_command_line(std::span<const char* const> arguments, Environment environment,
                               int standard_input = 0, const Config* running = nullptr);

// -h: what most people need, in 80 columns and fewer than 24 lines.
std::string short_help_text();

// --help: 80 columns.
std::string help_text();

// Every key in Markdown: a heading and a table for each group.
std::string keys_markdown();

}  // namespace tcp_sniffer
