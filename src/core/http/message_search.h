#pragma once

#include <cstdint>

#include "core/base/buffer_pool.h"
#include "core/base/growing_text.h"
#include "core/http/message_finder.h"

namespace tcp_sniffer {

// What is remembered while the next message is searched: after a loss, or in a body whose end is
// not known. Memory of the pool, which an open message refers to.
struct MessageSearch {
  GrowingText line;  // the finder's buffer, while it searches
  MessageFinder finder;
  uint64_t searched_bytes = 0;  // since the search began
  // By the segment before, where only the beginnings of segments are looked at; 0 = not known.
  uint64_t acknowledged = 0;

  // Begins the search, unless it is under way. False: there is no memory.
  bool start(BufferPool& pool, MessageFinder::StartsAt starts_at, MessageFinder::Wanted wanted);
  // The first bytes of the message that was found, as its head begins. The caller releases them.
  GrowingText take_kept(const MessageFinder::Candidate& candidate);
};

}  // namespace tcp_sniffer
