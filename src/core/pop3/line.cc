#include "core/pop3/line.h"

#include <algorithm>
#include <array>

namespace tcp_sniffer {

namespace {

struct Verb {
  std::string_view name;
  Pop3Verb without_argument;
  Pop3Verb with_argument;
};

constexpr std::array kVerbs = {
    Verb{"USER", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"PASS", Pop3Verb::kSecret, Pop3Verb::kSecret},
    Verb{"APOP", Pop3Verb::kSecret, Pop3Verb::kSecret},
    Verb{"AUTH", Pop3Verb::kMultiLine, Pop3Verb::kAuth},
    Verb{"STAT", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"LIST", Pop3Verb::kMultiLine, Pop3Verb::kOther},
    Verb{"UIDL", Pop3Verb::kMultiLine, Pop3Verb::kOther},
    Verb{"RETR", Pop3Verb::kMultiLine, Pop3Verb::kMultiLine},
    Verb{"TOP", Pop3Verb::kMultiLine, Pop3Verb::kMultiLine},
    Verb{"CAPA", Pop3Verb::kMultiLine, Pop3Verb::kMultiLine},
    Verb{"DELE", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"NOOP", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"RSET", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"QUIT", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"STLS", Pop3Verb::kStls, Pop3Verb::kStls},
    Verb{"UTF8", Pop3Verb::kOther, Pop3Verb::kOther},
    Verb{"LANG", Pop3Verb::kMultiLine, Pop3Verb::kOther},
    Verb{"XTND", Pop3Verb::kOther, Pop3Verb::kOther},
};

// Keywords are case-insensitive (RFC 1939 section 3).
bool same_word(std::string_view a, std::string_view upper) {
  return a.size() == upper.size() &&
         std::equal(a.begin(), a.end(), upper.begin(), [](char x, char y) {
           return (x >= 'a' && x <= 'z' ? static_cast<char>(x - 'a' + 'A') : x) == y;
         });
}

}  // namespace

Pop3Command read_pop3_command(std::string_view line) {
  const auto ends_word = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  Pop3Command command;
  const auto* const begin = std::find_if_not(line.begin(), line.end(), ends_word);
  const auto skipped = static_cast<size_t>(begin - line.begin());
  line.remove_prefix(skipped);
  const auto* const end = std::find_if(line.begin(), line.end(), ends_word);
  command.name = line.substr(0, static_cast<size_t>(end - line.begin()));
  command.irregular = skipped > 0;
  if (command.name.size() < line.size()) {
    command.argument = line.substr(command.name.size() + 1);
    command.irregular |= *end != ' ';
  }
  for (const Verb& verb : kVerbs) {
    if (!same_word(command.name, verb.name)) continue;
    command.verb = command.argument.empty() ? verb.without_argument : verb.with_argument;
    break;
  }
  return command;
}

Pop3Reply read_pop3_reply(std::string_view line) {
  const auto text_behind = [&](size_t size) {
    return line.size() > size ? line.substr(size + 1) : std::string_view();
  };
  const auto is = [&](std::string_view word) {
    return line.starts_with(word) && (line.size() == word.size() || line[word.size()] == ' ');
  };
  if (is("+OK")) return {Pop3Status::kOk, text_behind(3)};
  if (is("-ERR")) return {Pop3Status::kError, text_behind(4)};
  if (is("+")) return {Pop3Status::kContinue, text_behind(1)};
  return {};
}

}  // namespace tcp_sniffer
