#include "io/config/reload.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "io/base/printable.h"
#include "io/config/config_values.h"
#include "io/config/options.h"

namespace tcp_sniffer {
namespace {

void copy_value(const KeySpec& key, const Config& from, Config& to) {
  std::visit(
      [&]<class Target>(const Target& target) {
        if constexpr (std::is_same_v<Target, WordTarget>) {
          target.set(to, target.get(from));
        } else {
          to.*target = from.*target;
        }
      },
      key.target);
}

// A table has its columns in its first row.
bool may_reload(const KeySpec& key, const Config& running) {
  const bool is_table =
      running.format == OutputFormat::kTsv || running.format == OutputFormat::kCsv;
  return key.reloads && !(is_table && key.name == "select");
}

bool has_other_key(const Config& config, const Config& running) {
  return config.redact_key_file == running.redact_key_file &&
         config.redact_mode == running.redact_mode && config.redact_key != running.redact_key;
}

}  // namespace

void copy_reloaded(const Config& from, Config& to) {
  for (size_t i = 0; i < config_keys().size(); i++) {
    if (!may_reload(config_keys()[i], to)) continue;
    copy_value(config_keys()[i], from, to);
    to.given[i] = from.given[i];
  }
  to.redact_key = from.redact_key;
}

ConfigFile::ConfigFile(std::span<const char* const> arguments, Environment environment,
                       std::string path)
    : arguments_(arguments), environment_(std::move(environment)), path_(std::move(path)) {}

std::variant<Reload, Problem> ConfigFile::read_again(const Config& running) const {
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return error("config: cannot read " + quote_text(path_, 512) + ": it is no file");
  }
  const ParseResult parsed = parse_command_line(arguments_, environment_, -1, &running);
  if (const auto* wrong = std::get_if<Rejection>(&parsed)) return wrong->problem;
  const Config& config = std::get<Invocation>(parsed).config;
  Reload reload{running, {}, {}};
  for (size_t i = 0; i < config_keys().size(); i++) {
    const KeySpec& key = config_keys()[i];
    const bool differs = get_value(key, config) != get_value(key, running);
    if (may_reload(key, running)) {
      const bool differs_inside = key.name == "redactKeyFile" && has_other_key(config, running);
      if (differs || differs_inside) reload.changed.emplace_back(key.name);
    } else if (differs && (config.given[i] || running.given[i])) {
      reload.ignored.emplace_back(key.name);
    }
  }
  copy_reloaded(config, reload.config);
  if (auto wrong = check_config(reload.config, environment_)) {
    wrong->words += "; while the program runs, other keys keep their values";
    return *wrong;
  }
  return reload;
}

}  // namespace tcp_sniffer
