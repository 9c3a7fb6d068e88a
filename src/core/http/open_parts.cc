#include "core/http/open_parts.h"

namespace tcp_sniffer {

void PartTimers::start(OpenParts& parts, int64_t due_ns) {
  OpenParts* before = back_;
  while (before != nullptr && before->due_ns > due_ns) before = before->previous;
  parts.due_ns = due_ns;
  parts.previous = before;
  parts.next = before == nullptr ? front_ : before->next;
  (parts.previous == nullptr ? front_ : parts.previous->next) = &parts;
  (parts.next == nullptr ? back_ : parts.next->previous) = &parts;
}

void PartTimers::stop(OpenParts& parts) {
  if (parts.due_ns == OpenParts::kNever) return;
  (parts.previous == nullptr ? front_ : parts.previous->next) = parts.next;
  (parts.next == nullptr ? back_ : parts.next->previous) = parts.previous;
  parts.previous = parts.next = nullptr;
  parts.due_ns = OpenParts::kNever;
}

}  // namespace tcp_sniffer
