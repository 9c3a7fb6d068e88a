#pragma once

#include <string>

namespace tcp_sniffer {

// Why the file can not be made, or written where it exists: an errno, 0 when nothing is known to
// stand in the way. Looks only, and changes nothing. A symbolic link is followed, or with
// `follow` false an obstacle, as for open(2) with O_NOFOLLOW.
int error_of_writing(const std::string& path, bool follow);

}  // namespace tcp_sniffer
