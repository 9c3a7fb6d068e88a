#pragma once

#include <string>
#include <string_view>

namespace tcp_sniffer {

// Text from outside - the wire, a file, the command line - made safe to show to people: valid
// UTF-8 stays, but control characters (C0, DEL, C1), line and paragraph separators, characters
// that turn the writing direction, and bytes that are no UTF-8 become \n, \t, \r, \xNN or \u{N}.
void append_printable(std::string& out, std::string_view text);
std::string printable(std::string_view text);

// printable(), in double quotes, with quotes inside escaped, and cut after about
// `size_max` bytes (marked by "...").
std::string quote_text(std::string_view text, size_t size_max = 64);

}  // namespace tcp_sniffer
