#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/config/config.h"

namespace tcp_sniffer {

enum class KeyGroup : uint8_t { kInput, kSelection, kOutput, kTcp, kLimits, kRun, kReporting };
std::string_view group_title(KeyGroup group);
constexpr KeyGroup kKeyGroups[] = {KeyGroup::kInput,    KeyGroup::kSelection, KeyGroup::kOutput,
                                   KeyGroup::kTcp,      KeyGroup::kLimits,    KeyGroup::kRun,
                                   KeyGroup::kReporting};

enum class Unit : uint8_t { kNone, kBytes, kMilliseconds };

// What a text may be.
enum class TextKind : uint8_t {
  kText,        // any text, empty included
  kName,        // not empty
  kPath,        // not empty; from the command line any bytes, because file systems know no encoding
  kHeaderName,  // an HTTP field name; kept in lower case
  kListener,    // ADDRESS:PORT
  kPattern,     // a regular expression that RE2 takes; keeps its commas
  kField,       // a name that parse_field takes
  kRoute,       // a pattern that Routes takes
  kCondition,   // not empty; check_config compiles it
  kInterface,   // not empty; keeps its commas, and one alone needs no list
  kProperty,    // NAME=VALUE that librdkafka takes; the value keeps its commas
};

// One of a few words, kept as an enum whose values count from 0 in the words' order.
struct WordTarget {
  void (*set)(Config& config, size_t word);
  size_t (*get)(const Config& config);
};

// Where a key's value lives, and so its type.
using KeyTarget =
    std::variant<bool Config::*, uint64_t Config::*, double Config::*, std::string Config::*,
                 std::vector<std::string> Config::*, std::vector<uint16_t> Config::*,
                 std::vector<Protocol> Config::*, WordTarget>;

// One key: the JSON key, its flag, and its row in the help text and in docs/configuration.md.
struct KeySpec {
  std::string_view name;          // the JSON key; the flag is its kebab-case
  std::string_view short_flag{};  // one letter, or empty
  std::string_view value_name{};  // in --help
  KeyGroup group{};
  KeyTarget target{};
  Unit unit = Unit::kNone;
  TextKind text_kind = TextKind::kText;
  uint64_t minimum = 0;  // numbers and lists of numbers
  uint64_t maximum = 0;
  std::span<const std::string_view> words{};
  std::string_view default_text{};  // when the default depends on the environment
  std::string_view meaning{};
  bool supported = true;   // false: any value but the default is rejected
  bool live_only = false;  // without effect when files are read
  bool reloads = false;    // a run takes a new value from its configuration file (SIGHUP)
};

// The table of all keys, in the order in which they are shown.
std::span<const KeySpec> config_keys();

// The key of that exact name, or nullptr.
const KeySpec* find_key(std::string_view name);

// The key's place in the table, which is its bit in Config::given.
size_t key_index(std::string_view name);
bool is_given(const Config& config, std::string_view name);

// `maxBodySize` -> `max-body-size`.
std::string flag_name(std::string_view key_name);

bool is_boolean(const KeySpec& key);
bool is_list(const KeySpec& key);

}  // namespace tcp_sniffer
