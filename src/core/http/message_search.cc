#include "core/http/message_search.h"

#include <cstring>
#include <span>
#include <utility>

namespace tcp_sniffer {

bool MessageSearch::start(BufferPool& pool, MessageFinder::StartsAt starts_at,
                          MessageFinder::Wanted wanted) {
  constexpr size_t kLineMax = MessageFinder::kSearchLineMax;
  if (finder.searching()) return true;
  if (!line.memory && !pool.grow(line.memory, kLineMax, 0)) return false;
  finder.start(std::span<char, kLineMax>(reinterpret_cast<char*>(line.memory.data), kLineMax),
               starts_at, wanted);
  searched_bytes = 0;
  return true;
}

GrowingText MessageSearch::take_kept(const MessageFinder::Candidate& candidate) {
  GrowingText kept = std::exchange(line, {});
  kept.size = candidate.kept.size();
  if (kept.size > 0) std::memmove(kept.memory.data, candidate.kept.data(), kept.size);
  return kept;
}

}  // namespace tcp_sniffer
