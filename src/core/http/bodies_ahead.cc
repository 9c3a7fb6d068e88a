#include "core/http/bodies_ahead.h"

#include "core/http/open_message.h"

namespace tcp_sniffer {

void BodiesAhead::add(OpenMessage& open) {
  if (open.body.ahead != 0) return;
  places_[count_++] = &open;
  open.body.ahead = static_cast<uint16_t>(count_);
}

void BodiesAhead::remove(OpenMessage& open) {
  if (open.body.ahead == 0) return;
  OpenMessage* const last = places_[--count_];
  places_[open.body.ahead - 1] = last;
  last->body.ahead = open.body.ahead;
  open.body.ahead = 0;
}

}  // namespace tcp_sniffer
