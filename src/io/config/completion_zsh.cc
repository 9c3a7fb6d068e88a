#include <string_view>

#include "io/config/completion_flags.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kZshHead = R"sh(#compdef tcp-sniffer
# zsh completion for tcp-sniffer(1), as `tcp-sniffer --completion zsh` prints it.

_tcp_sniffer_interfaces() {
  local -a names
  names=(${(f)"$(_call_program interfaces $words[1] --list-interfaces 2>&1 |
    awk '{ print $1 }')"})
  compadd -a names
}

_tcp_sniffer() {
  _arguments -s -S \
)sh";

// Read from fpath, the file is the function; sourced, it says which function completes.
constexpr std::string_view kZshTail = R"sh(    '*:capture file or filter:_files'
}

if [[ $funcstack[1] == _tcp_sniffer ]]; then
  _tcp_sniffer "$@"
else
  compdef _tcp_sniffer tcp-sniffer
fi
)sh";

// Inside of '…[…]' and of a field between colons.
std::string zsh_text(std::string text) {
  text = with_replaced(std::move(text), '\\', "\\\\");
  for (const char special : {'[', ']', ':'}) {
    text = with_replaced(std::move(text), special, std::string("\\") + special);
  }
  return with_replaced(std::move(text), '\'', "'\\''");
}

std::string zsh_action(const FlagCompletion& flag) {
  switch (flag.value) {
    case FlagValue::kNone:
    case FlagValue::kText:
      break;
    case FlagValue::kWords:
      if (flag.is_list) return "_sequence compadd - " + with_blanks(flag.words);
      return "(" + with_blanks(flag.words) + ")";
    case FlagValue::kFile:
      return "_files";
    case FlagValue::kFolder:
      return "_files -/";
    case FlagValue::kInterface:
      return "_tcp_sniffer_interfaces";
    case FlagValue::kUser:
      return "_users";
  }
  return " ";
}

// One line of _arguments: `form` is the flag, `excluded` what it rules out.
void append_zsh_spec(std::string& script, const FlagCompletion& flag, const std::string& excluded,
                     const std::string& form, const std::string& meaning) {
  script += "    '";
  if (flag.repeats) {
    script += "*";
  } else {
    script += "(" + excluded + ")";
  }
  script += form + "[" + zsh_text(meaning) + "]";
  if (flag.value != FlagValue::kNone) {
    script += ":" + zsh_text(flag.value_name) + ":" + zsh_action(flag);
  }
  script += "' \\\n";
}

}  // namespace

std::string zsh_completion(const std::vector<FlagCompletion>& flags) {
  std::string script(kZshHead);
  for (const FlagCompletion& flag : flags) {
    const bool has_value = flag.value != FlagValue::kNone;
    std::string excluded;
    if (!flag.short_flag.empty()) excluded += " -" + flag.short_flag;
    if (!flag.name.empty()) excluded += " --" + flag.name;
    if (flag.has_opposite) excluded += " --no-" + flag.name;
    excluded.erase(0, 1);
    if (!flag.short_flag.empty()) {
      const std::string form = "-" + flag.short_flag + (has_value ? "+" : "");
      append_zsh_spec(script, flag, excluded, form, flag.meaning);
    }
    if (flag.name.empty()) continue;
    append_zsh_spec(script, flag, excluded, "--" + flag.name + (has_value ? "=" : ""),
                    flag.meaning);
    if (flag.has_opposite) {
      append_zsh_spec(script, flag, excluded, "--no-" + flag.name, "not: " + flag.meaning);
    }
  }
  return script + std::string(kZshTail);
}

}  // namespace tcp_sniffer
