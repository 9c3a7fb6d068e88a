#include "io/config/completion.h"

#include "core/field/fields.h"
#include "io/config/completion_flags.h"
#include "io/config/config_keys.h"
#include "io/config/options.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kShellNames[] = {"bash", "zsh", "fish"};

// What comes after the first clause is for --help.
std::string first_clause(std::string_view meaning) {
  return std::string(meaning.substr(0, meaning.find(';')));
}

FlagValue value_of(const KeySpec& key) {
  if (is_boolean(key)) return FlagValue::kNone;
  if (key.name.starts_with("interface")) return FlagValue::kInterface;
  if (key.name == "user") return FlagValue::kUser;
  if (key.value_name == "DIRECTORY") return FlagValue::kFolder;
  if (key.text_kind == TextKind::kPath) return FlagValue::kFile;
  if (!key.words.empty() || key.text_kind == TextKind::kField) return FlagValue::kWords;
  return FlagValue::kText;
}

FlagCompletion completed(const KeySpec& key) {
  FlagCompletion flag;
  flag.name = flag_name(key.name);
  flag.short_flag = key.short_flag;
  flag.meaning = first_clause(key.meaning);
  flag.value = value_of(key);
  flag.value_name = key.value_name;
  flag.words.assign(key.words.begin(), key.words.end());
  if (key.text_kind == TextKind::kField) {
    for (const FieldSpec& field : field_table()) flag.words.emplace_back(field.name);
  }
  flag.is_list = flag.value == FlagValue::kWords && is_list(key);
  flag.repeats = is_list(key);
  flag.has_opposite = is_boolean(key);
  return flag;
}

FlagCompletion completed(const ActionFlag& action) {
  FlagCompletion flag;
  flag.name = action.name;
  if (action.short_flag != 0) flag.short_flag = action.short_flag;
  flag.meaning = first_clause(action.meaning);
  flag.value_name = action.value_name;
  if (action.action == Action::kCompletion) {
    flag.value = FlagValue::kWords;
    flag.words.assign(std::begin(kShellNames), std::end(kShellNames));
  }
  return flag;
}

}  // namespace

std::vector<FlagCompletion> completed_flags() {
  std::vector<FlagCompletion> flags;
  flags.push_back({.name = "config",
                   .meaning = "read a JSON object with keys",
                   .value = FlagValue::kFile,
                   .value_name = "FILE"});
  for (const ActionFlag& action : action_flags()) {
    if (!action.meaning.empty()) flags.push_back(completed(action));
  }
  flags.push_back({.short_flag = "h", .meaning = "print what most people need"});
  for (const KeyGroup group : kKeyGroups) {
    for (const KeySpec& key : config_keys()) {
      if (key.group != group) continue;
      flags.push_back(completed(key));
      if (key.name != "verbose") continue;
      // -v has no value; the long form has one.
      FlagCompletion& verbose = flags.back();
      FlagCompletion counted = {
          .short_flag = verbose.short_flag, .meaning = verbose.meaning, .repeats = true};
      verbose.short_flag.clear();
      verbose.value = FlagValue::kWords;
      for (uint64_t i = key.minimum; i <= key.maximum; i++) {
        verbose.words.push_back(std::to_string(i));
      }
      flags.push_back(std::move(counted));
    }
  }
  return flags;
}

std::string with_blanks(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string with_replaced(std::string text, char from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, 1, to);
  }
  return text;
}

std::optional<Shell> shell_named(std::string_view name) {
  for (size_t i = 0; i < std::size(kShellNames); i++) {
    if (kShellNames[i] == name) return static_cast<Shell>(i);
  }
  return std::nullopt;
}

std::string completion_script(Shell shell) {
  const std::vector<FlagCompletion> flags = completed_flags();
  switch (shell) {
    case Shell::kBash:
      return bash_completion(flags);
    case Shell::kZsh:
      return zsh_completion(flags);
    case Shell::kFish:
      return fish_completion(flags);
  }
  return "";
}

}  // namespace tcp_sniffer
