#include <map>
#include <string_view>

#include "io/config/completion_flags.h"

namespace tcp_sniffer {
namespace {

// Readline takes --flag=value apart at the equals sign, unless COMP_WORDBREAKS has none. What
// stands before the value to be completed is put before each answer then.
constexpr std::string_view kBashHead =
    R"sh(# bash completion for tcp-sniffer(1), as `tcp-sniffer --completion bash` prints it.

_tcp_sniffer() {
  local program=$1 current=${COMP_WORDS[COMP_CWORD]} previous='' before=''
  ((COMP_CWORD > 0)) && previous=${COMP_WORDS[COMP_CWORD - 1]}
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]] && ((COMP_CWORD > 1)); then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $current == --*=* ]]; then
    previous=${current%%=*}
    before=$previous=
    current=${current#*=}
  fi
  COMPREPLY=()
  case $previous in
)sh";

constexpr std::string_view kBashTail = R"sh(  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
    return
  fi
  # A word without a flag is a capture file, or a part of the filter.
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -F _tcp_sniffer tcp-sniffer
)sh";

constexpr std::string_view kBashInterfaces = R"sh(
      mapfile -t COMPREPLY < <(compgen -P "$before" -W \
        "$("$program" --list-interfaces 2>&1 | awk '{ print $1 }')" -- "$current")
)sh";
constexpr std::string_view kBashFiles = R"sh(
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -P "$before" -f -- "$current")
)sh";
constexpr std::string_view kBashFolders = R"sh(
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -P "$before" -d -- "$current")
)sh";
constexpr std::string_view kBashUsers = R"sh(
      mapfile -t COMPREPLY < <(compgen -P "$before" -u -- "$current")
)sh";
// Of a list the last word is completed.
constexpr std::string_view kBashListed = R"sh(
      [[ $current == *,* ]] && before+=${current%,*},
      mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${current##*,}")
)sh";

std::string bash_answer(const FlagCompletion& flag) {
  switch (flag.value) {
    case FlagValue::kNone:
      break;
    case FlagValue::kText:
      return "\n";
    case FlagValue::kWords: {
      const std::string words = "\n      local words='" + with_blanks(flag.words) + "'";
      if (flag.is_list) return words + std::string(kBashListed);
      return words + R"sh(
      mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "$current")
)sh";
    }
    case FlagValue::kFile:
      return std::string(kBashFiles);
    case FlagValue::kFolder:
      return std::string(kBashFolders);
    case FlagValue::kInterface:
      return std::string(kBashInterfaces);
    case FlagValue::kUser:
      return std::string(kBashUsers);
  }
  return "";
}

}  // namespace

std::string bash_completion(const std::vector<FlagCompletion>& flags) {
  std::map<std::string, std::string> patterns;  // of the flags with one answer, by this
  std::string all;
  for (const FlagCompletion& flag : flags) {
    if (!flag.short_flag.empty()) all += " -" + flag.short_flag;
    if (!flag.name.empty()) all += " --" + flag.name;
    if (flag.has_opposite) all += " --no-" + flag.name;
    if (flag.value == FlagValue::kNone) continue;
    std::string& pattern = patterns[bash_answer(flag)];
    if (!flag.short_flag.empty()) pattern += (pattern.empty() ? "-" : " | -") + flag.short_flag;
    if (!flag.name.empty()) pattern += (pattern.empty() ? "--" : " | --") + flag.name;
  }
  std::string script(kBashHead);
  for (const auto& [answer, pattern] : patterns) {
    script.append("    ").append(pattern).append(")").append(answer);
    script += "      return\n      ;;\n";
  }
  std::string tail(kBashTail);
  const std::string_view list = "$flags";
  tail.replace(tail.find(list), list.size(), all.substr(1));
  return script + tail;
}

}  // namespace tcp_sniffer
