#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "core/net/packet_block.h"
#include "shard/connection.h"

namespace tcp_sniffer {

// What this program itself dropped of open connections and is not yet a hole of theirs. It
// distinguishes the gaps that overload made from those of the network.
//
// One per shard, on its thread. Holds a connection's address as its name, so the shard forgets the
// connection before it is erased. Empty, and then free, unless there was overload.
//
// Invariant: no byte is returned twice; take() returns at most what note() was given.
class OverloadNotes {
 public:
  // Bytes that had come before leave no hole and are not noted.
  void note(const Connection& connection, const DropNote& drop);

  // How many of a gap's `length` bytes were dropped here; they are no longer noted.
  uint32_t take(const Connection& connection, Side side, uint64_t length) {
    return bytes_.empty() ? 0 : take_noted(connection, side, length);
  }

  void forget(const Connection& connection) {
    if (!bytes_.empty()) [[unlikely]]
      bytes_.erase(&connection);
  }

 private:
  uint32_t take_noted(const Connection& connection, Side side, uint64_t length);

  std::unordered_map<const Connection*, std::array<uint32_t, 2>> bytes_;  // by Side
};

}  // namespace tcp_sniffer
