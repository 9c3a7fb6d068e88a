#pragma once

#include <string>

namespace tcp_sniffer {

// Why the file cannot be made, or written where it exists: an errno, 0 when no obstacle is known.
// Looks only, and changes nothing. A symbolic link is followed, or with
// `follow` false an obstacle, as for open(2) with O_NOFOLLOW.
int error_of_writing(const std::string& path, bool follow);

// Whether a FIFO is there, or leads there.
bool is_fifo(const std::string& path);
// Whether a process that this one may look at has that FIFO open for reading. A process whose
// open(2) still waits for a writer is not found: opening the FIFO to find it would let it go on,
// and it would then read the end of the file.
bool has_reader(const std::string& path);

}  // namespace tcp_sniffer
