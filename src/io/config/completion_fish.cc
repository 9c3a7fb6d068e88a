#include <string_view>

#include "io/config/completion_flags.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kFishHead =
    R"sh(# fish completion for tcp-sniffer(1), as `tcp-sniffer --completion fish` prints it.

function __tcp_sniffer_interfaces
    set -l words (commandline -opc)
    command $words[1] --list-interfaces 2>&1 | string replace -r ' .*' ''
end

# The words of a list, each after those that are there already.
function __tcp_sniffer_list
    set -l begun (commandline -ct | string replace -r '^(--[^=]*=|-[a-z])' '')
    set -l before (string match -r '^.*,' -- "$begun")
    for word in $argv
        echo "$before$word"
    end
end

)sh";

std::string fish_text(std::string text) {
  text = with_replaced(std::move(text), '\\', "\\\\");
  return "'" + with_replaced(std::move(text), '\'', "\\'") + "'";
}

// -x: a value that is no file; -r -F: one that is.
std::string fish_value(const FlagCompletion& flag) {
  switch (flag.value) {
    case FlagValue::kNone:
      break;
    case FlagValue::kText:
      return " -x";
    case FlagValue::kWords:
      if (flag.is_list) return " -x -a '(__tcp_sniffer_list " + with_blanks(flag.words) + ")'";
      return " -x -a " + fish_text(with_blanks(flag.words));
    case FlagValue::kFile:
      return " -r -F";
    case FlagValue::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case FlagValue::kInterface:
      return " -x -a '(__tcp_sniffer_interfaces)'";
    case FlagValue::kUser:
      return " -x -a '(__fish_complete_users)'";
  }
  return "";
}

}  // namespace

std::string fish_completion(const std::vector<FlagCompletion>& flags) {
  std::string script(kFishHead);
  for (const FlagCompletion& flag : flags) {
    script += "complete -c tcp-sniffer";
    if (!flag.short_flag.empty()) script += " -s " + flag.short_flag;
    if (!flag.name.empty()) script += " -l " + flag.name;
    script += fish_value(flag) + " -d " + fish_text(flag.meaning) + "\n";
    if (!flag.has_opposite) continue;
    script += "complete -c tcp-sniffer -l no-" + flag.name + " -d " +
              fish_text("not: " + flag.meaning) + "\n";
  }
  return script;
}

}  // namespace tcp_sniffer
