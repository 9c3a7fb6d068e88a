#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "io/output/framing.h"

namespace tcp_sniffer {

// Files that messages are appended to: each has whole messages only, whatever happened to the
// writer before.

// What a file that is opened for appending ends with, and what was done about it.
struct FileEnd {
  std::string error;          // the file must not be appended to: why
  uint64_t cut_bytes = 0;     // frames: of a message that was not written to its end; they are gone
  bool ended_a_line = false;  // lines: the last one had no line feed, and has one now

  bool mended() const { return cut_bytes > 0 || ended_a_line; }
};

// Looks at the end of the regular file that `fd` has open for writing, and repairs it:
//
// - lines: a last line without its line feed gets one. It may be another program's, so it stays.
// - frames and records: the file is walked from its beginning, message by message, because its end
//   does not show where the last one begins. What follows the last whole message is cut off. A file
//   that was not written by this program is an error.
// - lines with a head (the names of a table's columns): a file that begins with another line is an
//   error; one that ends within the head is emptied.
//
// A file that may not be read is not looked at.
FileEnd mend_file_end(int fd, MessageFraming framing, std::string_view head = {});

// Takes back the last `bytes` bytes that were written through `fd`, unless another program has
// appended to the file since. False: they are still there.
bool take_back(int fd, size_t bytes);

}  // namespace tcp_sniffer
