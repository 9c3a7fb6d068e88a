#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/config/options.h"

namespace tcp_sniffer {

// One flag of each key beside the flags that are no keys, in CLI11's terms. CLI11 finds out which
// argument belongs to which flag; types and ranges are in the table.
class CommandLine {
 public:
  CommandLine();
  std::optional<Problem> parse(std::span<const char* const> arguments);
  // The action flag given, the last one of kActionFlags if there are several, then -h.
  Action action() const;
  std::optional<Problem> read_shell(Shell& shell) const;
  std::optional<std::string> config_path() const;
  bool has(std::string_view key_name) const;
  // "-i -p 80": the value was forgotten. A file of such a name is written ./-p.
  std::optional<Problem> refuse_flags_as_values() const;
  std::optional<Problem> refuse_leftovers() const;
  std::optional<Problem> refuse_other_words() const;
  // "-p 80 8080", "--defrag false": a value stands where a filter may stand.
  std::optional<Problem> refuse_values_as_filter() const;
  std::optional<Problem> apply(Config& config) const;

 private:
  CLI::Option* add(const KeySpec& key);
  void sort_words(std::span<const char* const> arguments);
  std::string words_filter() const;
  std::optional<Problem> apply_buffer_kib(Config& config) const;
  std::optional<Problem> refuse_empty_values(std::span<const char* const> arguments) const;
  static std::string missing_value(std::string_view words);
  static std::optional<Problem> refuse_flag_as_value(const KeySpec& key,
                                                     const std::vector<std::string>& texts);
  static std::string unknown_flag(std::string_view argument);

  CLI::App app_;
  std::vector<CLI::App*> groups_;      // by KeyGroup; owned by app_
  std::vector<CLI::Option*> actions_;  // in the order of kActionFlags; owned by app_
  CLI::Option* short_help_ = nullptr;  // owned by app_
  CLI::Option* config_ = nullptr;      // owned by app_
  std::vector<CLI::Option*> keys_;     // in the order of config_keys(); owned by app_
  CLI::Option* files_ = nullptr;       // one of keys_; its values are files and words of the filter
  std::vector<CLI::Option*> other_words_;  // in the order of kOtherWords; owned by app_
  CLI::Option* verbose_ = nullptr;         // owned by app_
  CLI::Option* buffer_kib_ = nullptr;      // owned by app_
  std::vector<std::string> file_words_;
  std::vector<std::string> filter_words_;
};

}  // namespace tcp_sniffer
