#pragma once

#include <string>

namespace tcp_sniffer {

// Why the file can not be made, or written where it exists: an errno, 0 when nothing is known to
// stand in the way. Looks only, and changes nothing. A symbolic link is followed, or with
// `follow` false an obstacle, as for open(2) with O_NOFOLLOW.
int error_of_writing(const std::string& path, bool follow);

// Whether a FIFO is there, or leads there.
bool is_fifo(const std::string& path);
// Whether a process that this one may look at has that FIFO open for reading. One whose open(2)
// still waits for a writer is not seen: to open the FIFO would let it go, and end what it reads.
bool has_reader(const std::string& path);

}  // namespace tcp_sniffer
