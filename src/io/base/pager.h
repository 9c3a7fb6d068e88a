#pragma once

#include <string>

namespace tcp_sniffer {

// Shows `text` through the user's pager: the command in PAGER, or `less -R`. Returns false when
// nothing was shown: PAGER is empty, TERM is dumb, or the command does not exist. Ignores SIGPIPE
// from then on, because a pager may end before it has read everything.
bool show_in_pager(const std::string& text);

}  // namespace tcp_sniffer
