#include "core/redaction/spans.h"

#include <algorithm>

namespace tcp_sniffer {

void Spans::merge() {
  // Of those that begin at the same place the longest one first: the others are in it.
  std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  size_t kept = 0;
  for (const Span& span : spans_) {
    Span* const last = kept > 0 ? &spans_[kept - 1] : nullptr;
    if (last == nullptr || (span.begin >= last->end && span.begin != last->begin)) {
      spans_[kept++] = span;
    } else if (span.end > last->end) {
      *last = {last->begin, span.end, ValueCoding::kNone, last->is_cut || span.is_cut, false};
    }
  }
  spans_.resize(kept);
}

}  // namespace tcp_sniffer
