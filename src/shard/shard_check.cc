// Shard: what always holds between two blocks.

#include "core/base/check.h"
#include "shard/shard.h"

namespace tcp_sniffer {

namespace {

void check_stream(const TcpStream& stream) {
  if (stream.reorder == nullptr) return;
  require(!stream.reorder->empty(), "stream: a buffer in which nothing waits");
  require(stream.reorder->front() >= stream.head, "stream: bytes wait before its head");
  stream.reorder->check_invariants();
}

}  // namespace

void Shard::check_invariants() const {
  pool_.check_invariants();
  table_.check_invariants();
  uint64_t in_hole_lists = 0;
  for (const auto& holes : holes_) {
    holes.check_invariants();
    in_hole_lists += holes.size();
  }
  uint64_t listed = 0;
  uint64_t timed = 0;
  uint64_t reorder_buffers = 0;
  uint64_t buffered = 0;
  for (size_t state = 0; state < lists_.size(); state++) {
    lists_[state].check_invariants();
    listed += lists_[state].size();
    for (const Connection* at = lists_[state].front(); at != nullptr; at = at->by_activity.next) {
      require(static_cast<size_t>(at->state) == state,
              "shard: a connection in another state's list");
      timed += at->hole_list != HoleList::kNone;
      for (const TcpStream& stream : at->streams) {
        check_stream(stream);
        if (stream.reorder == nullptr) continue;
        reorder_buffers++;
        buffered += stream.reorder->buffered_bytes();
      }
    }
  }
  require(listed == table_.size(), "shard: a connection is in no list");
  require(timed == in_hole_lists, "shard: a connection is timed and in no list");
  require(reorder_buffers == counters_.get(ShardCounter::reorder_buffers),
          "shard: reorder buffers are not those counted");
  require(buffered == counters_.get(ShardCounter::buffered),
          "shard: bytes wait that are not counted");
}

}  // namespace tcp_sniffer
