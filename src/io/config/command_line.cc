#include "io/config/command_line.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/closest_name.h"
#include "io/base/printable.h"
#include "io/config/config_values.h"
#include "io/config/file_word.h"
#include "io/config/value_text.h"

namespace tcp_sniffer {
namespace {

using nlohmann::json;

constexpr auto kActionFlags = std::to_array<ActionFlag>({
    {.name = "check",
     .action = Action::kCheck,
     .meaning = "validate, report what would be captured and what prevents it, and exit"},
    {.name = "list-interfaces",
     .action = Action::kListInterfaces,
     .short_flag = 'D',
     .meaning = "list the interfaces that open now, say why others do not, and exit"},
    {.name = "completion",
     .action = Action::kCompletion,
     .value_name = "SHELL",
     .meaning = "print the completion of this command line for bash, zsh or fish, and exit"},
    {.name = "version", .action = Action::kVersion, .meaning = "print the versions, and exit"},
    {.name = "help-fields-markdown", .action = Action::kHelpFieldsMarkdown},
    {.name = "help-fields",
     .action = Action::kHelpFields,
     .meaning = "list the fields for select, and exit"},
    {.name = "help-keys-markdown", .action = Action::kHelpMarkdown},
    {.name = "help", .action = Action::kHelp, .meaning = "print this, and exit; -h prints a page"},
});

// Flags of tcpdump that ask for what is so anyway: numbers for names, and lines that leave at once.
constexpr std::string_view kIgnoredFlags[] = {"-n", "-l", "-U"};

// Flags of tcpdump that mean something else here or nothing, and what to say then.
struct OtherWord {
  std::string_view flag;
  std::string_view answer;
};
constexpr OtherWord kOtherWords[] = {
    {"-w", "no packets are written; allowed: --output FILE for the messages"},
    {"-A", "bodies are shown by -vv; allowed: -vv, or --format ndjson for programs"},
    {"-C",
     "no output is rotated by its size; allowed: --output FILE, which is opened again on SIGHUP"},
    {"-G", "no output is rotated by time; allowed: --output FILE, which is opened again on SIGHUP"},
    {"-V", "no list of files is read; allowed: -r FILE..., and --version for the version"},
};

// A word by word split of the last flag of bufferSizeMiB, for users that derive it themselves.
constexpr std::string_view kBufferSizeAlias = "buffer-size-mi-b";

// How many values one list flag takes: as many as a command line can hold.
constexpr int kFlagValuesMax = 1 << 20;

std::string label(const KeySpec& key) {
  return std::string(key.name) + " (--" + flag_name(key.name) + ")";
}

std::string without_blanks_around(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

std::vector<std::string> joined_properties(const std::vector<std::string>& texts) {
  std::vector<std::string> items;
  for (const std::string& text : texts) {
    for (std::string& item : split_properties(text)) items.push_back(std::move(item));
  }
  return items;
}

// Paths, patterns and interfaces keep their commas; every other list is split at them, and blanks
// beside them mean nothing.
std::vector<std::string> split_items(const KeySpec& key, const std::vector<std::string>& texts) {
  if (key.text_kind == TextKind::kPath || key.text_kind == TextKind::kPattern ||
      key.text_kind == TextKind::kInterface) {
    return texts;
  }
  if (key.text_kind == TextKind::kProperty) return joined_properties(texts);
  std::vector<std::string> items;
  for (const std::string& text : texts) {
    size_t begin = 0;
    for (size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
      comma = text.find(',', begin);
      items.push_back(without_blanks_around(std::string_view(text).substr(
          begin, comma == std::string::npos ? comma : comma - begin)));
    }
  }
  return items;
}

}  // namespace

std::span<const ActionFlag> action_flags() {
  return kActionFlags;
}

CommandLine::CommandLine() {
  app_.set_help_flag();
  app_.allow_extras();
  for (const ActionFlag& flag : kActionFlags) {
    std::string names = flag.short_flag == 0 ? "" : std::string("-") + flag.short_flag + ",";
    names.append("--").append(flag.name);
    actions_.push_back(flag.value_name.empty() ? app_.add_flag(names) : app_.add_option(names));
    actions_.back()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  short_help_ = app_.add_flag("-h");
  config_ = app_.add_option("--config")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  // A flag is compared with all of its App when it is added, so each group of keys has its own.
  for (const KeyGroup group : kKeyGroups) {
    groups_.push_back(app_.add_option_group(std::string(group_title(group))));
  }
  for (const KeySpec& key : config_keys()) keys_.push_back(add(key));
  files_ = keys_[key_index("files")];
  for (const std::string_view flag : kIgnoredFlags) app_.add_flag(std::string(flag));
  for (const OtherWord& other : kOtherWords) {
    other_words_.push_back(app_.add_option(std::string(other.flag))->expected(0, 1));
  }
  verbose_ = app_.add_flag("-v");
  buffer_kib_ = app_.add_option("-B")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

std::optional<Problem> CommandLine::parse(std::span<const char* const> arguments) {
  // CLI11 takes its arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  if (auto wrong = refuse_empty_values(arguments)) return wrong;
  try {
    app_.parse(reversed);
  } catch (const CLI::ArgumentMismatch& refused) {
    return error(missing_value(refused.what()));
  } catch (const CLI::Error& refused) {
    return error("command line: " + printable(refused.what()));
  }
  sort_words(arguments);
  return std::nullopt;
}

Action CommandLine::action() const {
  for (size_t i = actions_.size(); i-- > 0;) {
    if (actions_[i]->count() > 0) return kActionFlags[i].action;
  }
  return short_help_->count() > 0 ? Action::kShortHelp : Action::kRun;
}

std::optional<Problem> CommandLine::read_shell(Shell& shell) const {
  std::string name;
  for (size_t i = 0; i < actions_.size(); ++i) {
    if (kActionFlags[i].action == Action::kCompletion) name = actions_[i]->results().back();
  }
  const std::optional<Shell> known = shell_named(name);
  if (!known) {
    return error("--completion: " + quote_text(name) +
                 " is no shell with a completion; allowed: bash, zsh, fish");
  }
  shell = *known;
  return std::nullopt;
}

std::optional<std::string> CommandLine::config_path() const {
  if (config_->count() == 0) return std::nullopt;
  return config_->results().back();
}

bool CommandLine::has(std::string_view key_name) const {
  if (key_name == "files") return !file_words_.empty();
  return keys_[key_index(key_name)]->count() > 0;
}

std::optional<Problem> CommandLine::refuse_flags_as_values() const {
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (auto wrong = refuse_flag_as_value(config_keys()[i], keys_[i]->results())) return wrong;
  }
  return std::nullopt;
}

std::optional<Problem> CommandLine::refuse_leftovers() const {
  std::vector<std::string> leftovers = app_.remaining();
  std::erase(leftovers, "--");  // it only ends the flags
  if (leftovers.empty()) return std::nullopt;
  return error(unknown_flag(leftovers.front()));
}

std::optional<Problem> CommandLine::refuse_other_words() const {
  for (size_t i = 0; i < other_words_.size(); ++i) {
    if (other_words_[i]->count() == 0) continue;
    return error(std::string(kOtherWords[i].flag) + ": " + std::string(kOtherWords[i].answer));
  }
  return std::nullopt;
}

std::optional<Problem> CommandLine::refuse_values_as_filter() const {
  if (filter_words_.empty()) return std::nullopt;
  if (keys_[key_index("filter")]->count() > 0) {
    return error("filter (--filter): " + quote_text(keys_[key_index("filter")]->results().back()) +
                 " is one filter and " + quote_text(words_filter()) +
                 " another; allowed: one of the two");
  }
  for (const std::string& word : filter_words_) {
    const bool is_boolean_value = word == "true" || word == "false";
    const bool is_port =
        filter_words_.size() == 1 && word.find_first_not_of("0123456789,") == std::string::npos;
    if (!is_boolean_value && !is_port) continue;
    return error("unexpected argument " + quote_text(word) +
                 "; allowed: capture files and a filter; ports are given with -p 80,8080, all "
                 "other values with their flag, as in --defrag=false");
  }
  return std::nullopt;
}

std::optional<Problem> CommandLine::apply(Config& config) const {
  if (!filter_words_.empty()) {
    const KeySpec& key = *find_key("filter");
    if (const auto fault = set_value(key, words_filter(), config)) {
      return error(label(key) + ": " + *fault);
    }
    config.given.set(key_index("filter"));
  }
  if (buffer_kib_->count() > 0) {
    if (auto wrong = apply_buffer_kib(config)) return wrong;
  }
  // -v is 1 and -vv is 2, more is no more.
  if (verbose_->count() > 0) {
    const KeySpec& key = *find_key("verbose");
    config.verbose = std::min<uint64_t>(verbose_->count(), key.maximum);
    config.given.set(key_index(key.name));
  }
  for (size_t i = 0; i < keys_.size(); ++i) {
    const KeySpec& key = config_keys()[i];
    if (!has(key.name)) continue;
    const std::vector<std::string> texts = keys_[i] == files_ ? file_words_ : keys_[i]->results();
    json value;
    if (is_list(key)) {
      value = json::array();
      for (const std::string& item : split_items(key, texts)) {
        value.push_back(value_from_text(key, item));
      }
    } else {
      // tcpdump -s 0: as much as there is.
      const bool whole_frames = key.name == "snaplen" && texts.back() == "0";
      value = whole_frames ? get_value(key, Config{}) : value_from_text(key, texts.back());
    }
    if (const auto fault = set_value(key, value, config)) return error(label(key) + ": " + *fault);
    config.given.set(i);
  }
  return std::nullopt;
}

CLI::Option* CommandLine::add(const KeySpec& key) {
  const std::string name = flag_name(key.name);
  std::string names = "--" + name;
  const bool counts = key.name == "verbose";  // its short flag has no value
  if (!key.short_flag.empty() && !counts) {
    names = "-" + std::string(key.short_flag) + "," + names;
  }
  if (key.name == "bufferSizeMiB") names += ",--" + std::string(kBufferSizeAlias);
  const bool files = key.name == "files";
  // Words without a flag are the program's, and come to the files in the order of the command line.
  CLI::App& group = files ? app_ : *groups_[static_cast<size_t>(key.group)];
  CLI::Option* option = nullptr;
  if (is_boolean(key)) {
    option = group.add_flag(names + ",!--no-" + name);
  } else {
    option = group.add_option(files ? names + ",words" : names);
    option->expected(1, files ? kFlagValuesMax : 1);
    option->allow_extra_args(files);
  }
  return option->multi_option_policy(is_list(key) ? CLI::MultiOptionPolicy::TakeAll
                                                  : CLI::MultiOptionPolicy::TakeLast);
}

// Parts the values of `files`: what stands directly after -r is a file, whatever it is called.
void CommandLine::sort_words(std::span<const char* const> arguments) {
  std::vector<std::string> behind_flag;
  bool next = false;
  for (const std::string_view argument : arguments) {
    if (argument == "--") break;
    if (next) behind_flag.emplace_back(argument);
    const bool short_flags = argument.size() > 1 && argument[0] == '-' && argument[1] != '-';
    next = argument == "--files" || (short_flags && argument.ends_with('r'));
    if (argument.starts_with("--files=")) behind_flag.emplace_back(argument.substr(8));
    if (argument.starts_with("-r") && argument.size() > 2) {
      behind_flag.emplace_back(argument.substr(2));
    }
  }
  for (const std::string& word : files_->results()) {
    const bool is_file =
        std::find(behind_flag.begin(), behind_flag.end(), word) != behind_flag.end() ||
        is_file_word(word);
    if (is_file || !word.empty()) (is_file ? file_words_ : filter_words_).push_back(word);
  }
}

std::string CommandLine::words_filter() const {
  std::string text;
  for (const std::string& word : filter_words_) text += (text.empty() ? "" : " ") + word;
  return text;
}

// tcpdump's unit is a KiB. Rounded up, because a smaller buffer would lose more.
std::optional<Problem> CommandLine::apply_buffer_kib(Config& config) const {
  const KeySpec& key = *find_key("bufferSizeMiB");
  const std::string where = "-B: " + quote_text(buffer_kib_->results().back());
  if (has(key.name)) return error(where + " and --buffer-size-mib; allowed: one of the two");
  const json kib = value_from_text(key, buffer_kib_->results().back());
  constexpr uint64_t kKibPerMib = 1024;
  if (!kib.is_number_unsigned() || kib.get<uint64_t>() < 1 ||
      kib.get<uint64_t>() > key.maximum * kKibPerMib) {
    return error(where + " is not a size in KiB; allowed: a whole number from 1 to " +
                 std::to_string(key.maximum * kKibPerMib) + ", or --buffer-size-mib");
  }
  config.buffer_size_mib = (kib.get<uint64_t>() + kKibPerMib - 1) / kKibPerMib;
  config.given.set(key_index(key.name));
  return std::nullopt;
}

// CLI11 would take the next argument for the missing value of "--interface=".
std::optional<Problem> CommandLine::refuse_empty_values(
    std::span<const char* const> arguments) const {
  for (const std::string_view argument : arguments) {
    if (argument == "--") break;
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      return error(printable(argument) + ": no value after the equals sign");
    }
  }
  return std::nullopt;
}

// `words` is what CLI11 says, "--ports: 1 required missing": the flag, then a colon.
std::string CommandLine::missing_value(std::string_view words) {
  const std::string_view flag = words.substr(0, words.find(':'));
  for (const KeySpec& key : config_keys()) {
    if ("--" + flag_name(key.name) != flag) continue;
    return label(key) + ": no value; allowed: " + allowed_text(key);
  }
  return printable(flag) + ": no value";
}

std::optional<Problem> CommandLine::refuse_flag_as_value(const KeySpec& key,
                                                         const std::vector<std::string>& texts) {
  const bool text = std::holds_alternative<std::string Config::*>(key.target) ||
                    std::holds_alternative<std::vector<std::string> Config::*>(key.target);
  for (const std::string& value : texts) {
    if (text && value.size() > 1 && value[0] == '-') {
      return error(label(key) + ": " + quote_text(value) +
                   " looks like a flag where a value is expected; allowed: " + allowed_text(key));
    }
  }
  return std::nullopt;
}

std::string CommandLine::unknown_flag(std::string_view argument) {
  const std::string flag(argument.substr(0, argument.find('=')));
  std::vector<std::string> names;
  names.emplace_back("--config");
  for (const ActionFlag& action : kActionFlags) names.push_back("--" + std::string(action.name));
  for (const KeySpec& key : config_keys()) {
    names.push_back("--" + flag_name(key.name));
    if (is_boolean(key)) names.push_back("--no-" + flag_name(key.name));
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view meant = closest_name(flag, views);
  std::string out = "unknown flag " + quote_text(flag);
  if (!meant.empty()) return out + "; did you mean " + std::string(meant) + "?";
  return out + "; allowed: the flags that --help lists";
}

}  // namespace tcp_sniffer
