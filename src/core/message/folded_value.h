#pragma once

#include <string>
#include <string_view>

namespace tcp_sniffer {

// A folded header value (HeaderField::folded) as one line, in the place of what is in `out`: one
// space for each line break and the whitespace around it.
void unfold(std::string_view value, std::string& out);

}  // namespace tcp_sniffer
