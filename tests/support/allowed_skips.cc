#include "support/allowed_skips.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>

namespace tcp_sniffer {
namespace {

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

AllowedSkip parse_line(std::string_view line) {
  std::array<std::string, 3> fields;
  for (std::string& field : fields) {
    const size_t end = line.find('|');
    field = trimmed(line.substr(0, end));
    line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  }
  return {fields[0], fields[1], fields[2]};
}

}  // namespace

std::vector<AllowedSkip> parse_allowed_skips(std::string_view text) {
  std::vector<AllowedSkip> allowed;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty() && line[0] != '#') allowed.push_back(parse_line(line));
  }
  return allowed;
}

bool is_allowed_skip(const std::vector<AllowedSkip>& allowed, std::string_view test,
                     std::string_view message) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const AllowedSkip& skip) {
    return !skip.reason.empty() && message.find(skip.message) != std::string_view::npos &&
           ::fnmatch(skip.test.c_str(), std::string(test).c_str(), 0) == 0;
  });
}

}  // namespace tcp_sniffer
