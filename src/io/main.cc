#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "core/field/fields.h"
#ifdef TCP_SNIFFER_WITH_MIMALLOC
#include "io/allocator_options.h"
#endif
#include "io/base/kafka_target.h"
#include "io/base/pager.h"
#include "io/base/privileges.h"
#include "io/base/version.h"
#include "io/capture/interfaces.h"
#include "io/capture/interfaces_text.h"
#include "io/config/completion.h"
#include "io/config/config_check.h"
#include "io/config/options.h"
#include "io/config/reload.h"
#include "io/event/event_log.h"
#include "io/event/events.h"
#include "io/run/engine.h"
#include "io/run/preflight.h"

namespace {

using namespace tcp_sniffer;

// A closed standard descriptor must not become a capture handle's number. The one for standard
// output cannot be written, so that lines are not lost without an error of the output.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) {
      throw std::runtime_error("a standard descriptor is closed, and /dev/null cannot be opened");
    }
  }
}

int print(const std::string& text) {
  // If a text is longer than the stream's buffer, fputs fails, and fflush then reports no error.
  const bool taken = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return taken ? 0 : exit_status(ErrorCode::kOutputFailed);
}

EventLog::Settings log_settings(const Config& config) {
  EventLog::Settings settings;
  settings.level = config.log_level;
  settings.format = config.log_format;
  return settings;
}

int reject(const Rejection& rejection, const Environment& environment) {
  EventLog::Settings settings;
  settings.format = rejection.log_format;
  if (settings.format == LogFormat::kAuto) {
    settings.format = environment.stderr_is_terminal ? LogFormat::kText : LogFormat::kJson;
  }
  EventLog log(settings);
  const Problem& problem = rejection.problem;
  log.fatal(problem.code, problem.message());
  log.close();
  if (settings.format == LogFormat::kText) std::fputs(problem.place.c_str(), stderr);
  return exit_status(problem.code);
}

int print_interfaces() {
  const InterfaceList list = list_interfaces();
  if (!list.error.empty()) {
    std::fprintf(stderr, "%s\n", list.error.c_str());
    return exit_status(ErrorCode::kInvalidInterface);
  }
  const InterfacesText text = interfaces_text(list);
  std::fputs(text.refused.c_str(), stderr);
  return print(text.opens);
}

int run(const Invocation& invocation, const std::vector<const char*>& arguments,
        const Environment& environment) {
  Engine::block_signals();
#ifdef TCP_SNIFFER_WITH_MIMALLOC
  if (is_kafka(invocation.config.output)) keep_freed_memory_for_a_moment();
#endif
  EventLog log(log_settings(invocation.config));
  int status = 0;
  {
    std::optional<ConfigFile> file;
    if (!invocation.config_file.empty()) {
      file.emplace(arguments, environment, invocation.config_file);
    }
    Engine engine(invocation.config, invocation.config_from_stdin, log, file ? &*file : nullptr);
    status = engine.run();
  }
  // The closing ledger must not be lost because the machine is busy.
  log.close(5000);
  return status;
}

int run_command(const std::vector<const char*>& arguments) {
  open_standard_descriptors();
  const Environment environment = current_environment();
  const ParseResult parsed = parse_command_line(arguments, environment);
  if (const auto* rejection = std::get_if<Rejection>(&parsed)) {
    return reject(*rejection, environment);
  }
  const auto& invocation = std::get<Invocation>(parsed);
  raise_capture_right();
  switch (invocation.action) {
    case Action::kShortHelp:
      return print(short_help_text());
    case Action::kHelp:
      if (environment.stdout_is_terminal && show_in_pager(help_text())) return 0;
      return print(help_text());
    case Action::kHelpMarkdown:
      return print(keys_markdown());
    case Action::kHelpFields:
      return print(fields_text());
    case Action::kHelpFieldsMarkdown:
      return print(fields_markdown());
    case Action::kVersion:
      return print(version_text());
    case Action::kListInterfaces:
      return print_interfaces();
    case Action::kCompletion:
      return print(completion_script(invocation.shell));
    case Action::kCheck:
      return check(invocation.config);
    case Action::kRun:
      return run(invocation, arguments, environment);
  }
  return 0;
}

// For errors that no part reports, such as memory or a thread that the system refuses. Written here
// and not by an EventLog, which needs both.
int report_internal_fault(const char* what) noexcept {
  try {
    const EventFields fields = {{"code", code_name(ErrorCode::kInternal)}};
    const std::chrono::microseconds now = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const LogFormat format = isatty(STDERR_FILENO) != 0 ? LogFormat::kText : LogFormat::kJson;
    const std::string line =
        format_event(format, LogLevel::kError, event::kFatal,
                     std::string("a fault of this program: ") + what, fields, now.count());
    std::fputs(line.c_str(), stderr);
  } catch (const std::exception&) {
    std::fputs(
        R"({"level":"error","event":"fatal","message":"no memory is left","code":"INTERNAL"})"
        "\n",
        stderr);
  }
  return exit_status(ErrorCode::kInternal);
}

// For what the parts of the run do not catch, for example on threads that a library has made.
[[noreturn]] void end_for_internal_fault() noexcept {
  const char* what = "an exception";
  try {
    if (const std::exception_ptr current = std::current_exception()) {
      std::rethrow_exception(current);
    }
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  _exit(report_internal_fault(what));
}

// Before the first object of static duration, which may need memory.
[[gnu::constructor(101)]] void prepare_for_faults() {
  std::set_terminate(end_for_internal_fault);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_command(std::vector<const char*>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    return report_internal_fault(error.what());
  }
}
