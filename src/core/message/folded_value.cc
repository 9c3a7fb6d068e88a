#include "core/message/folded_value.h"

#include <algorithm>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

bool is_line_break(char c) {
  return c == '\r' || c == '\n';
}

}  // namespace

void unfold(std::string_view value, std::string& out) {
  out.clear();
  size_t at = 0;
  while (at < value.size()) {
    if (!is_space(value[at])) {
      out.push_back(value[at++]);
      continue;
    }
    const size_t begin = at;
    while (at < value.size() && is_space(value[at])) ++at;
    const std::string_view run = value.substr(begin, at - begin);
    if (std::none_of(run.begin(), run.end(), is_line_break)) {
      out.append(run);
    } else if (!out.empty() && at < value.size()) {
      out.push_back(' ');
    }
  }
}

}  // namespace tcp_sniffer
