#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/line/line_sink.h"

namespace tcp_sniffer {

// Whether a terminal that is sent this character does something else than to show it: control
// characters (C0, DEL, C1), line and paragraph separators, marks and overrides that turn the
// writing direction (UAX #9), characters of no width.
bool harms_a_terminal(uint32_t code);

struct TerminalHarm {
  size_t at = 0;  // the text's size when there is none
  size_t size = 0;
  uint32_t code = 0;
};

// Appends text of any bytes so that a terminal only shows it: what harms is written as \u202e, and
// bytes that are not UTF-8 as \xff. At most six bytes for each.
void append_for_terminal(std::string_view text, LineSink& sink);

// The first character beyond ASCII and C1 that harms a terminal, in text that is UTF-8.
TerminalHarm find_terminal_harm(std::string_view utf8);

}  // namespace tcp_sniffer
