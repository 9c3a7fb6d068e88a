#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tcp_sniffer {

// What a shell completes after a flag.
enum class FlagValue : uint8_t { kNone, kText, kWords, kFile, kFolder, kInterface, kUser };

// A flag as the completions show it.
struct FlagCompletion {
  std::string name{};        // without its dashes; empty: it has only the short form
  std::string short_flag{};  // one letter, or empty
  std::string meaning{};     // one line
  FlagValue value = FlagValue::kNone;
  std::string value_name{};
  std::vector<std::string> words{};  // kWords
  bool is_list = false;              // kWords: several, with commas between them
  bool repeats = false;              // on one command line
  bool has_opposite = false;         // --no-NAME
};

// Every flag of the command line, in the order of --help.
std::vector<FlagCompletion> completed_flags();

std::string bash_completion(const std::vector<FlagCompletion>& flags);
std::string zsh_completion(const std::vector<FlagCompletion>& flags);
std::string fish_completion(const std::vector<FlagCompletion>& flags);

// `words` with a blank between each two.
std::string with_blanks(const std::vector<std::string>& words);

// `text` with `to` in the place of each `from`.
std::string with_replaced(std::string text, char from, const std::string& to);

}  // namespace tcp_sniffer
