#include "io/config/options.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "io/base/printable.h"
#include "io/config/command_line.h"
#include "io/config/config_parse.h"
#include "io/config/config_values.h"
#include "io/config/key_file.h"

namespace tcp_sniffer {
namespace {

std::optional<Problem> read_config(const std::string& path, int standard_input, Config& config) {
  std::string text;
  if (auto wrong = read_config_text(path, standard_input, text)) return wrong;
  return parse_config_json(text, config);
}

// A file that the environment names is not in sight on the command line, so an error names it.
std::optional<Problem> read_environment_config(const std::string& path, Config& config) {
  const std::string where = "TCP_SNIFFER_CONFIG: " + quote_text(path);
  if (path == "-") return error(where + " is not a file; allowed: the path of one, or --config -");
  auto wrong = read_config(path, -1, config);
  if (wrong) wrong->tried = where + ": " + wrong->tried;
  return wrong;
}

void set_aside(Config& config, std::string_view name) {
  config.given.reset(key_index(name));
  if (name == "files") config.files.clear();
  if (name == "interface") config.interfaces.clear();
}

std::optional<Problem> read_redact_key(const Config* running, Config& config) {
  auto wrong = read_key_file(config.redact_key_file, config.redact_key);
  if (!wrong || running == nullptr || running->redact_key.empty()) return wrong;
  const bool is_the_same = running->redact_key_file == config.redact_key_file;
  const bool is_readable =
      faccessat(AT_FDCWD, config.redact_key_file.c_str(), R_OK, AT_EACCESS) == 0;
  if (!is_the_same || is_readable || errno != EACCES) return wrong;
  config.redact_key = running->redact_key;
  return {};
}

std::variant<Invocation, Problem> parse(std::span<const char* const> arguments,
                                        Environment& environment, int standard_input,
                                        const Config* running, Config& config) {
  CommandLine line;
  if (auto wrong = line.parse(arguments)) return *wrong;
  Invocation invocation;
  invocation.action = line.action();
  if (invocation.action == Action::kCompletion) {
    if (auto wrong = line.read_shell(invocation.shell)) return *wrong;
  }
  if (invocation.action != Action::kRun && invocation.action != Action::kCheck) return invocation;

  const std::optional<std::string> path = line.config_path();
  environment.config_from_stdin = path == "-";
  invocation.config_from_stdin = environment.config_from_stdin;
  if (auto wrong = line.refuse_other_words()) return *wrong;
  if (auto wrong = line.refuse_flags_as_values()) return *wrong;
  if (auto wrong = line.refuse_leftovers()) return *wrong;
  if (auto wrong = line.refuse_values_as_filter()) return *wrong;
  invocation.config_file = path ? *path : environment.config_path;
  std::error_code ignored;
  if (invocation.config_from_stdin ||
      !std::filesystem::is_regular_file(invocation.config_file, ignored)) {
    invocation.config_file.clear();
  }
  if (path) {
    if (auto wrong = read_config(*path, standard_input, config)) return *wrong;
  } else if (!environment.config_path.empty()) {
    if (auto wrong = read_environment_config(environment.config_path, config)) return *wrong;
  }
  if (line.has("files") && !line.has("interface")) set_aside(config, "interface");
  if (line.has("interface") && !line.has("files")) set_aside(config, "files");
  if (auto wrong = line.apply(config)) return *wrong;
  resolve_defaults(config, environment);
  if (auto wrong = check_config(config, environment)) return *wrong;
  // Also while nothing is to be hidden: a key file that others can read is a mistake from the
  // start.
  if (config.redact_mode == RedactMode::kHash && !config.redact_key_file.empty()) {
    if (auto wrong = read_redact_key(running, config)) return *wrong;
  }
  // A run keeps what it has, because its user may not be allowed to read the file any more.
  if (is_kafka(config.output) && running == nullptr) {
    if (auto wrong = read_kafka_settings(config)) return *wrong;
  }
  invocation.config = config;
  return invocation;
}

}  // namespace

ParseResult parse_command_line(std::span<const char* const> arguments, Environment environment,
                               int standard_input, const Config* running) {
  environment.config_from_stdin = false;
  Config config;
  std::variant<Invocation, Problem> result;
  try {
    result = parse(arguments, environment, standard_input, running, config);
  } catch (const std::exception& exception) {
    result = error(std::string("command line: ") + printable(exception.what()));
  }
  if (auto* invocation = std::get_if<Invocation>(&result)) return std::move(*invocation);
  resolve_defaults(config, environment);
  return Rejection{std::move(std::get<Problem>(result)), config.log_format};
}

}  // namespace tcp_sniffer
