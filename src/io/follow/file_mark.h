#pragma once

#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// Knows a file again after it has grown, by its first bytes: a writer that empties a file, or that
// gets the inode of a deleted one, begins with other bytes, because they have the time of the first
// packet.
class FileMark {
 public:
  // With the head of a pcapng section, so that the first packet is among them.
  static constexpr size_t kBytesMax = 4096;

  // Takes the first bytes of the file, as many as there are.
  void take(int fd);
  // Whether the file still begins with them. It may have more now, which are then taken as well.
  bool fits(int fd);

 private:
  size_t size_ = 0;
  uint64_t hash_ = 0;
};

}  // namespace tcp_sniffer
