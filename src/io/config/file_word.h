#pragma once

#include <string>

namespace tcp_sniffer {

// Does a word without a flag name a capture file, or is it a part of the filter? What exists is a
// file. What only looks like one, by a slash or its ending, is taken as one too, so that the run
// reports it as missing. Asks the file system.
bool is_file_word(const std::string& word);

}  // namespace tcp_sniffer
