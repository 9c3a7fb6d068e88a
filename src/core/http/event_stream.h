#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// Server-sent events (WHATWG HTML section 9.2).

// Whether these headers say that the body is a stream of events, and not a compressed one.
bool is_event_stream(std::span<const HeaderField> headers);

// How much of the front of a stream, which begins with an event, is whole events: it ends with the
// last blank line. Lines end with LF, CR or CR LF. A CR at the end of `text` may be the first half
// of a line end; it is a whole one where the line before ended with CR alone. `searched` is where
// the search goes on when more has come; 0 at first.
size_t whole_events_size(std::string_view text, size_t& searched);

}  // namespace tcp_sniffer
