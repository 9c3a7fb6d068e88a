#pragma once

#include <string>

#include "io/base/exit_code.h"

namespace tcp_sniffer {

// Why a configuration is rejected, or something could not be opened or started, or did not go on:
// the one kind of value for errors at the start and for those of input and output. The network's
// errors are counters instead.
struct Problem {
  ErrorCode code = ErrorCode::kNone;
  // What was tried, and with what, up to the words: "output out.json cannot be opened: ". Empty
  // where the words say it.
  std::string tried;
  std::string words;
  // Of a condition that is wrong: a part of it, and below it a caret at the place. Two lines.
  std::string place{};

  std::string message() const { return tried + words; }
};

}  // namespace tcp_sniffer
