#pragma once

#include <string>
#include <string_view>
#include <vector>

// The list tests/allowed_skips.txt: which tests may be skipped in CI, and why.
namespace tcp_sniffer {

struct AllowedSkip {
  std::string test;     // a pattern: * stands for any text, ? for one character
  std::string message;  // a part of what the test says
  std::string reason;
};

// Lines that are not three fields come out with an empty reason.
std::vector<AllowedSkip> parse_allowed_skips(std::string_view text);

// `test` is SUITE.TEST; of a parametrised suite without its prefix.
bool is_allowed_skip(const std::vector<AllowedSkip>& allowed, std::string_view test,
                     std::string_view message);

}  // namespace tcp_sniffer
