#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/base/problem.h"

namespace tcp_sniffer {

// What is wrong with a condition that is the value of `key`, if it is not empty. The message has
// the part of it around the place, with a caret in front of the place.
std::optional<Problem> check_condition(std::string_view key, const std::string& text);

}  // namespace tcp_sniffer
