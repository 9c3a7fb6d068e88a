#include "shard/overload_notes.h"

#include <algorithm>

namespace tcp_sniffer {

void OverloadNotes::note(const Connection& connection, const DropNote& drop) {
  const auto side = static_cast<size_t>(drop.side);
  const TcpStream& stream = connection.streams[side];
  if (stream.seen && stream.offset_of(drop.end_sequence) <= stream.contiguous_end()) return;
  uint32_t& bytes = bytes_[&connection][side];
  bytes = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{bytes} + drop.bytes, UINT32_MAX));
}

uint32_t OverloadNotes::take_noted(const Connection& connection, Side side, uint64_t length) {
  const auto found = bytes_.find(&connection);
  if (found == bytes_.end()) return 0;
  uint32_t& dropped = found->second[static_cast<size_t>(side)];
  const auto taken = static_cast<uint32_t>(std::min<uint64_t>(dropped, length));
  dropped -= taken;
  return taken;
}

}  // namespace tcp_sniffer
