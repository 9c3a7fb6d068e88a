#include "core/http/event_stream.h"

#include "core/base/ascii_case.h"

namespace tcp_sniffer {

bool is_event_stream(std::span<const HeaderField> headers) {
  bool has_type = false;
  for (const HeaderField& header : headers) {
    if (equal_ignoring_case(header.name, "content-encoding")) return false;
    if (!equal_ignoring_case(header.name, "content-type")) continue;
    const std::string_view value = header.value;
    // Parameters may follow.
    has_type |=
        equal_ignoring_case(value.substr(0, value.find_first_of("; \t")), "text/event-stream");
  }
  return has_type;
}

size_t whole_events_size(std::string_view text, size_t& searched) {
  size_t whole = 0;
  size_t line = searched;
  for (;;) {
    const size_t end = text.find_first_of("\r\n", line);
    if (end == std::string_view::npos) break;
    size_t next = end + 1;
    if (text[end] == '\r') {
      const bool lines_end_with_cr = line > 0 && text[line - 1] == '\r';
      if (next == text.size() && !lines_end_with_cr) break;
      if (next < text.size() && text[next] == '\n') next++;
    }
    if (end == line) whole = next;
    line = next;
  }
  searched = line;
  return whole;
}

}  // namespace tcp_sniffer
